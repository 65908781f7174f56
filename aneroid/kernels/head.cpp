// The programs after the last layer: final norm and classifier.
#include "aneroid/kernels/norm.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/kernels/sizes.h"
#include "aneroid/kernels/writer.h"

namespace aneroid::kernels {

using mil::Var;

namespace {

SurfaceLayout norm_layout(const Sizes& n) {
  return {"final_norm",
          {{"x", n.model, n.columns},
           {"dxf", n.model, n.columns},
           gain_block(n.model)}};
}

SurfaceLayout classifier_layout(const Sizes& n, int64_t tile) {
  return {"cls",
          {{"xf", n.model, n.columns},
           {"dlogits", tile, n.columns, true},
           {"e", tile, n.model}}};
}

}  // namespace

Result<KernelProgram> final_norm_forward(const model::ModelConfig& config,
                                         int64_t sequence) {
  constexpr auto kName = "final_norm_fwd";
  ANEROID_ASSIGN(const Sizes n, check_sizes(kName, config, sequence));
  ANEROID_ASSIGN(
      KernelWriter w,
      KernelWriter::open(kName, n.columns, norm_layout(n), {{"xf", n.model}}));
  return w.finish(
      {rms_norm(w, w.activation("x"), w.gain(), config.rms_norm_eps)});
}

Result<KernelProgram> final_norm_backward(const model::ModelConfig& config,
                                          int64_t sequence) {
  constexpr auto kName = "final_norm_bwd";
  ANEROID_ASSIGN(const Sizes n, check_sizes(kName, config, sequence));
  ANEROID_ASSIGN(
      KernelWriter w,
      KernelWriter::open(kName, n.columns, norm_layout(n), {{"dx", n.model}}));
  const Var dxf = w.activation("dxf");
  const Var x = w.activation("x");
  return w.finish(
      {rms_norm_backward(w, dxf, x, w.gain(), config.rms_norm_eps)});
}

VocabularyTiles vocabulary_tiles(int64_t vocab_size) {
  constexpr int64_t kLargest = 8192;
  if (vocab_size <= 0) return {};
  const int64_t count = (vocab_size - 1) / kLargest + 1;
  return {count, padded_columns((vocab_size - 1) / count + 1)};
}

Result<KernelProgram> classifier_forward(const model::ModelConfig& config,
                                         int64_t sequence) {
  constexpr auto kName = "cls_fwd";
  ANEROID_ASSIGN(const Sizes n, check_sizes(kName, config, sequence));
  const int64_t tile = vocabulary_tiles(config.vocab_size).size;
  ANEROID_ASSIGN(KernelWriter w, KernelWriter::open(kName, n.columns,
                                                    classifier_layout(n, tile),
                                                    {{"logits", tile}}));
  return w.finish({w.times(w.weight("e"), w.activation("xf"))});
}

Result<KernelProgram> classifier_backward(const model::ModelConfig& config,
                                          int64_t sequence) {
  constexpr auto kName = "cls_bwd";
  ANEROID_ASSIGN(const Sizes n, check_sizes(kName, config, sequence));
  const int64_t tile = vocabulary_tiles(config.vocab_size).size;
  ANEROID_ASSIGN(KernelWriter w, KernelWriter::open(kName, n.columns,
                                                    classifier_layout(n, tile),
                                                    {{"dxf", n.model}}));
  return w.finish({w.transposed_times(w.weight("e"), w.activation("dlogits"))});
}

}  // namespace aneroid::kernels
