#include "aneroid/kernels/pipeline.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>

namespace aneroid::kernels {
namespace {

template <typename Block>
const Block& find_block(const std::vector<Block>& blocks,
                        std::string_view name) {
  const auto at =
      std::find_if(blocks.begin(), blocks.end(),
                   [&](const Block& block) { return block.name == name; });
  assert(at != blocks.end() && "the kernel has no such block");
  if (at == blocks.end()) std::abort();
  return *at;
}

}  // namespace

const InputBlock& KernelProgram::input(std::string_view block) const {
  return find_block(inputs, block);
}
const OutputBlock& KernelProgram::output(std::string_view block) const {
  return find_block(outputs, block);
}

int64_t padded_columns(int64_t sequence) { return (sequence + 31) / 32 * 32; }

Result<DynamicPipeline> dynamic_pipeline(const model::ModelConfig& config,
                                         int64_t sequence) {
  DynamicPipeline p;
  ANEROID_ASSIGN(p.attn_fwd, attention_forward(config, sequence));
  ANEROID_ASSIGN(p.ffn_fwd, ffn_forward(config, sequence));
  ANEROID_ASSIGN(p.ffn_bwd, ffn_backward(config, sequence));
  ANEROID_ASSIGN(p.attn_bwd, attention_backward(config, sequence));
  ANEROID_ASSIGN(p.final_norm_fwd, final_norm_forward(config, sequence));
  ANEROID_ASSIGN(p.final_norm_bwd, final_norm_backward(config, sequence));
  ANEROID_ASSIGN(p.cls_fwd, classifier_forward(config, sequence));
  ANEROID_ASSIGN(p.cls_bwd, classifier_backward(config, sequence));
  p.tiles = vocabulary_tiles(config.vocab_size);
  return p;
}

}  // namespace aneroid::kernels
