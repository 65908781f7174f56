#include "aneroid/target/chips_file.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "aneroid/target/embedded_chips.h"

namespace aneroid::target {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kLabel = "chips.json";

constexpr Figure kind(std::string_view key, std::string_view title,
                      std::string_view unit) {
  return {key, title, unit, 0.0, "", 'C'};
}
constexpr std::array kKinds = {
    kind("tops", "Apple's figure", "TOPS"),
    kind("clock_ghz", "highest clock", "GHz"),
    kind("peak_tflops", "peak fp16, by formula", "TFLOPS"),
    kind("int8_speedup", "W8A8 over fp16", "x"),
    kind("weight_gbs", "weight bandwidth", "GB/s"),
    kind("activation_gbs", "surface bandwidth of a call", "GB/s"),
    kind("dram_gbs", "memory bandwidth, all agents", "GB/s"),
    kind("dispatch_us", "empty call", "us"),
    kind("l2_bytes", "operand store (L2)", "bytes"),
    kind("resident_bytes", "weights kept on chip, per engine", "bytes"),
    kind("power_w", "power, fp16 convolutions, per engine", "W"),
    kind("power_w8a8_w", "power, W8A8 convolutions", "W"),
};

template <typename Row, typename T>
struct Field {
  std::string_view key;
  T Row::*member;
};
constexpr std::array<Field<Chip, int64_t>, 5> kLimits = {{
    {"max_dim", &Chip::max_dim},
    {"max_spatial_dim", &Chip::max_spatial_dim},
    {"max_kernel_width", &Chip::max_kernel_width},
    {"max_stride", &Chip::max_stride},
    {"max_depth", &Chip::max_depth},
}};
constexpr std::array<Field<TimingParameters, double>, 11> kTiming = {{
    {"clock_ghz", &TimingParameters::clock_ghz},
    {"efficiency", &TimingParameters::efficiency},
    {"weight_gbs", &TimingParameters::weight_gbs},
    {"palette_gbs", &TimingParameters::palette_gbs},
    {"activation_gbs", &TimingParameters::activation_gbs},
    {"io_gbs", &TimingParameters::io_gbs},
    {"copy_gbs", &TimingParameters::copy_gbs},
    {"layer_us", &TimingParameters::layer_us},
    {"int8_rate", &TimingParameters::int8_rate},
    {"submit_us", &TimingParameters::submit_us},
    {"typical_us", &TimingParameters::typical_us},
}};

// The JSON library reports by exceptions; parse_chips turns them into errors.
class Reader {
 public:
  explicit Reader(const Json& json) : json_(json) {}

  ChipsFile read() {
    for (const Json& row : json_.at("timing")) read_timing(row);
    for (const Json& row : json_.at("chips")) read_chip(row);
    return std::move(file_);
  }

 private:
  std::string_view keep(std::string text) {
    return file_.strings.emplace_back(std::move(text));
  }

  void read_timing(const Json& row) {
    TimingParameters timing;
    timing.id = keep(row.at("id"));
    for (const auto& field : kTiming) {
      timing.*field.member = row.at(std::string(field.key));
    }
    timing.call_us = {row.at("raw_us"), row.at("coreml_us"), row.at("e5_us")};
    std::vector<std::string_view>& fitted = file_.names.emplace_back();
    for (const Json& parameter : row.at("fitted")) {
      if (!row.contains(parameter.get<std::string>())) {
        throw Json::other_error::create(
            0, fmt::format("{} has no '{}'", timing.id, parameter.dump()),
            &row);
      }
      fitted.push_back(keep(parameter));
    }
    timing.fitted = fitted;
    file_.timing.push_back(timing);
  }

  void read_chip(const Json& row) {
    Chip chip;
    chip.id = keep(row.at("id"));
    chip.name = keep(row.at("name"));
    chip.architecture = keep(row.at("architecture"));
    chip.generation = row.at("generation");
    chip.engines = row.value("engines", 1);
    chip.cores = row.value("cores", 16);
    chip.tops = row.at("tops");
    chip.timing_class = keep(row.value("timing", ""));
    chip.timed = row.value("timed", false);
    chip.min_surface = row.value("min_surface", uint64_t{0});
    if (!chip.timing_class.empty() &&
        std::ranges::none_of(file_.timing, [&](const TimingParameters& known) {
          return known.id == chip.timing_class;
        })) {
      throw Json::other_error::create(
          0, fmt::format("no timing class '{}'", chip.timing_class), &row);
    }
    Json known = Json::object();
    for (const Json& family : json_.at("families")) {
      if (family.at("generation") != chip.generation) continue;
      read_limits(family, chip);
      chip.open = family.value("open", true);
      known = family.value("figures", Json::object());
    }
    read_limits(row, chip);
    known.update(row.value("figures", Json::object()));
    chip.figures = read_figures(std::move(known), chip);
    file_.chips.push_back(chip);
  }

  static void read_limits(const Json& row, Chip& chip) {
    for (const auto& field : kLimits) {
      const auto found = row.find(std::string(field.key));
      if (found != row.end()) chip.*field.member = *found;
    }
  }

  std::span<const Figure> read_figures(Json known, const Chip& chip) {
    if (chip.tops > 0) known["tops"] = Json::array({chip.tops, "A", "apple"});
    if (known.contains("clock_ghz") && chip.generation >= 13) {
      const double clock = known["clock_ghz"].at(0);
      known["peak_tflops"] =
          Json::array({clock * 0.512 * chip.cores, "B", "formula"});
    }
    std::vector<Figure>& figures = file_.figures.emplace_back();
    for (const Figure& one : kKinds) {
      const auto found = known.find(std::string(one.key));
      if (found == known.end()) continue;
      Figure figure = one;
      figure.value = found->at(0);
      figure.confidence = found->at(1).get<std::string>().at(0);
      figure.source =
          keep(json_.at("sources").at(found->at(2).get<std::string>()));
      figures.push_back(figure);
    }
    if (figures.size() != known.size()) {
      throw Json::other_error::create(
          0, fmt::format("{} has a figure of no known kind", chip.id), &known);
    }
    return figures;
  }

  const Json& json_;
  ChipsFile file_;
};

}  // namespace

std::span<const Figure> figure_kinds() { return kKinds; }

Result<ChipsFile> parse_chips(std::string_view json) {
  try {
    const Json parsed = Json::parse(json);
    return Reader(parsed).read();
  } catch (const std::exception& error) {
    return input_error(std::string(kLabel), "chips.json", error.what());
  }
}

const ChipsFile& chips_file() {
  static const ChipsFile kFile = [] {
    auto file = parse_chips(embedded_chips().front().content);
    if (!file) std::abort();  // chips_test reads the same file first
    return *std::move(file);
  }();
  return kFile;
}

}  // namespace aneroid::target
