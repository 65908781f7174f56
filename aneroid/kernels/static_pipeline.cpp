#include "aneroid/kernels/static_pipeline.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>

#include "aneroid/kernels/attention_parts.h"
#include "aneroid/kernels/norm.h"
#include "aneroid/kernels/sizes.h"
#include "aneroid/kernels/static_writer.h"

namespace aneroid::kernels {
namespace {

using mil::Var;

struct Request {
  const model::ModelConfig& config;
  int64_t sequence;
  StaticOptions options;
};

const OutputBlock& find_block(const std::vector<OutputBlock>& blocks,
                              std::string_view name) {
  const auto at = std::ranges::find(blocks, name, &OutputBlock::name);
  assert(at != blocks.end() && "the kernel has no such block");
  if (at == blocks.end()) std::abort();
  return *at;
}

Result<StaticProgram> forward_attention(const Request& request) {
  constexpr auto kName = "fwd_attn";
  const auto& [config, sequence, options] = request;
  ANEROID_ASSIGN(const Sizes n, check_sizes(kName, config, sequence));
  ANEROID_ASSIGN(StaticWriter writer,
                 StaticWriter::open(kName, n.columns, {{"x", n.model}},
                                    {{"o", n.model},
                                     {"q", n.query},
                                     {"k", n.key},
                                     {"v", n.key},
                                     {"a", n.query},
                                     {"xn", n.model}}));
  KernelWriter& w = writer.shared();
  const Var xn =
      rms_norm(w, writer.input("x"), writer.gain("input_layernorm", n.model),
               config.rms_norm_eps);
  Var q = writer.linear({"wq", "q_proj", n.query}, xn);
  Var k = writer.linear({"wk", "k_proj", n.key}, xn);
  const Var v = writer.linear({"wv", "v_proj", n.key}, xn);
  if (options.rope) {
    const Rotation turn = rotation_tables(w, n, config.rope_theta);
    q = rotate(w, q, turn, Turn::kForward);
    k = rotate(w, k, key_rotation(w, n, turn), Turn::kForward);
  }
  const Var p = probabilities(w, n, stack_groups(w, n, q), split_heads(w, n, k),
                              score_scale(w, n));
  const Var a = weighted_values(w, n, p, split_heads(w, n, v));
  const Var o = writer.linear({"wo", "o_proj", n.model}, a);
  return writer.finish({o, q, k, v, a, xn});
}

Result<StaticProgram> forward_ffn(const Request& request) {
  constexpr auto kName = "fwd_ffn";
  ANEROID_ASSIGN(const Sizes n,
                 check_sizes(kName, request.config, request.sequence));
  ANEROID_ASSIGN(StaticWriter writer,
                 StaticWriter::open(kName, n.columns, {{"x2", n.model}},
                                    {{"y", n.model},
                                     {"h1", n.hidden},
                                     {"h3", n.hidden},
                                     {"g", n.hidden},
                                     {"xn2", n.model}}));
  mil::Builder& b = writer.mil();
  const Var xn2 = rms_norm(writer.shared(), writer.input("x2"),
                           writer.gain("post_attention_layernorm", n.model),
                           request.config.rms_norm_eps);
  const Var h1 = writer.linear({"w1", "gate_proj", n.hidden}, xn2);
  const Var h3 = writer.linear({"w3", "up_proj", n.hidden}, xn2);
  const Var g = b.mul(b.mul(h1, b.sigmoid(h1)), h3);
  const Var y = writer.linear({"w2", "down_proj", n.model}, g);
  return writer.finish({y, h1, h3, g, xn2});
}

Result<StaticProgram> backward_ffn(const Request& request) {
  constexpr auto kName = "ffn_bwd";
  ANEROID_ASSIGN(const Sizes n,
                 check_sizes(kName, request.config, request.sequence));
  ANEROID_ASSIGN(StaticWriter writer,
                 StaticWriter::open(
                     kName, n.columns,
                     {{"dffn", n.model}, {"h1", n.hidden}, {"h3", n.hidden}},
                     {{"dx", n.model}, {"dh1", n.hidden}, {"dh3", n.hidden}}));
  mil::Builder& b = writer.mil();
  const Var h1 = writer.input("h1");
  const Var h3 = writer.input("h3");
  const Var dg =
      writer.linear({"w2t", "down_proj", n.hidden, true}, writer.input("dffn"));
  const Var s = b.sigmoid(h1);
  const Var dh3 = b.mul(dg, b.mul(h1, s));
  // silu'(h) = s (1 + h (1 - s))
  const Var one = writer.shared().scalar(1.0);
  const Var slope = b.mul(s, b.add(b.mul(h1, b.sub(one, s)), one));
  const Var dh1 = b.mul(b.mul(dg, h3), slope);
  const Var dx = b.add(writer.linear({"w1t", "gate_proj", n.model, true}, dh1),
                       writer.linear({"w3t", "up_proj", n.model, true}, dh3));
  return writer.finish({dx, dh1, dh3});
}

// [1, KV, R S, S] <-> [1, SC, 1, S]: channel h S + i is row i of head h.
Var flat_scores(StaticWriter& writer, const Sizes& n, const Var& scores) {
  return writer.mil().reshape(scores, {1, n.heads * n.columns, 1, n.columns});
}
Var grouped_scores(StaticWriter& writer, const Sizes& n, const Var& flat) {
  return writer.mil().reshape(flat,
                              {1, n.kv_heads, n.group * n.columns, n.columns});
}

Result<StaticProgram> backward_attention_1(const Request& request) {
  constexpr auto kName = "sdpa_bwd1";
  ANEROID_ASSIGN(const Sizes n,
                 check_sizes(kName, request.config, request.sequence));
  const int64_t scores = n.heads * n.columns;
  ANEROID_ASSIGN(
      StaticWriter writer,
      StaticWriter::open(
          kName, n.columns,
          {{"q", n.query}, {"k", n.key}, {"v", n.key}, {"dx2", n.model}},
          {{"dv", n.key}, {"probs", scores}, {"dp", scores}}));
  KernelWriter& w = writer.shared();
  mil::Builder& b = writer.mil();
  const Var da = stack_groups(
      w, n,
      writer.linear({"wot", "o_proj", n.query, true}, writer.input("dx2")));
  const Var p =
      probabilities(w, n, stack_groups(w, n, writer.input("q")),
                    split_heads(w, n, writer.input("k")), score_scale(w, n));
  const Var dv = merge_heads(w, n, b.matmul(da, p, true));
  const Var dp = b.matmul(da, split_heads(w, n, writer.input("v")));
  return writer.finish(
      {dv, flat_scores(writer, n, p), flat_scores(writer, n, dp)});
}

Result<StaticProgram> backward_attention_2(const Request& request) {
  constexpr auto kName = "sdpa_bwd2";
  const auto& [config, sequence, options] = request;
  ANEROID_ASSIGN(const Sizes n, check_sizes(kName, config, sequence));
  const int64_t scores = n.heads * n.columns;
  ANEROID_ASSIGN(
      StaticWriter writer,
      StaticWriter::open(
          kName, n.columns,
          {{"probs", scores}, {"dp", scores}, {"q", n.query}, {"k", n.key}},
          {{"dq", n.query}, {"dk", n.key}}));
  KernelWriter& w = writer.shared();
  mil::Builder& b = writer.mil();
  const Var p = grouped_scores(writer, n, writer.input("probs"));
  const Var dp = grouped_scores(writer, n, writer.input("dp"));
  const Var q = stack_groups(w, n, writer.input("q"));
  const Var k = split_heads(w, n, writer.input("k"));
  const Var row_mean = b.reduce_sum(b.mul(p, dp), {-1});
  const Var ds = b.mul(b.mul(p, b.sub(dp, row_mean)), score_scale(w, n));
  Var dq = unstack_groups(w, n, b.matmul(ds, k, false, true));
  Var dk = merge_heads(w, n, b.matmul(q, ds, true));
  if (options.rope) {
    const Rotation turn = rotation_tables(w, n, config.rope_theta);
    dq = rotate(w, dq, turn, Turn::kBack);
    dk = rotate(w, dk, key_rotation(w, n, turn), Turn::kBack);
  }
  return writer.finish({dq, dk});
}

Result<StaticProgram> backward_qkv(const Request& request) {
  constexpr auto kName = "qkv_bwd";
  ANEROID_ASSIGN(const Sizes n,
                 check_sizes(kName, request.config, request.sequence));
  ANEROID_ASSIGN(
      StaticWriter writer,
      StaticWriter::open(kName, n.columns,
                         {{"dq", n.query}, {"dk", n.key}, {"dv", n.key}},
                         {{"dx", n.model}}));
  mil::Builder& b = writer.mil();
  const auto through = [&](const char* file, const char* role,
                           const char* block) {
    return writer.linear({file, role, n.model, true}, writer.input(block));
  };
  const Var from_q = through("wqt", "q_proj", "dq");
  const Var from_k = through("wkt", "k_proj", "dk");
  const Var from_v = through("wvt", "v_proj", "dv");
  return writer.finish({b.add(b.add(from_q, from_k), from_v)});
}

Result<StaticProgram> backward_norm(const Request& request, const char* name,
                                    const char* role) {
  ANEROID_ASSIGN(const Sizes n,
                 check_sizes(name, request.config, request.sequence));
  ANEROID_ASSIGN(
      StaticWriter writer,
      StaticWriter::open(name, n.columns, {{"dy", n.model}, {"x", n.model}},
                         {{"dx", n.model}}));
  return writer.finish({rms_norm_backward(
      writer.shared(), writer.input("dy"), writer.input("x"),
      writer.gain(role, n.model), request.config.rms_norm_eps)});
}

Result<StaticProgram> final_norm(const Request& request) {
  constexpr auto kName = "final_rms";
  ANEROID_ASSIGN(const Sizes n,
                 check_sizes(kName, request.config, request.sequence));
  ANEROID_ASSIGN(StaticWriter writer,
                 StaticWriter::open(kName, n.columns, {{"x", n.model}},
                                    {{"xn", n.model}}));
  return writer.finish(
      {rms_norm(writer.shared(), writer.input("x"),
                writer.gain("norm", n.model), request.config.rms_norm_eps)});
}

Result<StaticProgram> classifier(const Request& request) {
  constexpr auto kName = "classifier";
  const model::ModelConfig& config = request.config;
  ANEROID_ASSIGN(const Sizes n, check_sizes(kName, config, request.sequence));
  ANEROID_ASSIGN(StaticWriter writer,
                 StaticWriter::open(kName, n.columns, {{"x", n.model}},
                                    {{"logits", config.vocab_size}}));
  const char* role = config.tie_word_embeddings ? "embed_tokens" : "lm_head";
  return writer.finish(
      {writer.linear({"embed", role, config.vocab_size}, writer.input("x"))});
}

Result<StaticProgram> softmax(const Request& request) {
  constexpr auto kName = "softmax";
  const int64_t vocabulary = request.config.vocab_size;
  ANEROID_ASSIGN(const Sizes n,
                 check_sizes(kName, request.config, request.sequence));
  ANEROID_ASSIGN(StaticWriter writer,
                 StaticWriter::open(kName, n.columns, {{"logits", vocabulary}},
                                    {{"probs", vocabulary}}));
  return writer.finish({writer.mil().softmax(writer.input("logits"), 1)});
}

}  // namespace

const OutputBlock& StaticProgram::input(std::string_view block) const {
  return find_block(inputs, block);
}
const OutputBlock& StaticProgram::output(std::string_view block) const {
  return find_block(outputs, block);
}

Result<StaticLayer> static_layer(const model::ModelConfig& config,
                                 int64_t sequence,
                                 const StaticOptions& options) {
  const Request request{config, sequence, options};
  StaticLayer layer;
  ANEROID_ASSIGN(layer.fwd_attn, forward_attention(request));
  ANEROID_ASSIGN(layer.fwd_ffn, forward_ffn(request));
  ANEROID_ASSIGN(layer.ffn_bwd, backward_ffn(request));
  ANEROID_ASSIGN(layer.sdpa_bwd1, backward_attention_1(request));
  ANEROID_ASSIGN(layer.sdpa_bwd2, backward_attention_2(request));
  ANEROID_ASSIGN(layer.qkv_bwd, backward_qkv(request));
  return layer;
}

Result<StaticExtras> static_extras(const model::ModelConfig& config,
                                   int64_t sequence) {
  const Request request{config, sequence, {}};
  StaticExtras extras;
  ANEROID_ASSIGN(extras.rms_bwd_attn,
                 backward_norm(request, "rms_bwd_attn", "input_layernorm"));
  ANEROID_ASSIGN(extras.rms_bwd_ffn, backward_norm(request, "rms_bwd_ffn",
                                                   "post_attention_layernorm"));
  ANEROID_ASSIGN(extras.final_rms, final_norm(request));
  ANEROID_ASSIGN(extras.classifier, classifier(request));
  ANEROID_ASSIGN(extras.softmax, softmax(request));
  return extras;
}

}  // namespace aneroid::kernels
