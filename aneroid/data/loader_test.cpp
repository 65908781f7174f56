#include "aneroid/data/loader.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "aneroid/data/test_support.h"

namespace aneroid::data {
namespace {

using nlohmann::json;

// Token i is i, so that a window tells where it stands.
std::shared_ptr<const TokenShard> counting(int32_t tokens) {
  std::vector<int32_t> ids(tokens);
  std::iota(ids.begin(), ids.end(), 0);
  return std::make_shared<const TokenShard>(
      TokenShard::from_tokens(ids, tokens, "counting").value());
}

DataLoader loader(int32_t tokens, const LoaderOptions& options) {
  const auto shard = counting(tokens);
  return DataLoader::create(shard, shard->all(), options).value();
}

std::vector<int32_t> starts(DataLoader& from, int batches) {
  std::vector<int32_t> result;
  Batch batch;
  for (int i = 0; i < batches; ++i) {
    from.next(batch);
    EXPECT_EQ(batch.inputs.size(), batch.size * batch.sequence);
    for (int64_t row = 0; row < batch.size; ++row) {
      const size_t at = row * batch.sequence;
      result.push_back(batch.inputs[at]);
      for (int64_t k = 0; k < batch.sequence; ++k) {
        EXPECT_EQ(batch.inputs[at + k], batch.inputs[at] + k);
        EXPECT_EQ(batch.targets[at + k], batch.inputs[at] + k + 1);
      }
    }
  }
  return result;
}

TEST(RandomOrder, ReachesEveryPlaceAndNoMore) {
  DataLoader random = loader(20, {3, 8, Order::kRandom, 1});
  EXPECT_EQ(random.windows(), 12);
  const std::vector<int32_t> places = starts(random, 200);
  const std::set<int32_t> distinct(places.begin(), places.end());
  EXPECT_EQ(distinct.size(), 12);
  EXPECT_EQ(*distinct.begin(), 0);
  EXPECT_EQ(*distinct.rbegin(), 11);  // the last window ends with token 19
  EXPECT_EQ(random.position(), 600);
}

TEST(RandomOrder, FollowsTheSeed) {
  DataLoader one = loader(10000, {4, 16, Order::kRandom, 42});
  DataLoader same = loader(10000, {4, 16, Order::kRandom, 42});
  DataLoader other = loader(10000, {4, 16, Order::kRandom, 43});
  const auto places = starts(one, 20);
  EXPECT_EQ(places, starts(same, 20));
  EXPECT_NE(places, starts(other, 20));
}

TEST(SequentialOrder, StepsByTheSequenceAndStartsAgain) {
  // Window 2 would need token 24: there are 24, numbered to 23.
  DataLoader sequential = loader(24, {1, 8, Order::kSequential, 0});
  EXPECT_EQ(sequential.windows(), 2);
  EXPECT_EQ(starts(sequential, 5), (std::vector<int32_t>{0, 8, 0, 8, 0}));
  DataLoader longer = loader(25, {2, 8, Order::kSequential, 0});
  EXPECT_EQ(longer.windows(), 3);
  EXPECT_EQ(starts(longer, 2), (std::vector<int32_t>{0, 8, 16, 0}));
}

// The trainers before us computed n - S - 1 in unsigned arithmetic: a file
// of S + 1 tokens or fewer divided by zero or read far outside the map.
TEST(ShortFiles, AreRefusedAndTheShortestGoodOneWorks) {
  for (const Order order : {Order::kRandom, Order::kSequential}) {
    for (const int32_t tokens : {1, 2, 7, 8}) {
      const auto shard = counting(tokens);
      const auto refused =
          DataLoader::create(shard, shard->all(), {1, 8, order, 0});
      ASSERT_FALSE(refused) << tokens;
      EXPECT_EQ(refused.error().label, "shard");
      EXPECT_NE(refused.error().message.find(
                    "has " + std::to_string(tokens) +
                    " tokens; a sequence of 8 needs 9 at least"),
                std::string::npos);
    }
    DataLoader shortest = loader(9, {2, 8, order, 0});
    EXPECT_EQ(shortest.windows(), 1);
    EXPECT_EQ(starts(shortest, 2), (std::vector<int32_t>{0, 0, 0, 0}));
  }
}

TEST(Create, RefusesImpossibleRequests) {
  const auto shard = counting(100);
  constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max();
  for (const TokenRange range :
       {TokenRange{0, 101}, TokenRange{101, 0}, TokenRange{50, 51},
        TokenRange{50, kHuge}, TokenRange{kHuge, 50}}) {
    const auto refused = DataLoader::create(shard, range, {1, 8});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("are more than its 100"),
              std::string::npos);
  }
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  for (const auto& [batch, sequence] : {std::pair<int64_t, int64_t>{0, 8},
                                        {1, 0},
                                        {-1, 8},
                                        {1, -8},
                                        {kMost, 8},
                                        {1 << 20, 1 << 20},
                                        {1, kMost}}) {
    const auto refused =
        DataLoader::create(shard, shard->all(), {batch, sequence});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().label, "data");
  }
}

TEST(SplitValidation, WindowsNeverCross) {
  const auto shard = counting(1000);
  const Split split = split_validation(*shard, 0.1, 16).value();
  EXPECT_EQ(split.train.count, 900);
  EXPECT_EQ(split.validation.first, 900);
  EXPECT_EQ(split.validation.count, 100);
  for (const Order order : {Order::kRandom, Order::kSequential}) {
    auto train =
        DataLoader::create(shard, split.train, {8, 16, order, 3}).value();
    auto held =
        DataLoader::create(shard, split.validation, {8, 16, order, 3}).value();
    const auto train_starts = starts(train, 2000);
    const auto held_starts = starts(held, 200);
    EXPECT_LE(std::ranges::max(train_starts) + 16, 899);
    EXPECT_GE(std::ranges::min(held_starts), 900);
    EXPECT_LE(std::ranges::max(held_starts) + 16, 999);
  }
  const Split none = split_validation(*shard, 0, 16).value();
  EXPECT_EQ(none.train.count, 1000);
  EXPECT_EQ(none.validation.count, 0);
}

TEST(SplitValidation, RefusesPartsTooShortForAWindow) {
  const auto shard = counting(100);
  const auto message = [&](double fraction, int64_t sequence) {
    const auto split = split_validation(*shard, fraction, sequence);
    return split ? std::string("splits") : split.error().message;
  };
  EXPECT_NE(message(0.1, 10).find("held out for validation has 10 tokens"),
            std::string::npos);
  EXPECT_NE(message(0.001, 10).find("has 0 tokens"), std::string::npos);
  EXPECT_NE(message(0.95, 10).find("to train on has 5 tokens"),
            std::string::npos);
  for (const double fraction :
       {-0.1, 1.0, 7.0, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_NE(message(fraction, 10).find("cannot hold out"), std::string::npos);
  }
  EXPECT_NE(message(0.1, 0).find("cannot hold out"), std::string::npos);
}

TEST(State, ResumesWhereItWasSaved) {
  for (const Order order : {Order::kRandom, Order::kSequential}) {
    const LoaderOptions options{3, 16, order, 5};
    DataLoader whole = loader(5000, options);
    starts(whole, 7);
    const std::string saved = whole.state().dump();
    const auto expected = starts(whole, 50);
    DataLoader resumed = loader(5000, options);
    ASSERT_TRUE(resumed.restore(json::parse(saved)));
    EXPECT_EQ(resumed.position(), 21);
    EXPECT_EQ(starts(resumed, 50), expected);
    EXPECT_EQ(resumed.state(), whole.state());
  }
}

TEST(State, RefusesTheStateOfAnotherRun) {
  DataLoader here = loader(5000, {3, 16, Order::kRandom, 5});
  const json good = here.state();
  const auto expect_refusal = [&](const json& state, const std::string& why) {
    const Status refused = here.restore(state);
    ASSERT_FALSE(refused) << state;
    EXPECT_EQ(refused.error().label, "data");
    EXPECT_NE(refused.error().message.find(why), std::string::npos)
        << refused.error().message;
    EXPECT_EQ(here.state(), good);
  };
  for (const auto& [other, why] :
       {std::pair{loader(5001, {3, 16, Order::kRandom, 5}), "tokens = 5001"},
        {loader(5000, {3, 17, Order::kRandom, 5}), "sequence = 17"},
        {loader(5000, {3, 16, Order::kSequential, 5}),
         "order = \"sequential\""}}) {
    json state = other.state();
    state["count"] = good["count"];
    expect_refusal(state, why);
  }
  expect_refusal(json(), "is null, not an object");
  expect_refusal(json::array(), "is array, not an object");
  expect_refusal(json::object(), "count = nothing");
  for (const json& position : {json(), json(-1), json(1.5), json("1")}) {
    json state = good;
    state["position"] = position;
    expect_refusal(state, "no \"position\"");
  }
  const std::string zero(16, '0');
  for (const json& words :
       {json(), json::array(), json({1, 2, 3, 4}), json({"1", "2", "3", "4"}),
        json({zero, zero, zero, zero}),
        json({zero, zero, zero, "000000000000000g"}),
        json({zero, zero, zero, "\xFF\xFF"})}) {
    json state = good;
    state["random"] = words;
    expect_refusal(state, "no \"random\"");
  }
}

}  // namespace
}  // namespace aneroid::data
