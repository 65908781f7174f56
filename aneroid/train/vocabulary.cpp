#include "aneroid/train/vocabulary.h"

#include <algorithm>
#include <cassert>
#include <string_view>
#include <utility>

namespace aneroid::train {
namespace {

// Updates are made up for several at a time, while a row is in cache.
constexpr size_t kMostPending = 64;

bool is_table(std::string_view parameter) {
  return parameter == "model.embed_tokens.weight" ||
         parameter == "lm_head.weight";
}

// Copies rows of `width` values: to[to_row(i)] = from[from_row(i)].
void copy_row(const std::vector<float>& from, size_t from_row,
              std::vector<float>& to, size_t to_row, size_t width) {
  std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(from_row * width),
              width, to.begin() + static_cast<std::ptrdiff_t>(to_row * width));
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
      copy_row(tensor.data, static_cast<size_t>(to_whole_[i]), rows, i, width);
    }
    tensor.data = std::move(rows);
    tensor.shape[0] = compact();
  }
  return whole_arrays;
}

WholeVocabulary::WholeVocabulary(cpu::ThreadPool& pool,
                                 const model::ModelConfig& config,
                                 VocabularyMap map,
                                 const model::Weights& weights)
    : pool_(pool), config_(config), map_(std::move(map)) {
  assert(map_.whole() == config.vocab_size);
  for (size_t id = 0; id < map_.to_compact().size(); ++id) {
    if (map_.to_compact()[id] < 0) unused_.push_back(static_cast<int32_t>(id));
  }
  const auto specs = model::parameter_table(config);
  for (size_t p = 0; p < specs.size(); ++p) {
    if (!is_table(specs[p].name)) continue;
    const std::vector<float>& data = weights[p].data;
    const std::vector<float> zeros(data.size(), 0.0F);
    tables_.push_back({p, data, zeros, zeros});
  }
}

void WholeVocabulary::restore(const model::Weights& weights,
                              const model::Weights& first_moments,
                              const model::Weights& second_moments) {
  pending_.clear();
  for (Table& table : tables_) {
    table.weights = weights[table.parameter].data;
    table.first_moments = first_moments[table.parameter].data;
    table.second_moments = second_moments[table.parameter].data;
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
  for (Table& table : tables_) {
    pool_.run(static_cast<int64_t>(tasks), [&](int64_t task, int) {
      const size_t first = static_cast<size_t>(task) * kRows;
      const size_t end = std::min(unused_.size(), first + kRows);
      for (size_t i = first; i < end; ++i) {
        const size_t at = static_cast<size_t>(unused_[i]) * width();
        for (const cpu::AdamW& adamw : pending_) {
          cpu::adamw_update(table.weights.data() + at,
                            table.first_moments.data() + at,
                            table.second_moments.data() + at,
                            no_gradient.data(), width(), adamw);
        }
      }
    });
  }
  pending_.clear();
}

WholeVocabulary::Views WholeVocabulary::whole(
    const model::Weights& weights, const model::Weights& first_moments,
    const model::Weights& second_moments) {
  catch_up();
  Views views{model::views(weights), model::views(first_moments),
              model::views(second_moments)};
  const auto fill = [&](const model::Tensor& compact,
                        std::vector<float>& table) -> std::span<const float> {
    for (size_t i = 0; i < map_.to_whole().size(); ++i) {
      copy_row(compact.data, i, table, static_cast<size_t>(map_.to_whole()[i]),
               width());
    }
    return table;
  };
  for (Table& table : tables_) {
    const size_t p = table.parameter;
    views.weights[p] = fill(weights[p], table.weights);
    views.first_moments[p] = fill(first_moments[p], table.first_moments);
    views.second_moments[p] = fill(second_moments[p], table.second_moments);
  }
  return views;
}

}  // namespace aneroid::train
