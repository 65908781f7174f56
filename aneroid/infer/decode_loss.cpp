#include "aneroid/infer/decode_loss.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace aneroid::infer {
namespace {

double nll(std::span<const float> logits, int32_t target) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return std::log(sum) + largest - logits[static_cast<size_t>(target)];
}

}  // namespace

double mean_nll(Decoder& decoder, std::span<const int32_t> tokens) {
  assert(tokens.size() >= 2);
  double sum = 0;
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (i % static_cast<size_t>(decoder.context()) == 0) decoder.clear();
    sum += nll(decoder.step(tokens[i]), tokens[i + 1]);
  }
  decoder.clear();
  return sum / static_cast<double>(tokens.size() - 1);
}

}  // namespace aneroid::infer
