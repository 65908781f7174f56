// The feed-forward programs: norm, SwiGLU and residual.
#include "aneroid/kernels/norm.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/kernels/sizes.h"
#include "aneroid/kernels/writer.h"

namespace aneroid::kernels {

using mil::Var;

namespace {

SurfaceLayout layout(const Sizes& n) {
  return {"ffn",
          {{"x2", n.model, n.columns},
           {"dy", n.model, n.columns},
           {"h1", n.hidden, n.columns},
           {"h3", n.hidden, n.columns},
           gain_block(n.model),
           {"w1", n.hidden, n.model},
           {"w3", n.hidden, n.model},
           {"w2", n.hidden, n.model}}};
}

}  // namespace

// silu(h) is written h sigmoid(h): the engine's own silu is a coarser table
// that is not zero around zero (rules N12, N13).
Result<KernelProgram> ffn_forward(const model::ModelConfig& config,
                                  int64_t sequence) {
  constexpr auto kName = "ffn_fwd";
  ANEROID_ASSIGN(const Sizes n, check_sizes(kName, config, sequence));
  ANEROID_ASSIGN(KernelWriter w, KernelWriter::open(kName, n.columns, layout(n),
                                                    {{"y", n.model},
                                                     {"xn2", n.model},
                                                     {"h1", n.hidden},
                                                     {"h3", n.hidden},
                                                     {"g", n.hidden}}));
  mil::Builder& b = w.mil();
  const Var x2 = w.activation("x2");
  const Var xn2 = rms_norm(w, x2, w.gain(), config.rms_norm_eps);
  const Var h1 = w.times(w.weight("w1"), xn2);
  const Var h3 = w.times(w.weight("w3"), xn2);
  const Var silu = b.mul(h1, b.sigmoid(h1));
  const Var g = b.mul(silu, h3);
  const Var y = b.add(x2, w.transposed_times(w.weight("w2"), g));
  return w.finish({y, xn2, h1, h3, g});
}

Result<KernelProgram> ffn_backward(const model::ModelConfig& config,
                                   int64_t sequence) {
  constexpr auto kName = "ffn_bwd";
  ANEROID_ASSIGN(const Sizes n, check_sizes(kName, config, sequence));
  ANEROID_ASSIGN(KernelWriter w, KernelWriter::open(kName, n.columns, layout(n),
                                                    {{"dx2", n.model},
                                                     {"dxn2", n.model},
                                                     {"dh1", n.hidden},
                                                     {"dh3", n.hidden}}));
  mil::Builder& b = w.mil();
  const Var dy = w.activation("dy");
  const Var x2 = w.activation("x2");
  const Var h1 = w.activation("h1");
  const Var h3 = w.activation("h3");

  const Var dg = w.times(w.weight("w2"), dy);
  const Var s = b.sigmoid(h1);
  const Var dh3 = b.mul(dg, b.mul(h1, s));
  // silu'(h) = s (1 + h (1 - s))
  const Var one = w.scalar(1.0);
  const Var slope = b.mul(s, b.add(b.mul(h1, b.sub(one, s)), one));
  const Var dh1 = b.mul(b.mul(dg, h3), slope);

  const Var dxn2 = b.add(w.transposed_times(w.weight("w1"), dh1),
                         w.transposed_times(w.weight("w3"), dh3));
  const Var dx2 =
      b.add(dy, rms_norm_backward(w, dxn2, x2, w.gain(), config.rms_norm_eps));
  return w.finish({dx2, dxn2, dh1, dh3});
}

}  // namespace aneroid::kernels
