#include "aneroid/suite/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <vector>

#include <fmt/format.h>

namespace aneroid::suite {
namespace {

constexpr double kWidth = 640;
constexpr double kHeight = 400;
constexpr double kLeft = 76;
constexpr double kTop = 64;
constexpr double kLegend = 270;
constexpr double kBottom = 64;
// Okabe and Ito's palette, told apart by colour-blind readers too, and two
// more; a dash tells the ninth series from the first.
constexpr std::array<std::string_view, 8> kColours = {
    "#0072b2", "#d55e00", "#009e73", "#cc79a7",
    "#e69f00", "#56b4e9", "#444444", "#999933"};

enum class Mark : uint8_t { kPredicted, kPublished, kContributed, kHere };

struct Point {
  double x = 0;
  double y = 0;
  // What is predicted under the conditions of a figure; 0 for none.
  double predicted = 0;
};
struct Series {
  std::string_view name;
  std::array<std::vector<Point>, 4> points;  // by Mark
  std::vector<Point>& of(Mark mark) {
    return points[static_cast<size_t>(mark)];
  }
  const std::vector<Point>& of(Mark mark) const {
    return points[static_cast<size_t>(mark)];
  }
};

// ---- What to draw ----------------------------------------------------------

double measure_of(const Report& report, const ReportRow& row, double us) {
  switch (report.suite->measure) {
    case Measure::kTeraflops:
      return row.flops / us / 1e6;
    case Measure::kWeightRate:
      return row.weight_bytes / us / 1e3;
    case Measure::kMicroseconds:
      break;
  }
  return us;
}
std::string_view label(const Suite& suite) {
  switch (suite.measure) {
    case Measure::kTeraflops:
      return suite.rate_unit;
    case Measure::kWeightRate:
      return "GB/s of weights, the call included";
    case Measure::kMicroseconds:
      break;
  }
  return "us";
}

std::vector<Series> series_of(const Report& report) {
  std::vector<Series> all;
  for (const ReportRow& row : report.rows) {
    if (row.source == nullptr || row.source->series.empty()) continue;
    auto found = std::ranges::find(all, row.source->series, &Series::name);
    if (found == all.end()) {
      all.push_back({row.source->series, {}});
      found = all.end() - 1;
    }
    const auto add = [&](Mark mark, double us, double predicted_us = 0) {
      const double y = measure_of(report, row, us);
      if (!(row.source->x > 0 && y > 0 && std::isfinite(y))) return;
      const double predicted =
          predicted_us > 0 ? measure_of(report, row, predicted_us) : 0;
      found->of(mark).push_back({row.source->x, y, predicted});
    };
    if (row.predicted) add(Mark::kPredicted, *row.predicted);
    if (row.measured) add(Mark::kHere, row.measured->best_us);
    for (const Comparison& one : row.comparisons) {
      add(one.figure.kind == Kind::kPublished ? Mark::kPublished
                                              : Mark::kContributed,
          one.value, one.predicted);
    }
  }
  std::erase_if(all, [](const Series& one) {
    return std::ranges::all_of(one.points, &std::vector<Point>::empty);
  });
  for (Series& one : all) {
    for (std::vector<Point>& points : one.points) {
      std::ranges::stable_sort(points, {}, &Point::x);
    }
  }
  return all;
}

// ---- Axes ------------------------------------------------------------------

// Logarithmic, a little wider than what it holds.
class Axis {
 public:
  Axis(double low, double high, double length) : length_(length) {
    constexpr double kMargin = 0.06;
    if (!(low > 0) || !(high >= low)) low = high = 1;
    const double span = std::max(std::log(high / low), std::log(4.0));
    const double middle = (std::log(high) + std::log(low)) / 2;
    low_ = middle - span * (0.5 + kMargin);
    high_ = middle + span * (0.5 + kMargin);
  }

  double at(double value) const {
    return (std::log(value) - low_) / (high_ - low_) * length_;
  }

  // As few round numbers as are enough to read it.
  std::vector<double> ticks() const {
    constexpr size_t kEnough = 5;
    std::vector<double> ticks;
    for (const std::vector<double>& digits :
         {std::vector<double>{1}, {1, 2, 5}, {1, 1.5, 2, 3, 4, 5, 7}}) {
      ticks = at_digits(digits);
      if (ticks.size() >= kEnough) break;
    }
    return ticks;
  }

 private:
  std::vector<double> at_digits(const std::vector<double>& digits) const {
    std::vector<double> ticks;
    const int first = static_cast<int>(std::floor(low_ / std::log(10.0)));
    const int last = static_cast<int>(std::ceil(high_ / std::log(10.0)));
    for (int decade = first; decade <= last; ++decade) {
      for (const double digit : digits) {
        const double value = digit * std::pow(10.0, decade);
        const double position = at(value);
        if (position >= 0 && position <= length_) ticks.push_back(value);
      }
    }
    return ticks;
  }

  double length_;
  double low_ = 0;
  double high_ = 1;
};

// ---- Drawing ---------------------------------------------------------------

std::string escaped(std::string_view text) {
  std::string result;
  for (const char letter : text) {
    if (letter == '&') {
      result += "&amp;";
    } else if (letter == '<') {
      result += "&lt;";
    } else if (letter == '>') {
      result += "&gt;";
    } else {
      result += letter;
    }
  }
  return result;
}

std::string text(double x, double y, std::string_view anchor,
                 std::string_view what, std::string_view style = "") {
  return fmt::format(
      "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y,
      anchor, style, escaped(what));
}

class Drawing {
 public:
  explicit Drawing(const Report& report)
      : report_(report),
        series_(series_of(report)),
        x_(axis({&Point::x}, kWidth)),
        y_(axis({&Point::y, &Point::predicted}, kHeight)) {}

  std::string svg() {
    const double width = kLeft + kWidth + kLegend;
    const double height = kTop + kHeight + kBottom;
    svg_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" "
        "width=\"{0:g}\" height=\"{1:g}\" font-family=\"sans-serif\" "
        "font-size=\"12\" fill=\"#333\">\n<rect width=\"{0:g}\" "
        "height=\"{1:g}\" fill=\"#fff\"/>\n",
        width, height);
    svg_ += text(kLeft, 26, "start", report_.suite->summary,
                 " font-size=\"17\" fill=\"#111\"");
    svg_ += text(kLeft, 46, "start",
                 fmt::format("{}: lines are predictions for the {}",
                             report_.suite->name, report_.chip.name),
                 " fill=\"#666\"");
    axes();
    for (size_t i = 0; i < series_.size(); ++i) draw(series_[i], i);
    legend();
    return svg_ + "</svg>\n";
  }

 private:
  Axis axis(std::initializer_list<double Point::*> members,
            double length) const {
    double low = 1e300;
    double high = 0;
    for (const Series& one : series_) {
      for (const std::vector<Point>& points : one.points) {
        for (const Point& point : points) {
          for (double Point::*const member : members) {
            if (point.*member <= 0) continue;
            low = std::min(low, point.*member);
            high = std::max(high, point.*member);
          }
        }
      }
    }
    return {low, high, length};
  }

  double px(const Point& point) const { return kLeft + x_.at(point.x); }
  double py(const Point& point) const {
    return kTop + kHeight - y_.at(point.y);
  }

  // Where the rows are, when there are few.
  std::vector<double> x_ticks() const {
    constexpr size_t kFew = 8;
    std::set<double> places;
    for (const Series& one : series_) {
      for (const std::vector<Point>& points : one.points) {
        for (const Point& point : points) places.insert(point.x);
      }
    }
    return places.size() > kFew
               ? x_.ticks()
               : std::vector<double>(places.begin(), places.end());
  }

  void axes() {
    for (const double tick : x_ticks()) {
      const double at = kLeft + x_.at(tick);
      svg_ +=
          fmt::format("<path d=\"M{:.1f} {:g}V{:g}\" stroke=\"#e6e6e6\"/>\n",
                      at, kTop, kTop + kHeight);
      svg_ +=
          text(at, kTop + kHeight + 18, "middle", fmt::format("{:g}", tick));
    }
    for (const double tick : y_.ticks()) {
      const double at = kTop + kHeight - y_.at(tick);
      svg_ +=
          fmt::format("<path d=\"M{:g} {:.1f}H{:g}\" stroke=\"#e6e6e6\"/>\n",
                      kLeft, at, kLeft + kWidth);
      svg_ += text(kLeft - 8, at + 4, "end", fmt::format("{:g}", tick));
    }
    svg_ += fmt::format(
        "<path d=\"M{0:g} {1:g}V{2:g}H{3:g}\" fill=\"none\" "
        "stroke=\"#888\"/>\n",
        kLeft, kTop, kTop + kHeight, kLeft + kWidth);
    svg_ += text(kLeft + kWidth / 2, kTop + kHeight + 44, "middle",
                 report_.suite->x_label);
    svg_ += fmt::format(
        "<text transform=\"translate(20 {:g}) rotate(-90)\" "
        "text-anchor=\"middle\">{}</text>\n",
        kTop + kHeight / 2, label(*report_.suite));
  }

  void line(const std::vector<Point>& points, std::string_view style) {
    if (points.size() < 2) return;
    std::string path;
    for (const Point& point : points) {
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L",
                          px(point), py(point));
    }
    svg_ += fmt::format("<path d=\"{}\" fill=\"none\" {}/>\n", path, style);
  }

  // From a figure to what is predicted under its conditions.
  void tether(const Point& point, std::string_view colour) {
    const double to = py({point.x, point.predicted, 0});
    svg_ += fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}V{2:.1f}m-4 0h8\" fill=\"none\" "
        "stroke=\"{3}\" stroke-opacity=\"0.8\"/>\n",
        px(point), py(point), to, colour);
  }

  static std::string_view dash(size_t index) {
    return index < kColours.size() ? "" : " stroke-dasharray=\"7 3\"";
  }

  void draw(const Series& one, size_t index) {
    const std::string_view colour = kColours[index % kColours.size()];
    line(one.of(Mark::kHere),
         fmt::format("stroke=\"{}\" stroke-dasharray=\"1 4\" "
                     "stroke-linecap=\"round\" stroke-opacity=\"0.7\"",
                     colour));
    line(one.of(Mark::kPredicted),
         fmt::format("stroke=\"{}\" stroke-width=\"1.8\"{}", colour,
                     dash(index)));
    for (const Mark mark : {Mark::kPublished, Mark::kContributed}) {
      for (const Point& point : one.of(mark)) tether(point, colour);
    }
    for (const Point& point : one.of(Mark::kHere)) {
      svg_ += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"1.6\" fill=\"{}\" "
          "fill-opacity=\"0.7\"/>\n",
          px(point), py(point), colour);
    }
    for (const Point& point : one.of(Mark::kPredicted)) {
      svg_ += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n",
          px(point), py(point), colour);
    }
    for (const Point& point : one.of(Mark::kPublished)) {
      svg_ += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5.5\" fill=\"#fff\" "
          "fill-opacity=\"0.6\" stroke=\"{}\" stroke-width=\"2\"/>\n",
          px(point), py(point), colour);
    }
    for (const Point& point : one.of(Mark::kContributed)) {
      svg_ += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"9\" height=\"9\" "
          "fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n",
          px(point) - 4.5, py(point) - 4.5, colour);
    }
  }

  bool any(Mark mark) const {
    return std::ranges::any_of(
        series_, [&](const Series& one) { return !one.of(mark).empty(); });
  }

  void legend() {
    const double x = kLeft + kWidth + 22;
    double y = kTop + 8;
    for (size_t i = 0; i < series_.size(); ++i) {
      svg_ += fmt::format(
          "<path d=\"M{:g} {:g}h22\" stroke=\"{}\" stroke-width=\"2.5\"{}/>\n",
          x, y, kColours[i % kColours.size()], dash(i));
      svg_ += text(x + 30, y + 4, "start", series_[i].name);
      y += 20;
    }
    y += 12;
    const auto key = [&](Mark mark, std::string_view shape,
                         std::string_view words) {
      if (!any(mark)) return;
      svg_ += fmt::format("<g transform=\"translate({:g} {:g})\">{}</g>\n",
                          x + 11, y, shape);
      svg_ += text(x + 30, y + 4, "start", words, " fill=\"#666\"");
      y += 20;
    };
    key(Mark::kPredicted, "<circle r=\"3\" fill=\"#666\"/>", "predicted");
    key(Mark::kPublished,
        "<circle r=\"5.5\" fill=\"none\" stroke=\"#666\" stroke-width=\"2\"/>",
        "published, and its prediction");
    key(Mark::kContributed,
        "<rect x=\"-4.5\" y=\"-4.5\" width=\"9\" height=\"9\" fill=\"none\" "
        "stroke=\"#666\" stroke-width=\"2\"/>",
        "contributed, likewise");
    key(Mark::kHere,
        "<path d=\"M-11 0h22\" stroke=\"#666\" stroke-dasharray=\"1 4\" "
        "stroke-linecap=\"round\"/>",
        "this computer, not a chip");
  }

  const Report& report_;
  std::vector<Series> series_;
  Axis x_;
  Axis y_;
  std::string svg_;
};

}  // namespace

std::string chart_svg(const Report& report) { return Drawing(report).svg(); }

}  // namespace aneroid::suite
