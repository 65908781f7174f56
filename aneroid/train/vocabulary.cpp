#include "aneroid/train/vocabulary.h"

#include <algorithm>
#include <cassert>
#include <string_view>
#include <utility>

#include "aneroid/train/update.h"

namespace aneroid::train {
namespace {

// Updates are made up for several at a time, while a row is in cache.
constexpr size_t kMostPending = 64;

bool is_table(std::string_view parameter) {
  return parameter == "model.embed_tokens.weight" ||
         parameter == "lm_head.weight";
}

// Copies a row of `width` elements.
template <typename T>
void copy_row(std::span<const T> from, size_t from_row, std::span<T> to,
              size_t to_row, size_t width) {
  std::ranges::copy(from.subspan(from_row * width, width),
                    to.subspan(to_row * width, width).begin());
}

}  // namespace

VocabularyMap::VocabularyMap(const std::vector<bool>& used)
    : to_compact_(used.size(), -1) {
  for (size_t id = 0; id < used.size(); ++id) {
    if (!used[id]) continue;
    to_compact_[id] = static_cast<int32_t>(to_whole_.size());
    to_whole_.push_back(static_cast<int32_t>(id));
  }
  assert(!to_whole_.empty());
}

VocabularyMap VocabularyMap::of(const data::TokenShard& shard) {
  constexpr uint64_t kPiece = uint64_t{1} << 16;
  std::vector<bool> used(static_cast<size_t>(shard.vocab_size()), false);
  std::vector<int32_t> ids;
  for (uint64_t first = 0; first < shard.size(); first += kPiece) {
    ids.resize(std::min(kPiece, shard.size() - first));
    shard.read(first, ids);
    for (const int32_t id : ids) used[static_cast<size_t>(id)] = true;
  }
  return VocabularyMap(used);
}

std::vector<bool> VocabularyMap::used() const {
  std::vector<bool> used(to_compact_.size());
  for (size_t id = 0; id < used.size(); ++id) used[id] = to_compact_[id] >= 0;
  return used;
}

model::ModelConfig VocabularyMap::compact(
    model::ModelConfig whole_model) const {
  whole_model.vocab_size = compact();
  return whole_model;
}

model::Weights VocabularyMap::compact(model::Weights whole_arrays) const {
  for (model::Tensor& tensor : whole_arrays) {
    if (!is_table(tensor.name)) continue;
    const auto width = static_cast<size_t>(tensor.shape[1]);
    std::vector<float> rows(to_whole_.size() * width);
    for (size_t i = 0; i < to_whole_.size(); ++i) {
      copy_row<float>(tensor.data, static_cast<size_t>(to_whole_[i]), rows, i,
                      width);
    }
    tensor.data = std::move(rows);
    tensor.shape[0] = compact();
  }
  return whole_arrays;
}

model::Moments VocabularyMap::compact(
    const model::Moments& whole_moments,
    const model::ModelConfig& whole_model) const {
  const auto table = model::parameter_table(compact(whole_model));
  model::Moments result(table, whole_moments.type());
  for (size_t p = 0; p < table.size(); ++p) {
    const auto from = whole_moments.bytes(p);
    const auto to = result.bytes(p);
    if (!is_table(table[p].name)) {
      std::ranges::copy(from, to.begin());
      continue;
    }
    const size_t width = to.size() / to_whole_.size();
    for (size_t i = 0; i < to_whole_.size(); ++i) {
      copy_row<std::byte>(from, static_cast<size_t>(to_whole_[i]), to, i,
                          width);
    }
  }
  return result;
}

WholeVocabulary::WholeVocabulary(cpu::ThreadPool& pool,
                                 const model::ModelConfig& config,
                                 VocabularyMap map,
                                 const model::Weights& weights,
                                 DataType moments)
    : pool_(pool), config_(config), map_(std::move(map)) {
  assert(map_.whole() == config.vocab_size);
  for (size_t id = 0; id < map_.to_compact().size(); ++id) {
    if (map_.to_compact()[id] < 0) unused_.push_back(static_cast<int32_t>(id));
  }
  const auto specs = model::parameter_table(config);
  std::vector<model::ParameterSpec> rows;
  for (size_t p = 0; p < specs.size(); ++p) {
    if (!is_table(specs[p].name)) continue;
    tables_.push_back({p, weights[p].data});
    rows.push_back(specs[p]);
  }
  first_moments_ = model::Moments(rows, moments);
  second_moments_ = model::Moments(rows, moments);
}

void WholeVocabulary::restore(const model::Weights& weights,
                              const model::Moments& first_moments,
                              const model::Moments& second_moments) {
  assert(first_moments.type() == first_moments_.type());
  pending_.clear();
  for (size_t row = 0; row < tables_.size(); ++row) {
    Table& table = tables_[row];
    table.weights = weights[table.parameter].data;
    std::ranges::copy(first_moments.bytes(table.parameter),
                      first_moments_.bytes(row).begin());
    std::ranges::copy(second_moments.bytes(table.parameter),
                      second_moments_.bytes(row).begin());
  }
}

void WholeVocabulary::update(const cpu::AdamW& adamw) {
  pending_.push_back(adamw);
  if (pending_.size() == kMostPending) catch_up();
}

void WholeVocabulary::catch_up() {
  const std::vector<float> no_gradient(width(), 0.0F);
  constexpr size_t kRows = 64;
  const size_t tasks = (unused_.size() + kRows - 1) / kRows;
  for (size_t row = 0; row < tables_.size(); ++row) {
    Table& table = tables_[row];
    pool_.run(static_cast<int64_t>(tasks), [&](int64_t task, int) {
      const size_t first = static_cast<size_t>(task) * kRows;
      const size_t end = std::min(unused_.size(), first + kRows);
      for (size_t i = first; i < end; ++i) {
        const size_t at = static_cast<size_t>(unused_[i]) * width();
        for (const cpu::AdamW& adamw : pending_) {
          update_run(table.weights.data() + at, first_moments_, second_moments_,
                     row, {table.parameter, at}, no_gradient.data(), width(),
                     adamw);
        }
      }
    });
  }
  pending_.clear();
}

WholeVocabulary::Views WholeVocabulary::whole(
    const model::Weights& weights, const model::Moments& first_moments,
    const model::Moments& second_moments) {
  catch_up();
  Views views{model::views(weights), model::views(first_moments),
              model::views(second_moments)};
  // Rows of used ids are the compact model's.
  const auto fill = [&]<typename T>(std::span<const T> compact,
                                    std::span<T> table) {
    const size_t row_size = compact.size() / map_.to_whole().size();
    for (size_t i = 0; i < map_.to_whole().size(); ++i) {
      copy_row(compact, i, table, static_cast<size_t>(map_.to_whole()[i]),
               row_size);
    }
  };
  for (size_t row = 0; row < tables_.size(); ++row) {
    Table& table = tables_[row];
    const size_t p = table.parameter;
    fill(std::span(weights[p].data), std::span(table.weights));
    fill(first_moments.bytes(p), first_moments_.bytes(row));
    fill(second_moments.bytes(p), second_moments_.bytes(row));
    views.weights[p] = table.weights;
    views.first_moments[p] = first_moments_.view(row);
    views.second_moments[p] = second_moments_.view(row);
  }
  return views;
}

}  // namespace aneroid::train
