// The attention programs: norm, projections, RoPE, grouped-query attention and
// residual.
#include "aneroid/kernels/attention_parts.h"
#include "aneroid/kernels/norm.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/kernels/sizes.h"
#include "aneroid/kernels/writer.h"

namespace aneroid::kernels {

using mil::Var;

namespace {

SurfaceLayout layout(const Sizes& n) {
  return {"attn",
          {{"x", n.model, n.columns},
           {"dx2", n.model, n.columns},
           {"q", n.query, n.columns},
           {"k", n.key, n.columns},
           {"v", n.key, n.columns},
           gain_block(n.model),
           {"wq", n.query, n.model},
           {"wk", n.key, n.model},
           {"wv", n.key, n.model},
           {"wo", n.model, n.query}}};
}

}  // namespace

Result<KernelProgram> attention_forward(const model::ModelConfig& config,
                                        int64_t sequence) {
  constexpr auto kName = "attn_fwd";
  ANEROID_ASSIGN(const Sizes n, check_sizes(kName, config, sequence));
  ANEROID_ASSIGN(KernelWriter w, KernelWriter::open(kName, n.columns, layout(n),
                                                    {{"x2", n.model},
                                                     {"xn", n.model},
                                                     {"q", n.query},
                                                     {"k", n.key},
                                                     {"v", n.key},
                                                     {"a", n.query}}));
  mil::Builder& b = w.mil();
  const Var x = w.activation("x");
  const Var xn = rms_norm(w, x, w.gain(), config.rms_norm_eps);

  const Rotation turn = rotation_tables(w, n, config.rope_theta);
  const Var q = rotate(w, w.times(w.weight("wq"), xn), turn, Turn::kForward);
  const Var k = rotate(w, w.times(w.weight("wk"), xn), key_rotation(w, n, turn),
                       Turn::kForward);
  const Var v = w.times(w.weight("wv"), xn);

  const Var p = probabilities(w, n, stack_groups(w, n, q), split_heads(w, n, k),
                              score_scale(w, n));
  const Var a = weighted_values(w, n, p, split_heads(w, n, v));

  const Var x2 = b.add(x, w.times(w.weight("wo"), a));
  return w.finish({x2, xn, q, k, v, a});
}

Result<KernelProgram> attention_backward(const model::ModelConfig& config,
                                         int64_t sequence) {
  constexpr auto kName = "attn_bwd";
  ANEROID_ASSIGN(const Sizes n, check_sizes(kName, config, sequence));
  ANEROID_ASSIGN(KernelWriter w, KernelWriter::open(kName, n.columns, layout(n),
                                                    {{"dx", n.model},
                                                     {"dxn", n.model},
                                                     {"dq", n.query},
                                                     {"dk", n.key},
                                                     {"dv", n.key}}));
  mil::Builder& b = w.mil();
  const Var dx2 = w.activation("dx2");
  const Var x = w.activation("x");
  const Var q = stack_groups(w, n, w.activation("q"));
  const Var k = split_heads(w, n, w.activation("k"));
  const Var v = split_heads(w, n, w.activation("v"));
  const Var da = stack_groups(w, n, w.transposed_times(w.weight("wo"), dx2));

  // a = P v; P = softmax(scores); scores = scale q^T k.
  const Var scale = score_scale(w, n);
  const Var p = probabilities(w, n, q, k, scale);
  const Var dv = merge_heads(w, n, b.matmul(da, p, true));
  const Var dp = b.matmul(da, v);
  const Var row_mean = b.reduce_sum(b.mul(p, dp), {-1});
  const Var ds = b.mul(b.mul(p, b.sub(dp, row_mean)), scale);
  const Var dq_turned = unstack_groups(w, n, b.matmul(ds, k, false, true));
  const Var dk_turned = merge_heads(w, n, b.matmul(q, ds, true));

  const Rotation turn = rotation_tables(w, n, config.rope_theta);
  const Var dq = rotate(w, dq_turned, turn, Turn::kBack);
  const Var dk = rotate(w, dk_turned, key_rotation(w, n, turn), Turn::kBack);

  const Var from_q = w.transposed_times(w.weight("wq"), dq);
  const Var from_k = w.transposed_times(w.weight("wk"), dk);
  const Var from_v = w.transposed_times(w.weight("wv"), dv);
  const Var dxn = b.add(b.add(from_q, from_k), from_v);
  const Var dx =
      b.add(dx2, rms_norm_backward(w, dxn, x, w.gain(), config.rms_norm_eps));
  return w.finish({dx, dxn, dq, dk, dv});
}

}  // namespace aneroid::kernels
