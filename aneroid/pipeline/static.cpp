#include "aneroid/pipeline/static.h"

#include <algorithm>
#include <cassert>
#include <string>
#include <tuple>

#include "aneroid/cpu/gemm.h"
#include "aneroid/cpu/vector_math.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/pipeline/baked_kernel.h"
#include "aneroid/pipeline/host_norm.h"
#include "aneroid/pipeline/residual_scale.h"
#include "aneroid/pipeline/static_programs.h"
#include "aneroid/pipeline/token_columns.h"

namespace aneroid::pipeline {
namespace {

using Stream = std::vector<float>;  // [channels, columns]

// What the published loss adds to a probability before the logarithm.
constexpr float kLeastProbability = 1e-10F;

BlockView host_view(const Stream& stream, int64_t rows, int64_t columns) {
  return {{stream.data(), cpu::Storage::kFloat, columns, 1}, rows, columns};
}

}  // namespace

struct Static::Impl {
  Options options;
  cpu::ThreadPool* pool = nullptr;
  model::ModelConfig config;
  std::vector<model::ParameterSpec> table;
  int64_t sequence = 0;
  int64_t columns = 0;
  cpu::Accumulate accumulate = cpu::Accumulate::kFloat;
  std::unique_ptr<StaticPrograms> programs;

  // Of the staged weights: gains by parameter, and the classifier when it is
  // not the embedding that forward() is given.
  std::vector<std::vector<float>> gains;
  std::vector<float> untied_classifier;
  const float* classifier_weight = nullptr;

  std::vector<int32_t> tokens;
  Stream stream;   // the residual stream, and going back its gradient
  Stream scratch;  // [D, S]
  Stream normed;   // [D, S]
  Stream final_x;  // input of the final norm
  Stream xf, dxf;  // output of the final norm, and its gradient
  Stream logits;   // [V, S]
  Stream logit_gradients;
  cpu::GemmScratch gemm_scratch;

  int64_t width() const { return config.hidden_size; }
  NormShape norm_shape() const {
    return {width(), columns, config.rms_norm_eps};
  }
  size_t parameter(std::string_view role, int64_t of_layer = -1) const {
    const int64_t row = model::find_parameter(table, role, of_layer);
    assert(row >= 0);
    return static_cast<size_t>(row);
  }
  const float* gain(std::string_view role, int64_t of_layer = -1) const {
    return gains[parameter(role, of_layer)].data();
  }
  size_t classifier_parameter() const {
    return parameter(config.tie_word_embeddings ? "embed_tokens" : "lm_head");
  }

  void keep_host_weights(const model::Weights& weights);

  void add_to_stream(const BakedKernel& kernel, size_t index,
                     std::string_view block);
  Status classify_on_engine(const Account& account);
  void classify_on_host(const Account& account);
  void classify_backward(const GradientSink& sink, const Account& account);
  Status norm_backward(size_t index, const Account& account,
                       BakedKernel* kernel, const BakedKernel& from,
                       const BlockView& x, const SurfaceMatrix& x_surface,
                       const float* gain);
  Status layer_backward(size_t index, const GradientSink& sink,
                        const Account& account);
};

void Static::Impl::keep_host_weights(const model::Weights& weights) {
  gains.resize(table.size());
  for (size_t p = 0; p < table.size(); ++p) {
    if (table[p].shape.size() == 1) gains[p] = weights[p].data;
  }
  if (!config.tie_word_embeddings) {
    untied_classifier = weights[classifier_parameter()].data;
  }
}

Static::Static(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Static::~Static() = default;

Result<std::unique_ptr<Static>> Static::create(const Options& options,
                                               device::Device& device,
                                               cpu::ThreadPool& pool,
                                               const model::ModelConfig& config,
                                               int64_t sequence) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->pool = &pool;
  impl->config = config;
  impl->table = model::parameter_table(config);
  impl->sequence = sequence;
  impl->columns = kernels::padded_columns(sequence);
  impl->accumulate = device.info().storage == DataType::kFp32
                         ? cpu::Accumulate::kDouble
                         : cpu::Accumulate::kFloat;
  ANEROID_ASSIGN(impl->programs,
                 StaticPrograms::create(options, device, config, sequence));
  const auto small = static_cast<size_t>(config.hidden_size * impl->columns);
  for (Stream* stream : {&impl->stream, &impl->scratch, &impl->normed,
                         &impl->final_x, &impl->xf, &impl->dxf}) {
    stream->resize(small);
  }
  const auto large = static_cast<size_t>(config.vocab_size * impl->columns);
  impl->logits.resize(large);
  impl->logit_gradients.resize(large);
  return std::unique_ptr<Static>(new Static(std::move(impl)));
}

Status Static::stage(const model::Weights& weights) {
  Impl& m = *impl_;
  m.keep_host_weights(weights);
  return m.programs->stage(
      {*m.pool, m.table, weights, m.options.residual_scale});
}

bool Static::can_stage() const { return impl_->programs->can_stage(); }

int Static::compiles_per_stage() const {
  return impl_->programs->compiles_per_stage();
}

int64_t Static::rows_per_task(size_t parameter) const {
  const Shape& shape = impl_->table[parameter].shape;
  const int64_t columns = shape.size() == 1 ? 1 : shape[1];
  return std::max<int64_t>(1, (1 << 16) / columns);
}

void Static::Impl::add_to_stream(const BakedKernel& kernel, size_t index,
                                 std::string_view block) {
  read_rows(kernel.output(index, block), scratch.data(), columns, width(),
            columns);
  cpu::apply(cpu::BinaryOp::kAdd, {stream.data()}, {scratch.data()},
             stream.data(), stream.size());
}

Status Static::Impl::classify_on_engine(const Account& account) {
  auto& extras = programs->extras;
  write_rows(extras->final_rms.input(0, "x"), final_x.data(), columns, width(),
             columns);
  if (account) account(Part::kEngineForward);
  ANEROID_TRY(extras->final_rms.run(0));
  if (account) account(Part::kSurfaces);
  carry(extras->final_rms, 0, "xn", extras->classifier, 0, "x");
  if (account) account(Part::kEngineForward);
  ANEROID_TRY(extras->classifier.run(0));
  if (account) account(Part::kSurfaces);
  carry(extras->classifier, 0, "logits", extras->softmax, 0, "logits");
  if (account) account(Part::kEngineForward);
  ANEROID_TRY(extras->softmax.run(0));
  if (account) account(Part::kSurfaces);
  const cpu::ConstMatrix probabilities = extras->softmax.output(0, "probs");
  constexpr int64_t kRows = 32;
  pool->run((config.vocab_size + kRows - 1) / kRows, [&](int64_t task, int) {
    const int64_t first = task * kRows;
    const int64_t rows = std::min(kRows, config.vocab_size - first);
    float* part = logits.data() + first * columns;
    const auto count = static_cast<size_t>(rows * columns);
    read_rows(probabilities, part, columns, rows, columns, first);
    cpu::apply(cpu::BinaryOp::kMax, {part}, {&kLeastProbability, true}, part,
               count);
    cpu::apply(cpu::UnaryOp::kLog, part, part, count);
  });
  return {};
}

void Static::Impl::classify_on_host(const Account& account) {
  if (account) account(Part::kNorm);
  rms_norm(*pool, norm_shape(), final_x.data(), gain("norm"), xf.data());
  if (account) account(Part::kClassifier);
  cpu::GemmOptions sums;
  sums.accumulate = accumulate;
  cpu::gemm(*pool, gemm_scratch, {config.vocab_size, columns, width()},
            {classifier_weight, cpu::Storage::kFloat, width(), 1},
            {xf.data(), cpu::Storage::kFloat, columns, 1},
            {logits.data(), cpu::Storage::kFloat, columns, 1}, sums);
}

Status Static::forward(std::span<const int32_t> tokens, const float* embedding,
                       const Account& account) {
  Impl& m = *impl_;
  assert(m.programs->staged() &&
         static_cast<int64_t>(tokens.size()) <= m.sequence);
  const auto enter = [&](Part part) {
    if (account) account(part);
  };
  m.tokens.assign(tokens.begin(), tokens.end());
  m.classifier_weight =
      m.config.tie_word_embeddings ? embedding : m.untied_classifier.data();
  enter(Part::kSurfaces);
  embed_columns(tokens, embedding, m.width(), m.columns, m.stream);
  for (size_t l = 0; l < m.programs->layer.fwd_attn.copies(); ++l) {
    for (const auto& [kernel, in, out] :
         {std::tuple{&m.programs->layer.fwd_attn, "x", "o"},
          std::tuple{&m.programs->layer.fwd_ffn, "x2", "y"}}) {
      enter(Part::kSurfaces);
      write_rows(kernel->input(l, in), m.stream.data(), m.columns, m.width(),
                 m.columns);
      enter(Part::kEngineForward);
      ANEROID_TRY(kernel->run(l));
      enter(Part::kNorm);
      m.add_to_stream(*kernel, l, out);
    }
  }
  enter(Part::kSurfaces);
  m.final_x = m.stream;
  if (m.programs->extras) return m.classify_on_engine(account);
  m.classify_on_host(account);
  return {};
}

std::vector<LogitTile> Static::logits() {
  return {{reinterpret_cast<std::byte*>(impl_->logits.data()),
           cpu::Storage::kFloat, impl_->columns}};
}
std::vector<LogitTile> Static::logit_gradients() {
  return {{reinterpret_cast<std::byte*>(impl_->logit_gradients.data()),
           cpu::Storage::kFloat, impl_->columns}};
}
int64_t Static::tile_size() const { return impl_->config.vocab_size; }
int64_t Static::columns() const { return impl_->columns; }

void Static::Impl::classify_backward(const GradientSink& sink,
                                     const Account& account) {
  const auto enter = [&](Part part) {
    if (account) account(part);
  };
  const int64_t v = config.vocab_size;
  const auto& extras = programs->extras;
  enter(Part::kGradients);
  sink.weight({classifier_parameter(), 0,
               host_view(logit_gradients, v, columns),
               extras ? extras->classifier.input_view(0, "x")
                      : host_view(xf, width(), columns)});
  enter(Part::kClassifier);
  cpu::GemmOptions sums;
  sums.accumulate = accumulate;
  cpu::gemm(*pool, gemm_scratch, {width(), columns, v},
            {classifier_weight, cpu::Storage::kFloat, 1, width()},
            {logit_gradients.data(), cpu::Storage::kFloat, columns, 1},
            {dxf.data(), cpu::Storage::kFloat, columns, 1}, sums);
  enter(Part::kGradients);
  sink.gain({parameter("norm"), host_view(dxf, width(), columns),
             host_view(final_x, width(), columns)});
  enter(Part::kNorm);
  std::fill(stream.begin(), stream.end(), 0.0F);
  add_rms_norm_gradient(*pool, norm_shape(), dxf.data(), final_x.data(),
                        gain("norm"), stream.data());
}

// Adds to the stream the gradient at x of a norm whose output's gradient is
// the block "dx" of `from`.
Status Static::Impl::norm_backward(size_t index, const Account& account,
                                   BakedKernel* kernel, const BakedKernel& from,
                                   const BlockView& x,
                                   const SurfaceMatrix& x_surface,
                                   const float* gain_values) {
  if (kernel == nullptr) {
    if (account) account(Part::kNorm);
    read_rows(from.output(index, "dx"), scratch.data(), columns, width(),
              columns);
    read_rows(x.matrix, normed.data(), columns, width(), columns);
    add_rms_norm_gradient(*pool, norm_shape(), scratch.data(), normed.data(),
                          gain_values, stream.data());
    return {};
  }
  carry(from, index, "dx", *kernel, index, "dy");
  copy_rows(kernel->input(index, "x"), x_surface, width(), columns);
  if (account) account(Part::kEngineBackward);
  ANEROID_TRY(kernel->run(index));
  if (account) account(Part::kNorm);
  add_to_stream(*kernel, index, "dx");
  return {};
}

Status Static::Impl::layer_backward(size_t l, const GradientSink& sink,
                                    const Account& account) {
  const auto enter = [&](Part part) {
    if (account) account(part);
  };
  const auto of_layer = static_cast<int64_t>(l);
  const auto weight = [&](std::string_view role, const BlockView& dy,
                          const BlockView& x) {
    const size_t p = parameter(role, of_layer);
    enter(Part::kGradients);
    sink.weight(
        {p, 0, dy, x,
         static_cast<float>(staging_scale(table[p], options.residual_scale))});
    enter(Part::kSurfaces);
  };
  const auto gain_gradient = [&](std::string_view role, const BlockView& dxn,
                                 const BlockView& x) {
    enter(Part::kGradients);
    sink.gain({parameter(role, of_layer), dxn, x});
    enter(Part::kSurfaces);
  };
  const auto run = [&](BakedKernel& kernel) -> Status {
    enter(Part::kEngineBackward);
    ANEROID_TRY(kernel.run(l));
    enter(Part::kSurfaces);
    return {};
  };
  const auto put_stream = [&](BakedKernel& kernel, std::string_view block) {
    write_rows(kernel.input(l, block), stream.data(), columns, width(),
               columns);
  };
  auto& [fwd_attn, fwd_ffn, ffn_bwd, sdpa_bwd1, sdpa_bwd2, qkv_bwd] =
      programs->layer;
  auto& extras = programs->extras;

  enter(Part::kSurfaces);
  put_stream(ffn_bwd, "dffn");
  carry(fwd_ffn, l, "h1", ffn_bwd, l, "h1");
  carry(fwd_ffn, l, "h3", ffn_bwd, l, "h3");
  weight("down_proj", ffn_bwd.input_view(l, "dffn"),
         fwd_ffn.output_view(l, "g"));
  ANEROID_TRY(run(ffn_bwd));
  const BlockView xn2 = fwd_ffn.output_view(l, "xn2");
  const BlockView x2 = fwd_ffn.input_view(l, "x2");
  weight("gate_proj", ffn_bwd.output_view(l, "dh1"), xn2);
  weight("up_proj", ffn_bwd.output_view(l, "dh3"), xn2);
  gain_gradient("post_attention_layernorm", ffn_bwd.output_view(l, "dx"), x2);
  ANEROID_TRY(norm_backward(l, account, extras ? &extras->rms_bwd_ffn : nullptr,
                            ffn_bwd, x2, fwd_ffn.input(l, "x2"),
                            gain("post_attention_layernorm", of_layer)));

  enter(Part::kSurfaces);
  put_stream(sdpa_bwd1, "dx2");
  for (const char* block : {"q", "k", "v"}) {
    carry(fwd_attn, l, block, sdpa_bwd1, l, block);
  }
  weight("o_proj", sdpa_bwd1.input_view(l, "dx2"),
         fwd_attn.output_view(l, "a"));
  ANEROID_TRY(run(sdpa_bwd1));
  for (const char* block : {"probs", "dp"}) {
    carry(sdpa_bwd1, l, block, sdpa_bwd2, l, block);
  }
  for (const char* block : {"q", "k"}) {
    carry(fwd_attn, l, block, sdpa_bwd2, l, block);
  }
  ANEROID_TRY(run(sdpa_bwd2));
  for (const char* block : {"dq", "dk"}) {
    carry(sdpa_bwd2, l, block, qkv_bwd, l, block);
  }
  carry(sdpa_bwd1, l, "dv", qkv_bwd, l, "dv");
  const BlockView xn = fwd_attn.output_view(l, "xn");
  weight("q_proj", sdpa_bwd2.output_view(l, "dq"), xn);
  weight("k_proj", sdpa_bwd2.output_view(l, "dk"), xn);
  weight("v_proj", sdpa_bwd1.output_view(l, "dv"), xn);
  ANEROID_TRY(run(qkv_bwd));
  const BlockView x = fwd_attn.input_view(l, "x");
  gain_gradient("input_layernorm", qkv_bwd.output_view(l, "dx"), x);
  return norm_backward(l, account, extras ? &extras->rms_bwd_attn : nullptr,
                       qkv_bwd, x, fwd_attn.input(l, "x"),
                       gain("input_layernorm", of_layer));
}

Status Static::backward(const GradientSink& sink, std::vector<float>* dx,
                        const Account& account) {
  Impl& m = *impl_;
  m.classify_backward(sink, account);
  for (size_t l = m.programs->layer.fwd_attn.copies(); l-- > 0;) {
    ANEROID_TRY(m.layer_backward(l, sink, account));
  }
  if (dx == nullptr) return {};
  if (account) account(Part::kSurfaces);
  columns_to_rows(m.stream, m.width(), m.columns, m.tokens.size(), *dx);
  return {};
}

int64_t Static::surface_bytes() const {
  return impl_->programs->surface_bytes();
}
int Static::programs() const { return impl_->programs->loaded(); }
std::optional<PredictedStep> Static::predicted() const {
  return impl_->programs->predicted();
}

}  // namespace aneroid::pipeline
