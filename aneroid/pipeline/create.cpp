#include "aneroid/pipeline/create.h"

#include <array>

#include <fmt/format.h>

#include "aneroid/pipeline/dynamic.h"
#include "aneroid/pipeline/static.h"

namespace aneroid::pipeline {
namespace {

constexpr std::array kKinds = {Kind::kDynamic, Kind::kStatic,
                               Kind::kStaticExtras, Kind::kDelta};

}  // namespace

std::string_view name(Kind kind) {
  switch (kind) {
    case Kind::kDynamic:
      return "dynamic";
    case Kind::kStatic:
      return "static";
    case Kind::kStaticExtras:
      return "static-extras";
    case Kind::kDelta:
      return "delta";
  }
  return "";
}

Result<Kind> kind_from_name(std::string_view wanted) {
  std::string names;
  for (const Kind kind : kKinds) {
    if (name(kind) == wanted) return kind;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", name(kind));
  }
  return fail(
      ErrorKind::kUsage, "pipeline", "",
      fmt::format("unknown pipeline '{}': use one of {}", wanted, names));
}

std::span<const Kind> all_kinds() { return kKinds; }

Result<std::unique_ptr<Pipeline>> create(const Options& options,
                                         device::Device& device,
                                         cpu::ThreadPool& pool,
                                         const model::ModelConfig& config,
                                         int64_t sequence) {
  if (options.kind != Kind::kDynamic) {
    ANEROID_ASSIGN(auto made,
                   Static::create(options, device, pool, config, sequence));
    return made;
  }
  if (!options.rope) {
    return fail(ErrorKind::kUsage, "pipeline", "dynamic",
                "always turns queries and keys by position; only the static "
                "pipelines can leave that out (--pipeline static --no-rope)");
  }
  ANEROID_ASSIGN(auto made,
                 Dynamic::create(device, pool, config,
                                 {sequence, true, options.residual_scale,
                                  options.keep_operands}));
  return made;
}

}  // namespace aneroid::pipeline
