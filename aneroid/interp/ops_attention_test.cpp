#include <cmath>

#include <gtest/gtest.h>

#include "aneroid/interp/test_support.h"

namespace aneroid::interp {
namespace {

constexpr auto kAttention = "scaled_dot_product_attention";

// Two queries over three keys; the second query is zero: equal weights.
const HostTensor kQuery = fp32({1, 2, 4}, {2, 0, 0, 0, 0, 0, 0, 0});
const HostTensor kKey = fp32({1, 3, 4}, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0});
const HostTensor kValue = fp32({1, 3, 2}, {1, 10, 2, 20, 4, 40});

HostTensor mixture(const std::vector<std::vector<double>>& weights) {
  HostTensor result = fp32({1, 2, 2}, {});
  for (const auto& row : weights) {
    double sum = 0;
    for (const double w : row) sum += w;
    const double v = (row[0] + 2 * row[1] + 4 * row[2]) / sum;
    result.data.push_back(v);
    result.data.push_back(10 * v);
  }
  return result;
}

TEST(Attention, MixesValuesBySoftmaxOfScaledScores) {
  const double e = std::exp(2.0 * 1.0 / std::sqrt(4.0));
  expect_op(kAttention, {{"query", kQuery}, {"key", kKey}, {"value", kValue}},
            {}, mixture({{e, 1, 1}, {1, 1, 1}}));
}

TEST(Attention, AddsAMaskAndKeepsWhereABoolOneIsTrue) {
  const double e = std::exp(1.0);
  expect_op(kAttention,
            {{"query", kQuery},
             {"key", kKey},
             {"value", kValue},
             {"attn_mask", fp32({2, 3}, {0, -kInf, 0, 0, 0, std::log(2.0)})}},
            {}, mixture({{e, 0, 1}, {1, 1, 2}}));
  expect_op(kAttention,
            {{"query", kQuery},
             {"key", kKey},
             {"value", kValue},
             {"attn_mask", boolean({1, 2, 3}, {1, 1, 0, 0, 1, 1})}},
            {}, mixture({{e, 1, 0}, {0, 1, 1}}));
}

TEST(Attention, RefusesWhatDoesNotFit) {
  expect_refusal(kAttention,
                 {{"query", kQuery}, {"key", kValue}, {"value", kValue}}, {},
                 "do not fit");
  expect_refusal(kAttention,
                 {{"query", kQuery},
                  {"key", kKey},
                  {"value", kValue},
                  {"attn_mask", fp32({5, 2, 3}, std::vector<double>(30, 0))}},
                 {}, "attn_mask");
}

}  // namespace
}  // namespace aneroid::interp
