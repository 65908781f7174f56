#include "aneroid/pipeline/dynamic.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <string>

#include "aneroid/pipeline/residual_scale.h"
#include "aneroid/pipeline/surface_io.h"
#include "aneroid/pipeline/token_columns.h"

namespace aneroid::pipeline {
namespace {

// A program with its surfaces: one pair per layer or per vocabulary tile.
struct Kernel {
  kernels::KernelProgram program;
  std::unique_ptr<device::Executable> executable;
  std::vector<std::unique_ptr<device::Surface>> inputs;
  std::vector<std::unique_ptr<device::Surface>> outputs;

  SurfaceMatrix input(size_t index, std::string_view block) const {
    const kernels::InputBlock& b = program.input(block);
    SurfaceMatrix whole = matrix(*inputs[index], program.width);
    whole.data = whole.at(0, b.column);
    return whole;
  }
  SurfaceMatrix output(size_t index, std::string_view block) const {
    const kernels::OutputBlock& b = program.output(block);
    SurfaceMatrix whole = matrix(*outputs[index], program.columns);
    whole.data = whole.at(b.channel, 0);
    return whole;
  }
  BlockView input_view(size_t index, std::string_view block) const {
    const kernels::InputBlock& b = program.input(block);
    return view(input(index, block), b.rows, b.columns);
  }
  BlockView output_view(size_t index, std::string_view block) const {
    return view(output(index, block), program.output(block).channels,
                program.columns);
  }

  Status run(size_t index) {
    device::Surface* in = inputs[index].get();
    device::Surface* out = outputs[index].get();
    return executable->run({&in, 1}, {&out, 1});
  }

 private:
  static SurfaceMatrix matrix(device::Surface& surface, int64_t row_stride) {
    return {surface.bytes().data(),
            surface.storage() == DataType::kFp16 ? cpu::Storage::kHalf
                                                 : cpu::Storage::kFloat,
            row_stride};
  }
  static BlockView view(const SurfaceMatrix& m, int64_t rows, int64_t columns) {
    return {{m.data, m.storage, m.row_stride, 1}, rows, columns};
  }
};

}  // namespace

struct Dynamic::Impl {
  model::ModelConfig config;
  DynamicOptions options;
  cpu::ThreadPool* pool = nullptr;
  std::vector<model::ParameterSpec> table;
  kernels::VocabularyTiles tiles;
  Kernel attn_fwd, ffn_fwd, ffn_bwd, attn_bwd;
  Kernel final_norm_fwd, final_norm_bwd, cls_fwd, cls_bwd;
  std::vector<int32_t> tokens;
  std::vector<float> activations;  // [D, S] scratch
  std::vector<float> partial;      // [D, S] scratch
  int64_t surface_bytes = 0;
  int programs = 0;

  int64_t layers() const { return config.num_hidden_layers; }
  int64_t columns() const { return attn_fwd.program.columns; }
  size_t last_layer() const { return static_cast<size_t>(layers()) - 1; }

  // In the order in which a micro-step runs them.
  std::array<const Kernel*, 8> kernels() const {
    return {&attn_fwd, &ffn_fwd,        &final_norm_fwd, &cls_fwd,
            &cls_bwd,  &final_norm_bwd, &ffn_bwd,        &attn_bwd};
  }
  const Kernel* kernel(std::string_view name) const;
  Status prepare(device::Device& device, Kernel& kernel,
                 kernels::KernelProgram program, int64_t copies);
  size_t parameter(std::string_view role, int64_t layer = -1) const {
    const int64_t row = model::find_parameter(table, role, layer);
    assert(row >= 0);
    return static_cast<size_t>(row);
  }
  // Copies a block of one kernel's output into another's input.
  static void carry(const Kernel& from, size_t from_index,
                    std::string_view from_block, const Kernel& to,
                    size_t to_index, std::string_view to_block) {
    const kernels::OutputBlock& b = from.program.output(from_block);
    copy_rows(to.input(to_index, to_block), from.output(from_index, from_block),
              b.channels, from.program.columns);
  }
  Status layer_backward(size_t layer, const GradientSink& sink,
                        const Account& account);
};

const Kernel* Dynamic::Impl::kernel(std::string_view name) const {
  for (const Kernel* k : kernels()) {
    if (k->program.name == name) return k;
  }
  return nullptr;
}

Status Dynamic::Impl::prepare(device::Device& device, Kernel& kernel,
                              kernels::KernelProgram program, int64_t copies) {
  device::ModelSource source;
  source.name = program.name;
  source.mil_text = program.mil_text;
  for (const auto& [path, file] : program.weights) {
    source.weights[path] = file;
  }
  ANEROID_ASSIGN(kernel.executable, device.compile(source));
  ++programs;
  kernel.program = std::move(program);
  const auto allocate =
      [&](std::vector<std::unique_ptr<device::Surface>>& surfaces,
          int64_t elements) -> Status {
    ANEROID_ASSIGN(auto surface, device.allocate(DataType::kFp16, elements));
    surface_bytes += static_cast<int64_t>(surface->bytes().size());
    surfaces.push_back(std::move(surface));
    return {};
  };
  for (int64_t i = 0; i < copies; ++i) {
    ANEROID_TRY(
        allocate(kernel.inputs, kernel.program.rows * kernel.program.width));
    ANEROID_TRY(allocate(kernel.outputs,
                         kernel.program.channels * kernel.program.columns));
  }
  return {};
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
  const int64_t layers = config.num_hidden_layers;
  const int64_t tiles = programs.tiles.count;
  struct Row {
    Kernel* kernel;
    kernels::KernelProgram* program;
    int64_t copies;
    bool backward;
  };
  const std::array rows = {
      Row{&impl->attn_fwd, &programs.attn_fwd, layers, false},
      Row{&impl->ffn_fwd, &programs.ffn_fwd, layers, false},
      Row{&impl->final_norm_fwd, &programs.final_norm_fwd, 1, false},
      Row{&impl->cls_fwd, &programs.cls_fwd, tiles, false},
      Row{&impl->cls_bwd, &programs.cls_bwd, tiles, true},
      Row{&impl->final_norm_bwd, &programs.final_norm_bwd, 1, true},
      Row{&impl->ffn_bwd, &programs.ffn_bwd, layers, true},
      Row{&impl->attn_bwd, &programs.attn_bwd, layers, true},
  };
  for (const Row& row : rows) {
    if (row.backward && !options.backward) continue;
    ANEROID_TRY(impl->prepare(device, *row.kernel, std::move(*row.program),
                              row.copies));
  }
  const auto elements =
      static_cast<size_t>(config.hidden_size * impl->columns());
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
  const int64_t width = spec.shape.size() == 1 ? 1 : spec.shape[1];
  const int64_t end = block.first_row + block.rows;
  int64_t row = block.first_row;
  while (row < end) {
    // The classifier's tensor is spread over tiles by rows.
    const bool tiled = !spec.uses.empty() && spec.uses[0].kernel == "cls_fwd";
    const int64_t tile = tiled ? row / impl_->tiles.size : 0;
    const int64_t tile_start = tile * impl_->tiles.size;
    const int64_t stop =
        tiled ? std::min(end, tile_start + impl_->tiles.size) : end;
    const ScaledRows from(tensor + row * width + block.first_column, width,
                          stop - row, block.columns,
                          staging_scale(spec, impl_->options.residual_scale));
    for (const model::ParameterUse& use : spec.uses) {
      const Kernel* kernel = impl_->kernel(use.kernel);
      if (kernel == nullptr) continue;  // forward only
      const size_t index =
          tiled ? static_cast<size_t>(tile)
                : static_cast<size_t>(std::max<int64_t>(0, spec.layer));
      SurfaceMatrix to = kernel->input(index, use.block);
      if (use.transposed) {
        to.data = to.at(block.first_column, row - tile_start);
        write_transposed(to, from.data(), from.stride(), block.columns,
                         stop - row);
      } else {
        to.data = to.at(row - tile_start, block.first_column);
        write_rows(to, from.data(), from.stride(), stop - row, block.columns);
      }
    }
    row = stop;
  }
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
  embed_columns(tokens, embedding, d, m.columns(), m.activations);
  write_rows(m.attn_fwd.input(0, "x"), m.activations.data(), m.columns(), d,
             m.columns());
  const auto layers = static_cast<size_t>(m.layers());
  for (size_t l = 0; l < layers; ++l) {
    if (l > 0) Impl::carry(m.ffn_fwd, l - 1, "y", m.attn_fwd, l, "x");
    enter(Part::kEngineForward);
    ANEROID_TRY(m.attn_fwd.run(l));
    enter(Part::kSurfaces);
    Impl::carry(m.attn_fwd, l, "x2", m.ffn_fwd, l, "x2");
    enter(Part::kEngineForward);
    ANEROID_TRY(m.ffn_fwd.run(l));
    enter(Part::kSurfaces);
  }
  Impl::carry(m.ffn_fwd, m.last_layer(), "y", m.final_norm_fwd, 0, "x");
  enter(Part::kEngineForward);
  ANEROID_TRY(m.final_norm_fwd.run(0));
  for (size_t t = 0; t < m.cls_fwd.inputs.size(); ++t) {
    enter(Part::kSurfaces);
    Impl::carry(m.final_norm_fwd, 0, "xf", m.cls_fwd, t, "xf");
    enter(Part::kEngineForward);
    ANEROID_TRY(m.cls_fwd.run(t));
  }
  return {};
}

std::vector<LogitTile> Dynamic::logits() {
  std::vector<LogitTile> tiles;
  for (size_t t = 0; t < impl_->cls_fwd.outputs.size(); ++t) {
    const SurfaceMatrix m = impl_->cls_fwd.output(t, "logits");
    tiles.push_back({m.data, m.storage, m.row_stride});
  }
  return tiles;
}

std::vector<LogitTile> Dynamic::logit_gradients() {
  std::vector<LogitTile> tiles;
  for (size_t t = 0; t < impl_->cls_bwd.inputs.size(); ++t) {
    const SurfaceMatrix m = impl_->cls_bwd.input(t, "dlogits");
    tiles.push_back({m.data, m.storage, m.row_stride});
  }
  return tiles;
}

int64_t Dynamic::tile_size() const { return impl_->tiles.size; }
int64_t Dynamic::columns() const { return impl_->columns(); }
int64_t Dynamic::surface_bytes() const { return impl_->surface_bytes; }
int Dynamic::programs() const { return impl_->programs; }

std::optional<PredictedStep> Dynamic::predicted() const {
  PredictedStep step;
  for (const Kernel* kernel : impl_->kernels()) {
    if (kernel->executable == nullptr) continue;  // forward only
    const device::PredictedTime* time = kernel->executable->predicted();
    if (time == nullptr) return std::nullopt;
    add_program(step, kernel->program.name,
                static_cast<int64_t>(kernel->inputs.size()), *time);
  }
  return step;
}

BlockView Dynamic::keys(int64_t layer) const {
  return impl_->attn_fwd.output_view(static_cast<size_t>(layer), "k");
}
BlockView Dynamic::values(int64_t layer) const {
  return impl_->attn_fwd.output_view(static_cast<size_t>(layer), "v");
}

Status Dynamic::Impl::layer_backward(size_t l, const GradientSink& sink,
                                     const Account& account) {
  const auto enter = [&](Part part) {
    if (account) account(part);
  };
  const auto layer = static_cast<int64_t>(l);
  const auto weight = [&](std::string_view role, const BlockView& dy,
                          const BlockView& x) {
    const size_t p = parameter(role, layer);
    const double scale = staging_scale(table[p], options.residual_scale);
    enter(Part::kGradients);
    sink.weight({p, 0, dy, x, static_cast<float>(scale)});
    enter(Part::kSurfaces);
  };
  const auto gain = [&](std::string_view role, const BlockView& dxn,
                        const BlockView& x) {
    enter(Part::kGradients);
    sink.gain({parameter(role, layer), dxn, x});
    enter(Part::kSurfaces);
  };

  // ffn_bwd's dy is in place; the rest of its input comes from the forward.
  carry(attn_fwd, l, "x2", ffn_bwd, l, "x2");
  carry(ffn_fwd, l, "h1", ffn_bwd, l, "h1");
  carry(ffn_fwd, l, "h3", ffn_bwd, l, "h3");
  weight("down_proj", ffn_bwd.input_view(l, "dy"), ffn_fwd.output_view(l, "g"));
  enter(Part::kEngineBackward);
  ANEROID_TRY(ffn_bwd.run(l));
  enter(Part::kSurfaces);
  const BlockView xn2 = ffn_fwd.output_view(l, "xn2");
  weight("gate_proj", ffn_bwd.output_view(l, "dh1"), xn2);
  weight("up_proj", ffn_bwd.output_view(l, "dh3"), xn2);
  gain("post_attention_layernorm", ffn_bwd.output_view(l, "dxn2"),
       attn_fwd.output_view(l, "x2"));

  carry(ffn_bwd, l, "dx2", attn_bwd, l, "dx2");
  copy_rows(attn_bwd.input(l, "x"), attn_fwd.input(l, "x"), config.hidden_size,
            columns());
  carry(attn_fwd, l, "q", attn_bwd, l, "q");
  carry(attn_fwd, l, "k", attn_bwd, l, "k");
  carry(attn_fwd, l, "v", attn_bwd, l, "v");
  weight("o_proj", attn_bwd.input_view(l, "dx2"), attn_fwd.output_view(l, "a"));
  enter(Part::kEngineBackward);
  ANEROID_TRY(attn_bwd.run(l));
  enter(Part::kSurfaces);
  const BlockView xn = attn_fwd.output_view(l, "xn");
  weight("q_proj", attn_bwd.output_view(l, "dq"), xn);
  weight("k_proj", attn_bwd.output_view(l, "dk"), xn);
  weight("v_proj", attn_bwd.output_view(l, "dv"), xn);
  gain("input_layernorm", attn_bwd.output_view(l, "dxn"),
       attn_fwd.input_view(l, "x"));
  return {};
}

Status Dynamic::backward(const GradientSink& sink, std::vector<float>* dx,
                         const Account& account) {
  Impl& m = *impl_;
  const auto enter = [&](Part part) {
    if (account) account(part);
  };
  const int64_t d = m.config.hidden_size;
  const int64_t s = m.columns();
  const bool tied = m.config.tie_word_embeddings;
  const size_t classifier = m.parameter(tied ? "embed_tokens" : "lm_head");

  std::fill(m.activations.begin(), m.activations.end(), 0.0F);
  for (size_t t = 0; t < m.cls_bwd.inputs.size(); ++t) {
    const int64_t first = static_cast<int64_t>(t) * m.tiles.size;
    BlockView dlogits = m.cls_bwd.input_view(t, "dlogits");
    // The last tile is padded beyond the vocabulary.
    dlogits.rows = std::min(dlogits.rows, m.config.vocab_size - first);
    enter(Part::kGradients);
    sink.weight({classifier, first, dlogits,
                 m.final_norm_fwd.output_view(0, "xf"),
                 1.0F / logit_gradient_scale()});
    enter(Part::kEngineBackward);
    ANEROID_TRY(m.cls_bwd.run(t));
    enter(Part::kSurfaces);
    read_rows(m.cls_bwd.output(t, "dxf"), m.partial.data(), s, d, s);
    for (size_t i = 0; i < m.partial.size(); ++i) {
      m.activations[i] += m.partial[i] / logit_gradient_scale();
    }
  }
  write_rows(m.final_norm_bwd.input(0, "dxf"), m.activations.data(), s, d, s);
  copy_rows(m.final_norm_bwd.input(0, "x"), m.final_norm_fwd.input(0, "x"), d,
            s);
  enter(Part::kGradients);
  sink.gain({m.parameter("norm"), m.final_norm_bwd.input_view(0, "dxf"),
             m.final_norm_fwd.input_view(0, "x")});
  enter(Part::kEngineBackward);
  ANEROID_TRY(m.final_norm_bwd.run(0));
  enter(Part::kSurfaces);
  Impl::carry(m.final_norm_bwd, 0, "dx", m.ffn_bwd, m.last_layer(), "dy");
  for (size_t l = m.last_layer() + 1; l-- > 0;) {
    ANEROID_TRY(m.layer_backward(l, sink, account));
    if (l > 0) Impl::carry(m.attn_bwd, l, "dx", m.ffn_bwd, l - 1, "dy");
  }
  if (dx != nullptr) {
    read_rows(m.attn_bwd.output(0, "dx"), m.activations.data(), s, d, s);
    columns_to_rows(m.activations, d, s, m.tokens.size(), *dx);
  }
  return {};
}

}  // namespace aneroid::pipeline
