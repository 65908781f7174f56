#include "aneroid/data/loader.h"

#include <charconv>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aneroid::data {
namespace {

using nlohmann::json;

tl::unexpected<Diagnostic> data_error(std::string place, std::string message) {
  return input_error("data", std::move(place), std::move(message));
}

Status check_length(const TokenShard& shard, uint64_t tokens, int64_t sequence,
                    std::string_view part) {
  if (tokens > static_cast<uint64_t>(sequence)) return {};
  return input_error(
      "shard", shard.place(),
      fmt::format("{} has {} tokens; a sequence of {} needs {} at least: use "
                  "more text or a shorter sequence",
                  part, tokens, sequence, sequence + 1));
}

Status check_options(const LoaderOptions& options) {
  constexpr int64_t kMost = int64_t{1} << 31;
  if (options.batch < 1 || options.sequence < 1 ||
      options.batch > kMost / options.sequence) {
    return data_error(
        "", fmt::format("a batch of {} sequences of {} tokens; both must be at "
                        "least 1 and their product at most {}",
                        options.batch, options.sequence, kMost));
  }
  return {};
}

// A word of the random state, as text: JSON numbers hold 53 bits elsewhere.
std::string to_hex(uint64_t word) { return fmt::format("{:016x}", word); }

bool from_hex(const json& value, uint64_t& word) {
  const auto* text = value.get_ptr<const json::string_t*>();
  if (text == nullptr || text->size() != 16) return false;
  const char* end = text->data() + text->size();
  const auto parsed = std::from_chars(text->data(), end, word, 16);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

std::string to_text(const json& value) {
  if (value.is_structured()) return value.type_name();
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

Result<Split> split_validation(const TokenShard& shard, double fraction,
                               int64_t sequence) {
  if (!(fraction >= 0 && fraction < 1) || sequence < 1) {
    return input_error(
        "shard", shard.place(),
        fmt::format("cannot hold out {} of it for sequences of {}; the part "
                    "must be at least 0 and below 1, the sequence at least 1",
                    fraction, sequence));
  }
  Split split;
  split.validation.count =
      static_cast<uint64_t>(static_cast<double>(shard.size()) * fraction);
  split.train.count = shard.size() - split.validation.count;
  split.validation.first = split.train.count;
  ANEROID_TRY(
      check_length(shard, split.train.count, sequence, "the part to train on"));
  if (fraction > 0) {
    ANEROID_TRY(check_length(shard, split.validation.count, sequence,
                             "the part held out for validation"));
  }
  return split;
}

Result<DataLoader> DataLoader::create(std::shared_ptr<const TokenShard> shard,
                                      TokenRange range,
                                      const LoaderOptions& options) {
  ANEROID_TRY(check_options(options));
  if (range.first > shard->size() ||
      range.count > shard->size() - range.first) {
    return input_error(
        "shard", shard->place(),
        fmt::format("{} tokens from token {} are more than its {}", range.count,
                    range.first, shard->size()));
  }
  ANEROID_TRY(check_length(*shard, range.count, options.sequence, "the part"));
  return DataLoader(std::move(shard), range, options);
}

DataLoader::DataLoader(std::shared_ptr<const TokenShard> shard,
                       TokenRange range, const LoaderOptions& options)
    : shard_(std::move(shard)),
      range_(range),
      options_(options),
      random_(options.seed) {}

uint64_t DataLoader::windows() const {
  const auto sequence = static_cast<uint64_t>(options_.sequence);
  // range_.count > sequence, see create.
  return options_.order == Order::kRandom ? range_.count - sequence
                                          : (range_.count - 1) / sequence;
}

void DataLoader::next(Batch& batch) {
  const int64_t sequence = options_.sequence;
  const auto tokens = static_cast<size_t>(options_.batch * sequence);
  batch.size = options_.batch;
  batch.sequence = sequence;
  batch.inputs.resize(tokens);
  batch.targets.resize(tokens);
  for (int64_t row = 0; row < options_.batch; ++row) {
    const uint64_t start = options_.order == Order::kRandom
                               ? random_.below(windows())
                               : position_ % windows() * sequence;
    ++position_;
    const auto part = [&](std::vector<int32_t>& ids) {
      return std::span(ids).subspan(row * sequence, sequence);
    };
    shard_->read(range_.first + start, part(batch.inputs));
    shard_->read(range_.first + start + 1, part(batch.targets));
  }
  if (options_.renamed == nullptr) return;
  for (std::vector<int32_t>* ids : {&batch.inputs, &batch.targets}) {
    for (int32_t& id : *ids) id = (*options_.renamed)[static_cast<size_t>(id)];
  }
}

json DataLoader::identity() const {
  return {
      {"tokens", shard_->size()},
      {"first", range_.first},
      {"count", range_.count},
      {"sequence", options_.sequence},
      {"order", options_.order == Order::kRandom ? "random" : "sequential"}};
}

json DataLoader::state() const {
  json state = identity();
  state["position"] = position_;
  for (const uint64_t word : random_.state()) {
    state["random"].push_back(to_hex(word));
  }
  return state;
}

Status DataLoader::restore(const json& state) {
  const std::string place = shard_->place();
  if (!state.is_object()) {
    return data_error(place, fmt::format("the saved data position is {}, not "
                                         "an object; the checkpoint is damaged",
                                         state.type_name()));
  }
  const json expected = identity();
  for (const auto& [key, here] : expected.items()) {
    const auto saved = state.find(key);
    if (saved != state.end() && *saved == here) continue;
    return data_error(
        place,
        fmt::format("the run was saved with {} = {}, and now it is {}; resume "
                    "with the same data and sequence length, or start anew",
                    key, saved == state.end() ? "nothing" : to_text(*saved),
                    to_text(here)));
  }
  const auto position = state.find("position");
  const auto words = state.find("random");
  Random::State random{};
  bool good = position != state.end() && position->is_number_unsigned() &&
              words != state.end() && words->is_array() &&
              words->size() == random.size();
  for (size_t i = 0; good && i < random.size(); ++i) {
    good = from_hex((*words)[i], random[i]);
  }
  // xoshiro never leaves the state of zeros.
  good = good && random != Random::State{};
  if (!good) {
    return data_error(place,
                      "the saved data position has no \"position\" or no "
                      "\"random\" of four words; the checkpoint is damaged");
  }
  position_ = position->get<uint64_t>();
  random_.set_state(random);
  return {};
}

}  // namespace aneroid::data
