// The suites: which programs each measures, under which keys.
//
// A row is named by suite and key, and the names are for ever: results that
// others contribute refer to them (docs/spec/bench-results.md). Thread-safe.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/suite/programs.h"

namespace aneroid::suite {

// A row that is measured: its programs, called once each.
struct Case {
  std::string key;     // "512-1x64-d128"
  std::string what;    // "128 convolutions 512 -> 512, 1x64"
  std::string series;  // the curve of the chart that it belongs to, and where
  double x = 0;
  Recipe recipe;
};

// A row computed from two others.
struct Derived {
  enum class Kind : uint8_t {
    kRatio,  // time of `first` / time of `second`
    // (time of `first` - time of `second`) / layers, in us. Predicted from the
    // engine's time alone: a layer has no part in what the caller waits.
    kSlope,
  };
  std::string key;
  std::string what;
  Kind kind = Kind::kRatio;
  std::string first;
  std::string second;
  double layers = 1;
};

// What the chart of a suite shows against Case::x.
enum class Measure : uint8_t { kTeraflops, kMicroseconds, kWeightRate };

struct Sweep {
  std::vector<Case> cases;
  std::vector<Derived> derived;
};

struct Suite {
  std::string_view name;     // "peak"
  std::string_view summary;  // a line, without a full stop
  std::string_view details;
  std::string_view x_label;
  Measure measure = Measure::kTeraflops;
  Sweep full;
  // Small programs, which a CPU finishes in a second.
  Sweep quick;

  std::string_view rate_unit = "TFLOPS";
  // What a CPU does otherwise than a chip: a sentence, empty when it is only
  // slower.
  std::string_view on_cpu = {};

  // In either sweep; null when there is none.
  const Case* find(std::string_view key) const;
  const Derived* find_derived(std::string_view key) const;
};

// In the order in which a user reads them.
std::span<const Suite> suites();
// Null when there is none of that name.
const Suite* find_suite(std::string_view name);

}  // namespace aneroid::suite
