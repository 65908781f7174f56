// aneroid devices: what programs can run on, and what chips accept.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/runtime/runtime.h"
#include "aneroid/target/target.h"
#include "aneroid/target/timing.h"
#include "apps/aneroid/commands.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/terminal.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

using target::Chip;
using target::Rule;
using Json = nlohmann::ordered_json;

struct DevicesOptions {
  std::string chip;
  bool rules = false;
  bool json = false;
};

std::string tops(const Chip& chip) {
  return chip.tops > 0 ? fmt::format("{}", chip.tops) : "undisclosed";
}

// ---- Text ------------------------------------------------------------------

void print_devices() {
  Table table({{"device"}, {"here"}, {""}});
  for (const runtime::DeviceStatus& device : runtime::list_devices()) {
    table.add({device.name, device.available ? "yes" : "no", device.detail});
  }
  print("{}", table.to_string(terminal_width(stdout)));
}

void print_chips() {
  Table table({{"chip"},
               {"name"},
               {"architecture"},
               {"engines", Align::kRight},
               {"cores", Align::kRight},
               {"TOPS", Align::kRight}});
  for (const Chip& chip : target::chips()) {
    table.add(
        {std::string(chip.id), std::string(chip.name),
         chip.architecture.empty() ? "unknown" : std::string(chip.architecture),
         fmt::format("{}", chip.engines), fmt::format("{}", chip.cores),
         tops(chip)});
  }
  print("{}", table.to_string());
}

std::string_view confidence(char letter) {
  switch (letter) {
    case 'A':
      return "measured repeatedly";
    case 'B':
      return "measured once";
    default:
      return "inferred";
  }
}

// "67", "1,048,576", "2.364"
std::string number(double value) {
  if (value >= 10000) return grouped(static_cast<int64_t>(value));
  return fmt::format("{:.4g}", value);
}

void print_limits(const Chip& chip) {
  const auto limit = [](auto value) {
    return value == 0 ? std::string("none known")
                      : grouped(static_cast<int64_t>(value));
  };
  const std::string_view architecture =
      chip.architecture.empty() ? "unknown" : chip.architecture;
  Table table({{"chip"}, {std::string(chip.id)}});
  const std::pair<const char*, std::string> rows[] = {
      {"name", std::string(chip.name)},
      {"architecture", std::string(architecture)},
      {"open to programs", chip.open ? "yes" : "no"},
      {"engines", fmt::format("{}", chip.engines)},
      {"neural cores", fmt::format("{}", chip.cores)},
      {"largest dimension (C031)", limit(chip.max_dim)},
      {"largest height, width (C031)", limit(chip.max_spatial_dim)},
      {"widest kernel (C035)", limit(chip.max_kernel_width)},
      {"largest stride (C036)", limit(chip.max_stride)},
      {"longest chain of ops (C092)", limit(chip.max_depth)},
      {"smallest surface, bytes (C015)", limit(chip.min_surface)},
  };
  for (const auto& [title, value] : rows) table.add({title, value});
  print("{}\n", table.to_string());
}

void print_figures(const Chip& chip) {
  Table table({{"figure"},
               {"value", Align::kRight},
               {"unit"},
               {"confidence"},
               {"source"}});
  for (const target::Figure& kind : target::figure_kinds()) {
    const target::Figure* known = chip.figure(kind.key);
    if (known == nullptr) {
      table.add({std::string(kind.title), "unknown", "", "", ""});
    } else {
      table.add({std::string(kind.title), number(known->value),
                 std::string(kind.unit),
                 std::string(confidence(known->confidence)),
                 std::string(known->source)});
    }
  }
  print("{}\n", table.to_string(terminal_width(stdout)));
}

// How far predictions of its times were from public measurements.
std::string timing_note(const Chip& chip) {
  if (chip.timing_class.empty()) return "no timing is known";
  if (!chip.timed) {
    return fmt::format(
        "predicted times: no basis; the parameters are those "
        "of class {}",
        chip.timing_class);
  }
  std::string note = "predicted times:";
  for (const target::Basis& basis : target::scores()) {
    if (basis.timing_class != chip.timing_class) continue;
    note += note.ends_with(':') ? " " : "; ";
    note += to_string(basis);
  }
  return note;
}

void print_chip(const Chip& chip) {
  print_limits(chip);
  print_figures(chip);
  print("{}\n", wrap(timing_note(chip), terminal_width(stdout), 0));
}

std::string paths(const Rule& rule) {
  std::vector<std::string_view> names;
  for (const target::Path path : rule.paths) names.push_back(name(path));
  return fmt::format("{}", fmt::join(names, ", "));
}

void print_rule(const Rule& rule) {
  constexpr size_t kIndent = 14;
  const size_t width = terminal_width(stdout);
  print("{}  {}\n", styled(stdout, Style::kBold, rule.id),
        wrap(rule.summary, width, rule.id.size() + 2));
  const std::pair<const char*, std::string> lines[] = {
      {"must hold", std::string(rule.condition)},
      {"symptom", fmt::format("{} ({})", rule.symptom, name(rule.phase))},
      {"instead", std::string(rule.workaround)},
      {"known on",
       fmt::format("{} ({})", rule.known_on, confidence(rule.confidence))},
      {"seen under", std::string(rule.os)},
      {"source", std::string(rule.source)},
      {"paths", paths(rule)},
      {"enforced", std::string(name(rule.enforcement))},
      {"why not", std::string(rule.why)},
  };
  for (const auto& [title, text] : lines) {
    if (text.empty()) continue;
    print("  {}{}\n", styled(stdout, Style::kDim, fmt::format("{:<12}", title)),
          wrap(text, width, kIndent));
  }
  print("\n");
}

// ---- JSON ------------------------------------------------------------------

Json to_json(const Chip& chip) {
  Json json = {{"id", chip.id},
               {"name", chip.name},
               {"architecture", chip.architecture},
               {"generation", chip.generation},
               {"open", chip.open},
               {"engines", chip.engines},
               {"cores", chip.cores},
               {"tops", chip.tops},
               {"max_dim", chip.max_dim},
               {"max_spatial_dim", chip.max_spatial_dim},
               {"max_kernel_width", chip.max_kernel_width},
               {"max_stride", chip.max_stride},
               {"max_depth", chip.max_depth},
               {"min_surface", chip.min_surface},
               {"timing_class", chip.timing_class},
               {"timed", chip.timed}};
  json["figures"] = Json::object();
  for (const target::Figure& kind : target::figure_kinds()) {
    const target::Figure* known = chip.figure(kind.key);
    Json& figure = json["figures"][std::string(kind.key)];
    if (known != nullptr) {
      figure = {{"value", known->value},
                {"unit", known->unit},
                {"confidence", std::string(1, known->confidence)},
                {"source", known->source}};
    }
  }
  return json;
}

Json to_json(const Rule& rule) {
  Json names = Json::array();
  for (const target::Path path : rule.paths) names.push_back(name(path));
  return {{"id", rule.id},
          {"summary", rule.summary},
          {"condition", rule.condition},
          {"phase", name(rule.phase)},
          {"symptom", rule.symptom},
          {"workaround", rule.workaround},
          {"confidence", std::string(1, rule.confidence)},
          {"enforcement", name(rule.enforcement)},
          {"known_on", rule.known_on},
          {"os", rule.os},
          {"source", rule.source},
          {"why", rule.why},
          {"paths", names}};
}

// ---- Command ---------------------------------------------------------------

struct Selection {
  std::vector<Chip> chips;
  std::vector<const Rule*> rules;  // known for at least one of the chips
};

Result<Selection> select(const DevicesOptions& options) {
  Selection selection;
  if (options.chip.empty()) {
    selection.chips.assign(target::chips().begin(), target::chips().end());
  } else {
    ANEROID_ASSIGN(const Chip chip, target::find_chip(options.chip));
    selection.chips.push_back(chip);
  }
  if (!options.rules) return selection;
  for (const Rule& rule : target::rules()) {
    if (std::ranges::any_of(selection.chips, rule.known_for)) {
      selection.rules.push_back(&rule);
    }
  }
  return selection;
}

void print_selection_json(const DevicesOptions& options,
                          const Selection& selection) {
  Json json = Json::object();
  if (options.chip.empty()) {
    json["devices"] = Json::array();
    for (const runtime::DeviceStatus& device : runtime::list_devices()) {
      json["devices"].push_back({{"name", device.name},
                                 {"available", device.available},
                                 {"detail", device.detail}});
    }
  }
  json["chips"] = Json::array();
  for (const Chip& chip : selection.chips) {
    json["chips"].push_back(to_json(chip));
  }
  if (options.rules) {
    json["rules"] = Json::array();
    for (const Rule* rule : selection.rules) {
      json["rules"].push_back(to_json(*rule));
    }
  }
  print_json(json);
}

Result<int> run_devices(const DevicesOptions& options) {
  ANEROID_ASSIGN(const Selection selection, select(options));
  if (options.json) {
    print_selection_json(options, selection);
  } else if (options.rules) {
    for (const Rule* rule : selection.rules) print_rule(*rule);
  } else if (!options.chip.empty()) {
    print_chip(selection.chips.front());
  } else {
    print_devices();
    print("\n");
    print_chips();
  }
  return kGood;
}

}  // namespace

void setup_devices(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_devices);
  describe(command,
           "Lists the devices that can run programs here and the chips that "
           "the emulator can imitate. The rules are what is known about "
           "programs that an engine refuses or gets wrong.",
           "  aneroid devices\n"
           "  aneroid devices --chip m4\n"
           "  aneroid devices --rules --chip m1\n");
  add_chip_option(command, options->chip)
      ->description(
          "what is known of one chip; with --rules, the rules known for it");
  command.add_flag("--rules", options->rules, "print the rules");
  add_json_option(command, options->json);
}

}  // namespace aneroid::cli
