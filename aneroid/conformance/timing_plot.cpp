#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "aneroid/conformance/timing_score.h"

namespace aneroid::conformance {
namespace {

constexpr double kSize = 560;
constexpr double kLeft = 70;
constexpr double kTop = 48;
constexpr double kLegend = 150;
// The two bands drawn beside the diagonal: |error| of 30 %.
constexpr double kBand = 1.3;
// Okabe and Ito's palette, told apart by colour-blind readers too.
constexpr std::array<std::string_view, 8> kColours = {
    "#0072b2", "#d55e00", "#009e73", "#cc79a7",
    "#e69f00", "#56b4e9", "#000000", "#999933"};

// A range of whole decades.
struct Axis {
  int low = 0;
  int high = 1;
  double at(double value) const {
    const double share =
        (std::log10(value) - low) / static_cast<double>(high - low);
    return std::clamp(share, 0.0, 1.0) * kSize;
  }
};

std::string escaped(std::string_view text) {
  std::string result;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      default:
        result += letter;
    }
  }
  return result;
}

std::string time_label(int decade) {
  constexpr std::array<std::string_view, 3> kUnits = {"us", "ms", "s"};
  const int unit = decade >= 6 ? 2 : decade >= 3 ? 1 : 0;
  return fmt::format("{:g} {}", std::pow(10.0, decade - 3 * unit),
                     kUnits[static_cast<size_t>(unit)]);
}

Axis axis_for(const std::vector<const ScoredRow*>& rows) {
  double low = 1e300;
  double high = 0;
  for (const ScoredRow* row : rows) {
    low = std::min({low, row->predicted_us, row->reading.measured_us});
    high = std::max({high, row->predicted_us, row->reading.measured_us});
  }
  if (rows.empty() || !(low > 0) || !std::isfinite(high)) return {};
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::ceil(std::log10(high)));
  return {first, std::max(first + 1, last)};
}

std::string line_above(const Axis& axis, double factor, std::string_view dash) {
  const double low = std::pow(10.0, axis.low);
  const double high = std::pow(10.0, axis.high);
  const double from = std::max(low, low / factor);
  const double to = std::min(high, high / factor);
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" "
      "stroke=\"#888\"{}/>\n",
      kLeft + axis.at(from), kTop + kSize - axis.at(from * factor),
      kLeft + axis.at(to), kTop + kSize - axis.at(to * factor), dash);
}

}  // namespace

std::string scatter_svg(const Scoring& scoring, std::string_view title) {
  std::vector<const ScoredRow*> rows;
  std::vector<std::string_view> chips;
  for (const ScoredRow& row : scoring.rows) {
    if (row.reading.verdict != Verdict::kRead) continue;
    rows.push_back(&row);
    if (std::ranges::find(chips, row.reading.chip.name) == chips.end()) {
      chips.push_back(row.reading.chip.name);
    }
  }
  const Axis axis = axis_for(rows);
  const double width = kLeft + kSize + kLegend;
  const double height = kTop + kSize + 60;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" "
      "width=\"{0:g}\" height=\"{1:g}\" font-family=\"sans-serif\" "
      "font-size=\"13\">\n<rect width=\"{0:g}\" height=\"{1:g}\" "
      "fill=\"#fff\"/>\n<text x=\"{2:g}\" y=\"26\" font-size=\"16\">{3}"
      "</text>\n",
      width, height, kLeft, escaped(title));
  for (int decade = axis.low; decade <= axis.high; ++decade) {
    const double at = axis.at(std::pow(10.0, decade));
    svg += fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}V{2:.1f}M{3:.1f} {4:.1f}H{5:.1f}\" "
        "stroke=\"#ddd\"/>\n"
        "<text x=\"{0:.1f}\" y=\"{6:.1f}\" text-anchor=\"middle\">{7}</text>\n"
        "<text x=\"{8:.1f}\" y=\"{9:.1f}\" text-anchor=\"end\">{7}</text>\n",
        kLeft + at, kTop, kTop + kSize, kLeft, kTop + kSize - at, kLeft + kSize,
        kTop + kSize + 18, time_label(decade), kLeft - 6,
        kTop + kSize - at + 4);
  }
  constexpr std::string_view kDashes = " stroke-dasharray=\"4 4\"";
  svg += line_above(axis, 1.0, "");
  svg += line_above(axis, kBand, kDashes);
  svg += line_above(axis, 1 / kBand, kDashes);
  for (size_t i = 0; i < chips.size(); ++i) {
    const std::string_view colour = kColours[i % kColours.size()];
    svg += fmt::format("<g fill=\"{}\" fill-opacity=\"0.6\">\n", colour);
    for (const ScoredRow* row : rows) {
      if (row->reading.chip.name != chips[i]) continue;
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>\n",
                         kLeft + axis.at(row->reading.measured_us),
                         kTop + kSize - axis.at(row->predicted_us));
    }
    const double y = kTop + 16 + 20 * static_cast<double>(i);
    svg += fmt::format(
        "</g>\n<circle cx=\"{0:.1f}\" cy=\"{1:.1f}\" r=\"5\" fill=\"{2}\"/>"
        "<text x=\"{3:.1f}\" y=\"{4:.1f}\">{5}</text>\n",
        kLeft + kSize + 20, y, colour, kLeft + kSize + 32, y + 4,
        escaped(chips[i]));
  }
  svg += fmt::format(
      "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">measured"
      "</text>\n<text transform=\"translate(16 {:.1f}) rotate(-90)\" "
      "text-anchor=\"middle\">predicted (dashed: 30 % off)</text>\n</svg>\n",
      kLeft + kSize / 2, height - 16, kTop + kSize / 2);
  return svg;
}

}  // namespace aneroid::conformance
