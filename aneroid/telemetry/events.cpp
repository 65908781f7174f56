#include "aneroid/telemetry/events.h"

#include <chrono>
#include <cmath>
#include <ctime>
#include <limits>
#include <type_traits>

#include <fmt/format.h>

namespace aneroid::telemetry {
namespace {

// fields(event, visit) calls visit(name, member) for each field, in the order
// of the line: the one table that writing and reading share.
template <typename E, typename V>
void fields(E& event, const V& visit) {
  using T = std::remove_const_t<E>;
  if constexpr (std::is_same_v<T, RunEvent>) {
    visit("schema", event.schema);
    visit("version", event.version);
    visit("started", event.started);
    visit("first_step", event.first_step);
    visit("config", event.config);
    visit("flags", event.flags);
    visit("host", event.host);
    visit("device", event.device);
  } else if constexpr (std::is_same_v<T, StepEvent>) {
    visit("step", event.step);
    visit("micro_steps", event.micro_steps);
    visit("loss", event.loss);
    visit("lr", event.lr);
    visit("grad_norm", event.grad_norm);
    visit("loss_scale", event.loss_scale);
    visit("skipped", event.skipped);
    visit("tokens", event.tokens);
    visit("tokens_per_s", event.tokens_per_s);
    visit("wall_ms", event.wall_ms);
    visit("time", event.time);
  } else if constexpr (std::is_same_v<T, ValidationEvent>) {
    visit("step", event.step);
    visit("loss", event.loss);
    visit("tokens", event.tokens);
  } else if constexpr (std::is_same_v<T, CheckpointEvent>) {
    visit("step", event.step);
    visit("path", event.path);
    visit("bytes", event.bytes);
    visit("ms", event.ms);
  } else if constexpr (std::is_same_v<T, SampleEvent>) {
    visit("step", event.step);
    visit("prompt", event.prompt);
    visit("text", event.text);
  } else if constexpr (std::is_same_v<T, OverflowEvent>) {
    visit("step", event.step);
    visit("old_scale", event.old_scale);
    visit("new_scale", event.new_scale);
  } else if constexpr (std::is_same_v<T, RestartEvent>) {
    visit("step", event.step);
    visit("reason", event.reason);
    visit("message", event.message);
    visit("restarts", event.restarts);
    visit("compiles", event.compiles);
    visit("wall_s", event.wall_s);
  } else {
    static_assert(std::is_same_v<T, EndEvent>);
    visit("reason", event.reason);
    visit("message", event.message);
    visit("steps", event.steps);
    visit("wall_s", event.wall_s);
  }
}

// In the order of the variant.
constexpr std::string_view kNames[] = {"run",        "step",   "validation",
                                       "checkpoint", "sample", "overflow",
                                       "restart",    "end"};
static_assert(std::size(kNames) == std::variant_size_v<Event>);

using Parts = std::vector<std::pair<std::string, double>>;

Json encode(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  return number;
}
Json encode(int64_t number) { return number; }
Json encode(bool truth) { return truth; }
Json encode(const std::string& text) { return text; }
Json encode(const Json& object) { return object; }
Json encode(const Parts& parts) {
  Json object = Json::object();
  for (const auto& [part, ms] : parts) object[part] = encode(ms);
  return object;
}

// Each decode returns what the field should have been, or null when it was.
const char* decode(const Json& json, double& number) {
  if (json.is_number()) {
    number = json.get<double>();
  } else if (json == "nan") {
    number = std::numeric_limits<double>::quiet_NaN();
  } else if (json == "inf" || json == "-inf") {
    const double infinity = std::numeric_limits<double>::infinity();
    number = json == "inf" ? infinity : -infinity;
  } else {
    return "a number";
  }
  return nullptr;
}
const char* decode(const Json& json, int64_t& number) {
  const bool fits =
      json.is_number_integer() &&
      (!json.is_number_unsigned() ||
       json.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()});
  if (!fits) return "a whole number";
  number = json.get<int64_t>();
  return nullptr;
}
const char* decode(const Json& json, bool& truth) {
  if (!json.is_boolean()) return "true or false";
  truth = json.get<bool>();
  return nullptr;
}
const char* decode(const Json& json, std::string& text) {
  if (!json.is_string()) return "text";
  text = json.get<std::string>();
  return nullptr;
}
const char* decode(const Json& json, Json& object) {
  if (!json.is_object()) return "an object";
  object = json;
  return nullptr;
}
const char* decode(const Json& json, Parts& parts) {
  constexpr const char* kWanted = "an object of numbers";
  if (!json.is_object()) return kWanted;
  parts.clear();
  for (const auto& [part, value] : json.items()) {
    double ms = 0;
    if (decode(value, ms) != nullptr) return kWanted;
    parts.emplace_back(part, ms);
  }
  return nullptr;
}

tl::unexpected<Diagnostic> event_error(std::string message) {
  return input_error("events", "", std::move(message));
}

template <typename E>
Result<Event> parse_as(const Json& line) {
  if constexpr (std::is_same_v<E, RunEvent>) {
    int64_t schema = 0;
    const auto found = line.find("schema");
    if (found != line.end() && decode(*found, schema) == nullptr &&
        schema > kSchemaVersion) {
      return event_error(fmt::format(
          "has schema {}; this program knows {}: use a newer aneroid", schema,
          kSchemaVersion));
    }
  }
  E event;
  std::string problem;
  fields(event, [&](const char* field, auto& member) {
    if (!problem.empty()) return;
    const auto found = line.find(field);
    if (found == line.end()) {
      problem = fmt::format("has no \"{}\"", field);
    } else if (const char* wanted = decode(*found, member)) {
      problem = fmt::format("has a \"{}\" that is {}, not {}", field,
                            found->type_name(), wanted);
    }
  });
  if (!problem.empty()) return event_error(std::move(problem));
  return event;
}

template <size_t kIndex = 0>
Result<Event> parse_event(const std::string& kind, const Json& line) {
  if constexpr (kIndex == std::variant_size_v<Event>) {
    return event_error(fmt::format("is an unknown event, \"{}\"", kind));
  } else {
    if (kind == kNames[kIndex]) {
      return parse_as<std::variant_alternative_t<kIndex, Event>>(line);
    }
    return parse_event<kIndex + 1>(kind, line);
  }
}

}  // namespace

std::string_view name(const Event& event) { return kNames[event.index()]; }

int64_t step_of(const Event& event) {
  return std::visit(
      [](const auto& alternative) -> int64_t {
        if constexpr (requires { alternative.step; }) return alternative.step;
        return -1;
      },
      event);
}

std::string to_line(const Event& event) {
  Json line = {{"event", name(event)}};
  std::visit(
      [&](const auto& alternative) {
        fields(alternative, [&](const char* field, const auto& member) {
          line[field] = encode(member);
        });
      },
      event);
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Event> parse_line(std::string_view line) {
  // Copying a value nested without limit would overflow the stack.
  constexpr int kDeepest = 64;
  bool too_deep = false;
  const auto keep = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kDeepest;
    return !too_deep;
  };
  Json json;
  try {
    json = Json::parse(line, keep);
  } catch (const Json::exception& error) {
    return event_error(fmt::format("is not JSON: {}", error.what()));
  }
  if (too_deep) {
    return event_error(
        fmt::format("nests deeper than {} levels; no event does", kDeepest));
  }
  const auto kind = json.find("event");
  if (!json.is_object() || kind == json.end() || !kind->is_string()) {
    return event_error("is not an object with an \"event\"");
  }
  return parse_event(kind->get<std::string>(), json);
}

std::string utc_now() {
  const std::time_t now =
      std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                     parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace aneroid::telemetry
