// Training on the part of a vocabulary that the data uses.
//
// Where a text uses 9,000 of 32,000 ids, the classifier computes 23,000 logits
// whose only use is to be pushed down. Here the trainer works on a model that
// has the used ids alone, renumbered in the same order; the tables of the whole
// vocabulary are kept beside it and are whole again in every checkpoint.
//
// This is training of the whole model with the logits of unused ids at minus
// infinity: same losses, same norms, same updates. Unused rows get what full
// training would give them except the gradient through the softmax, which is
// zero for them: weight decay, and what moments they have.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/dtype.h"
#include "aneroid/cpu/optimizer.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/data/shard.h"
#include "aneroid/model/config.h"
#include "aneroid/model/moments.h"
#include "aneroid/model/parameters.h"
#include "aneroid/model/tensor_io.h"

namespace aneroid::train {

// Ids of the whole vocabulary and of the used one. "Tables" are the tensors
// with a row per id: embed_tokens, and lm_head where it is not tied. Immutable.
class VocabularyMap {
 public:
  // `used[id]` for each id of the whole; at least one is true.
  explicit VocabularyMap(const std::vector<bool>& used);
  // The ids that occur in a shard, which is read once.
  static VocabularyMap of(const data::TokenShard& shard);

  int64_t whole() const { return static_cast<int64_t>(to_compact_.size()); }
  int64_t compact() const { return static_cast<int64_t>(to_whole_.size()); }
  // -1 for unused ids.
  const std::vector<int32_t>& to_compact() const { return to_compact_; }
  // Increasing.
  const std::vector<int32_t>& to_whole() const { return to_whole_; }
  std::vector<bool> used() const;

  // The model with the used ids alone, and its arrays, in the order of the
  // parameter table: tables lose their unused rows.
  model::ModelConfig compact(model::ModelConfig whole_model) const;
  model::Weights compact(model::Weights whole_arrays) const;
  model::Moments compact(const model::Moments& whole_moments,
                         const model::ModelConfig& whole_model) const;

 private:
  std::vector<int32_t> to_compact_;
  std::vector<int32_t> to_whole_;
};

// Thread-compatible.
class WholeVocabulary {
 public:
  // Copies the tables of `weights`; their moments are zero, of the compact
  // trainer's type. The pool must go last.
  WholeVocabulary(cpu::ThreadPool& pool, const model::ModelConfig& config,
                  VocabularyMap map, const model::Weights& weights,
                  DataType moments = DataType::kFp32);

  const model::ModelConfig& config() const { return config_; }
  const VocabularyMap& map() const { return map_; }

  // Goes on from a checkpoint: all arrays are the whole model's, moments of the
  // type chosen.
  void restore(const model::Weights& weights,
               const model::Moments& first_moments,
               const model::Moments& second_moments);

  // After every update of the compact model: the same step for unused rows,
  // with a gradient of zero. Weight decay is taken from `adamw`.
  void update(const cpu::AdamW& adamw);

  struct Views {
    model::WeightViews weights;
    model::MomentViews first_moments;
    model::MomentViews second_moments;
  };
  // The whole model's arrays: borrowed from the compact model's, except for the
  // tables. Valid until either changes.
  Views whole(const model::Weights& weights,
              const model::Moments& first_moments,
              const model::Moments& second_moments);

 private:
  struct Table {
    size_t parameter;  // row of the parameter table
    std::vector<float> weights;
  };
  void catch_up();
  size_t width() const { return static_cast<size_t>(config_.hidden_size); }

  cpu::ThreadPool& pool_;
  model::ModelConfig config_;
  VocabularyMap map_;
  std::vector<Table> tables_;
  model::Moments first_moments_;  // a row per table
  model::Moments second_moments_;
  std::vector<int32_t> unused_;      // ids
  std::vector<cpu::AdamW> pending_;  // updates that unused rows still lack
};

}  // namespace aneroid::train
