// Batches of windows of a shard, in an order that a checkpoint can save.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/random.h"
#include "aneroid/data/shard.h"

namespace aneroid::data {

// S inputs and the S tokens that follow them take S + 1 tokens of a shard.
struct Batch {
  int64_t size = 0;              // B
  int64_t sequence = 0;          // S
  std::vector<int32_t> inputs;   // [B, S]
  std::vector<int32_t> targets;  // [B, S]: inputs, one token later
};

enum class Order {
  kRandom,      // each window starts anywhere, all places equally likely
  kSequential,  // window n starts at token n * S; after the last, again at 0
};

struct LoaderOptions {
  int64_t batch = 1;
  int64_t sequence = 256;
  Order order = Order::kRandom;
  uint64_t seed = 0;  // of kRandom
  // What each id of the shard is called in batches; null: as it is.
  std::shared_ptr<const std::vector<int32_t>> renamed = nullptr;
};

// The last part of a shard, held out. `fraction` of the tokens, in [0, 1); no
// window of one range touches the other.
struct Split {
  TokenRange train;
  TokenRange validation;  // count 0 when fraction is 0
};

// Errors ("shard"): fraction out of range; a part (except an empty validation
// part) too short for one window of `sequence` + 1 tokens.
Result<Split> split_validation(const TokenShard& shard, double fraction,
                               int64_t sequence);

// Thread-compatible. The same shard, range and options give the same batches
// on every machine.
class DataLoader {
 public:
  // Errors ("shard"): the range leaves the shard or is too short for one
  // window of sequence + 1 tokens; ("data"): batch or sequence below 1, a
  // batch of more than 2^31 tokens.
  static Result<DataLoader> create(std::shared_ptr<const TokenShard> shard,
                                   TokenRange range,
                                   const LoaderOptions& options);

  // Fills `batch`, reusing its storage.
  void next(Batch& batch);

  // Different windows of the range: of kSequential those of one pass, of
  // kRandom the places to start.
  uint64_t windows() const;
  // Windows handed out so far.
  uint64_t position() const { return position_; }
  const LoaderOptions& options() const { return options_; }
  const TokenRange& range() const { return range_; }

  // All that the next batches depend on. The batch size may change over a
  // resume; restore refuses ("data") a state that belongs to another shard
  // size, range, sequence or order, or is malformed, and then leaves the
  // loader as it was.
  nlohmann::json state() const;
  Status restore(const nlohmann::json& state);

 private:
  DataLoader(std::shared_ptr<const TokenShard> shard, TokenRange range,
             const LoaderOptions& options);
  // What restore compares.
  nlohmann::json identity() const;

  std::shared_ptr<const TokenShard> shard_;
  TokenRange range_;
  LoaderOptions options_;
  Random random_;
  uint64_t position_ = 0;
};

}  // namespace aneroid::data
