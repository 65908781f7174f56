#include "aneroid/pipeline/dynamic.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <string>
#include <utility>

#include "aneroid/pipeline/blocks.h"
#include "aneroid/pipeline/residual_scale.h"
#include "aneroid/pipeline/token_columns.h"

namespace aneroid::pipeline {
namespace {

// A forward program and its gradient, on the surface that both read.
struct Pair {
  InputSurfaces in;
  Kernel forward;
  Kernel backward;
  // What only weight gradients need of the forward output, per layer.
  HostBlocks kept;

  Status run_forward(size_t index) {
    return forward.run(in.surface(index), index);
  }
  Status run_backward(size_t index) {
    return backward.run(in.surface(index), index);
  }
};

// A layer tells 9 gradients: with outputs for two layers, a layer's are
// overwritten when all of the next layer's have been told.
constexpr int64_t kBackwardOutputs = 2;
static_assert(9 >= kGradientsInFlight);

}  // namespace

struct Dynamic::Impl {
  model::ModelConfig config;
  DynamicOptions options;
  cpu::ThreadPool* pool = nullptr;
  std::vector<model::ParameterSpec> table;
  kernels::VocabularyTiles tiles;
  int64_t columns = 0;
  Pair attn, ffn, final_norm, cls;
  BlockCopies copies;
  std::vector<int32_t> tokens;
  std::vector<float> activations;  // [D, S] scratch
  std::vector<float> partial;      // [D, S] scratch

  size_t layers() const {
    return static_cast<size_t>(config.num_hidden_layers);
  }
  std::array<const Pair*, 4> pairs() const {
    return {&attn, &ffn, &final_norm, &cls};
  }
  const InputSurfaces& surfaces(std::string_view name) const;
  size_t parameter(std::string_view role, int64_t layer = -1) const {
    const int64_t row = model::find_parameter(table, role, layer);
    assert(row >= 0);
    return static_cast<size_t>(row);
  }
  Status prepare(device::Device& device, Pair& pair,
                 kernels::KernelProgram forward,
                 kernels::KernelProgram backward, int64_t inputs,
                 int64_t forward_outputs);
  Status layer_forward(size_t layer, const Account& account);
  Status layer_backward(size_t layer, const GradientSink& sink,
                        const Account& account);
};

const InputSurfaces& Dynamic::Impl::surfaces(std::string_view name) const {
  const auto all = pairs();
  const auto found = std::ranges::find_if(
      all, [&](const Pair* pair) { return pair->in.name() == name; });
  assert(found != all.end());
  return (*found)->in;
}

Status Dynamic::Impl::prepare(device::Device& device, Pair& pair,
                              kernels::KernelProgram forward,
                              kernels::KernelProgram backward, int64_t inputs,
                              int64_t forward_outputs) {
  ANEROID_TRY(pair.in.allocate(device, forward, inputs));
  ANEROID_TRY(
      pair.forward.prepare(device, std::move(forward), forward_outputs));
  if (!options.backward) return {};
  const int64_t outputs =
      options.keep_operands ? inputs : std::min(inputs, kBackwardOutputs);
  return pair.backward.prepare(device, std::move(backward), outputs);
}

Dynamic::Dynamic(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Dynamic::~Dynamic() = default;

Result<std::unique_ptr<Dynamic>> Dynamic::create(
    device::Device& device, cpu::ThreadPool& pool,
    const model::ModelConfig& config, const DynamicOptions& options) {
  ANEROID_ASSIGN(kernels::DynamicPipeline programs,
                 kernels::dynamic_pipeline(config, options.sequence));
  auto impl = std::make_unique<Impl>();
  impl->config = config;
  impl->options = options;
  impl->pool = &pool;
  impl->table = model::parameter_table(config);
  impl->tiles = programs.tiles;
  impl->columns = programs.attn_fwd.columns;
  const int64_t layers = config.num_hidden_layers;
  const int64_t tiles = programs.tiles.count;
  ANEROID_TRY(impl->prepare(device, impl->attn, std::move(programs.attn_fwd),
                            std::move(programs.attn_bwd), layers, 1));
  ANEROID_TRY(impl->prepare(device, impl->ffn, std::move(programs.ffn_fwd),
                            std::move(programs.ffn_bwd), layers, 1));
  ANEROID_TRY(impl->prepare(device, impl->final_norm,
                            std::move(programs.final_norm_fwd),
                            std::move(programs.final_norm_bwd), 1, 1));
  // The loss needs the logits of all tiles at once.
  ANEROID_TRY(impl->prepare(device, impl->cls, std::move(programs.cls_fwd),
                            std::move(programs.cls_bwd), tiles, tiles));
  if (options.backward) {
    const cpu::Storage storage = impl->attn.in.block(0, "x").matrix.storage;
    const int64_t d = config.hidden_size;
    ANEROID_ASSIGN(
        impl->attn.kept,
        HostBlocks::allocate(storage, impl->columns,
                             {{"xn", d}, {"a", config.query_dim()}}, layers));
    ANEROID_ASSIGN(impl->ffn.kept,
                   HostBlocks::allocate(
                       storage, impl->columns,
                       {{"xn2", d}, {"g", config.intermediate_size}}, layers));
  }
  const auto elements = static_cast<size_t>(config.hidden_size * impl->columns);
  impl->activations.resize(elements);
  impl->partial.resize(elements);
  return std::unique_ptr<Dynamic>(new Dynamic(std::move(impl)));
}

Status Dynamic::stage(const model::Weights& weights) {
  for (size_t p = 0; p < weights.size(); ++p) {
    const Shape& shape = weights[p].shape;
    const int64_t rows = shape[0];
    const int64_t columns = shape.size() == 1 ? 1 : shape[1];
    const int64_t chunk = rows_per_task(p);
    impl_->pool->run((rows + chunk - 1) / chunk, [&](int64_t task, int) {
      const int64_t first = task * chunk;
      stage_block(p, weights[p].data.data(),
                  {first, std::min(chunk, rows - first), 0, columns});
    });
  }
  return {};
}

int64_t Dynamic::rows_per_task(size_t parameter) const {
  // Enough work to be worth handing out, in multiples of a cache line of fp16.
  const Shape& shape = impl_->table[parameter].shape;
  const int64_t columns = shape.size() == 1 ? 1 : shape[1];
  return std::max<int64_t>(32, (1 << 16) / columns / 32 * 32);
}

void Dynamic::stage_block(size_t parameter, const float* tensor,
                          const Block& block) const {
  const model::ParameterSpec& spec = impl_->table[parameter];
  if (!spec.use) return;
  const InputSurfaces& surfaces = impl_->surfaces(spec.use->surface);
  const int64_t width = spec.shape.size() == 1 ? 1 : spec.shape[1];
  const int64_t end = block.first_row + block.rows;
  // The classifier's tensor is spread over tiles by rows.
  const bool tiled = spec.use->surface == "cls";
  for (int64_t row = block.first_row; row < end;) {
    const int64_t tile = tiled ? row / impl_->tiles.size : 0;
    const int64_t tile_start = tile * impl_->tiles.size;
    const int64_t stop =
        tiled ? std::min(end, tile_start + impl_->tiles.size) : end;
    const ScaledRows from(tensor + row * width + block.first_column, width,
                          stop - row, block.columns,
                          staging_scale(spec, impl_->options.residual_scale));
    const int64_t index = tiled ? tile : std::max<int64_t>(0, spec.layer);
    SurfaceMatrix to =
        surfaces.block(static_cast<size_t>(index), spec.use->block).matrix;
    if (spec.use->transposed) {
      to.data = to.at(block.first_column, row - tile_start);
      write_transposed(to, from.data(), from.stride(), block.columns,
                       stop - row);
    } else {
      to.data = to.at(row - tile_start, block.first_column);
      write_rows(to, from.data(), from.stride(), stop - row, block.columns);
    }
    row = stop;
  }
}

Status Dynamic::Impl::layer_forward(size_t l, const Account& account) {
  const auto enter = [&](Part part) {
    if (account) account(part);
  };
  enter(Part::kEngineForward);
  ANEROID_TRY(attn.run_forward(l));
  enter(Part::kSurfaces);
  const auto from_attn = [&](std::string_view name) {
    return attn.forward.output(l, name);
  };
  copies.add(from_attn("x2"), ffn.in.block(l, "x2"));
  copies.add(from_attn("k"), attn.in.block(l, "k"));
  copies.add(from_attn("v"), attn.in.block(l, "v"));
  if (options.backward) {
    copies.add(from_attn("q"), attn.in.block(l, "q"));
    copies.add(from_attn("xn"), attn.kept.block(l, "xn"));
    copies.add(from_attn("a"), attn.kept.block(l, "a"));
  }
  copies.run(*pool);
  enter(Part::kEngineForward);
  ANEROID_TRY(ffn.run_forward(l));
  enter(Part::kSurfaces);
  const auto from_ffn = [&](std::string_view name) {
    return ffn.forward.output(l, name);
  };
  copies.add(from_ffn("y"), l + 1 < layers() ? attn.in.block(l + 1, "x")
                                             : final_norm.in.block(0, "x"));
  if (options.backward) {
    copies.add(from_ffn("h1"), ffn.in.block(l, "h1"));
    copies.add(from_ffn("h3"), ffn.in.block(l, "h3"));
    copies.add(from_ffn("xn2"), ffn.kept.block(l, "xn2"));
    copies.add(from_ffn("g"), ffn.kept.block(l, "g"));
  }
  copies.run(*pool);
  return {};
}

Status Dynamic::forward(std::span<const int32_t> tokens, const float* embedding,
                        const Account& account) {
  Impl& m = *impl_;
  assert(static_cast<int64_t>(tokens.size()) <= m.options.sequence);
  const auto enter = [&](Part part) {
    if (account) account(part);
  };
  enter(Part::kSurfaces);
  m.tokens.assign(tokens.begin(), tokens.end());
  const int64_t d = m.config.hidden_size;
  embed_columns(tokens, embedding, d, m.columns, m.activations);
  write_rows(m.attn.in.block(0, "x").matrix, m.activations.data(), m.columns, d,
             m.columns);
  for (size_t l = 0; l < m.layers(); ++l) {
    ANEROID_TRY(m.layer_forward(l, account));
  }
  enter(Part::kEngineForward);
  ANEROID_TRY(m.final_norm.run_forward(0));
  enter(Part::kSurfaces);
  for (size_t t = 0; t < m.cls.in.count(); ++t) {
    m.copies.add(m.final_norm.forward.output(0, "xf"), m.cls.in.block(t, "xf"));
  }
  m.copies.run(*m.pool);
  enter(Part::kEngineForward);
  for (size_t t = 0; t < m.cls.in.count(); ++t) {
    ANEROID_TRY(m.cls.run_forward(t));
  }
  return {};
}

std::vector<LogitTile> Dynamic::logits() {
  std::vector<LogitTile> tiles;
  for (size_t t = 0; t < impl_->cls.in.count(); ++t) {
    const SurfaceMatrix m = impl_->cls.forward.output(t, "logits").matrix;
    tiles.push_back({m.data, m.storage, m.row_stride});
  }
  return tiles;
}

std::vector<LogitTile> Dynamic::logit_gradients() {
  std::vector<LogitTile> tiles;
  for (size_t t = 0; t < impl_->cls.in.count(); ++t) {
    const SurfaceMatrix m = impl_->cls.in.block(t, "dlogits").matrix;
    tiles.push_back({m.data, m.storage, m.row_stride});
  }
  return tiles;
}

int64_t Dynamic::tile_size() const { return impl_->tiles.size; }
int64_t Dynamic::columns() const { return impl_->columns; }

int64_t Dynamic::surface_bytes() const {
  int64_t sum = 0;
  for (const Pair* pair : impl_->pairs()) {
    sum += pair->in.bytes() + pair->forward.output_bytes() +
           pair->backward.output_bytes();
  }
  return sum;
}

int Dynamic::programs() const {
  return static_cast<int>(impl_->pairs().size()) *
         (impl_->options.backward ? 2 : 1);
}

std::optional<PredictedStep> Dynamic::predicted() const {
  PredictedStep step;
  for (const Pair* pair : impl_->pairs()) {
    for (const Kernel* kernel : {&pair->forward, &pair->backward}) {
      if (!kernel->is_prepared()) continue;  // forward only
      const device::PredictedTime* time = kernel->predicted();
      if (time == nullptr) return std::nullopt;
      add_program(step, kernel->name(), static_cast<int64_t>(pair->in.count()),
                  *time);
    }
  }
  return step;
}

BlockView Dynamic::keys(int64_t layer) const {
  return impl_->attn.in.block(static_cast<size_t>(layer), "k").view();
}
BlockView Dynamic::values(int64_t layer) const {
  return impl_->attn.in.block(static_cast<size_t>(layer), "v").view();
}

Status Dynamic::Impl::layer_backward(size_t l, const GradientSink& sink,
                                     const Account& account) {
  const auto enter = [&](Part part) {
    if (account) account(part);
  };
  const auto layer = static_cast<int64_t>(l);
  const auto weight = [&](std::string_view role, const MatrixBlock& dy,
                          const MatrixBlock& x) {
    const size_t p = parameter(role, layer);
    const double scale = staging_scale(table[p], options.residual_scale);
    enter(Part::kGradients);
    sink.weight({p, 0, dy.view(), x.view(), static_cast<float>(scale)});
    enter(Part::kSurfaces);
  };
  const auto gain = [&](std::string_view role, const MatrixBlock& dxn,
                        const MatrixBlock& x) {
    enter(Part::kGradients);
    sink.gain({parameter(role, layer), dxn.view(), x.view()});
    enter(Part::kSurfaces);
  };
  const auto from_ffn = [&](std::string_view name) {
    return ffn.backward.output(l, name);
  };
  const auto from_attn = [&](std::string_view name) {
    return attn.backward.output(l, name);
  };

  // dy is in place, and the rest since the forward pass.
  weight("down_proj", ffn.in.block(l, "dy"), ffn.kept.block(l, "g"));
  enter(Part::kEngineBackward);
  ANEROID_TRY(ffn.run_backward(l));
  enter(Part::kSurfaces);
  copies.add(from_ffn("dx2"), attn.in.block(l, "dx2"));
  copies.run(*pool);
  const MatrixBlock xn2 = ffn.kept.block(l, "xn2");
  weight("gate_proj", from_ffn("dh1"), xn2);
  weight("up_proj", from_ffn("dh3"), xn2);
  gain("post_attention_layernorm", from_ffn("dxn2"), ffn.in.block(l, "x2"));

  weight("o_proj", attn.in.block(l, "dx2"), attn.kept.block(l, "a"));
  enter(Part::kEngineBackward);
  ANEROID_TRY(attn.run_backward(l));
  enter(Part::kSurfaces);
  if (l > 0) {
    copies.add(from_attn("dx"), ffn.in.block(l - 1, "dy"));
    copies.run(*pool);
  }
  const MatrixBlock xn = attn.kept.block(l, "xn");
  weight("q_proj", from_attn("dq"), xn);
  weight("k_proj", from_attn("dk"), xn);
  weight("v_proj", from_attn("dv"), xn);
  gain("input_layernorm", from_attn("dxn"), attn.in.block(l, "x"));
  return {};
}

Status Dynamic::backward(const GradientSink& sink, std::vector<float>* dx,
                         const Account& account) {
  Impl& m = *impl_;
  const auto enter = [&](Part part) {
    if (account) account(part);
  };
  const int64_t d = m.config.hidden_size;
  const int64_t s = m.columns;
  const bool tied = m.config.tie_word_embeddings;
  const size_t classifier = m.parameter(tied ? "embed_tokens" : "lm_head");
  const auto norm_block = [&](std::string_view name) {
    return m.final_norm.in.block(0, name);
  };

  std::fill(m.activations.begin(), m.activations.end(), 0.0F);
  for (size_t t = 0; t < m.cls.in.count(); ++t) {
    const int64_t first = static_cast<int64_t>(t) * m.tiles.size;
    BlockView dlogits = m.cls.in.block(t, "dlogits").view();
    // The last tile is padded beyond the vocabulary.
    dlogits.rows = std::min(dlogits.rows, m.config.vocab_size - first);
    enter(Part::kGradients);
    sink.weight({classifier, first, dlogits,
                 m.final_norm.forward.output(0, "xf").view(),
                 1.0F / logit_gradient_scale()});
    enter(Part::kEngineBackward);
    ANEROID_TRY(m.cls.run_backward(t));
    enter(Part::kSurfaces);
    read_rows(m.cls.backward.output(t, "dxf").matrix, m.partial.data(), s, d,
              s);
    for (size_t i = 0; i < m.partial.size(); ++i) {
      m.activations[i] += m.partial[i] / logit_gradient_scale();
    }
  }
  write_rows(norm_block("dxf").matrix, m.activations.data(), s, d, s);
  enter(Part::kGradients);
  sink.gain(
      {m.parameter("norm"), norm_block("dxf").view(), norm_block("x").view()});
  enter(Part::kEngineBackward);
  ANEROID_TRY(m.final_norm.run_backward(0));
  enter(Part::kSurfaces);
  m.copies.add(m.final_norm.backward.output(0, "dx"),
               m.ffn.in.block(m.layers() - 1, "dy"));
  m.copies.run(*m.pool);
  for (size_t l = m.layers(); l-- > 0;) {
    ANEROID_TRY(m.layer_backward(l, sink, account));
  }
  if (dx != nullptr) {
    read_rows(m.attn.backward.output(0, "dx").matrix, m.activations.data(), s,
              d, s);
    columns_to_rows(m.activations, d, s, m.tokens.size(), *dx);
  }
  return {};
}

}  // namespace aneroid::pipeline
