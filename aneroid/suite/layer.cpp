#include "aneroid/suite/layer.h"

#include <algorithm>
#include <cmath>

#include "aneroid/kernels/static_pipeline.h"
#include "aneroid/mil/text.h"
#include "aneroid/model/config.h"

namespace aneroid::suite {
namespace {

// Files that the program names and does not bring: the weights of a model.
std::vector<WeightFile> weights_of(const mil::Program& program,
                                   const kernels::StaticProgram& kernel) {
  std::vector<WeightFile> files;
  for (const mil::Operation& op : program.function()->body.operations) {
    const mil::Value* value = op.attribute("val");
    const auto* blob =
        value == nullptr ? nullptr : std::get_if<mil::BlobRef>(&value->data);
    if (blob == nullptr || kernel.tables.contains(blob->path)) continue;
    const mil::Type& type = value->type;
    // [out, in, 1, 1], and [1, D, 1, 1] for a gain.
    const auto inner = static_cast<double>(type.shape[1]);
    files.push_back({blob->path, type.dtype, *element_count(type.shape),
                     std::sqrt(3.0 / inner)});
  }
  return files;
}

}  // namespace

Result<std::vector<TestProgram>> layer_programs(const Layer& layer) {
  model::ModelConfig config;
  config.hidden_size = layer.model;
  config.intermediate_size = layer.hidden;
  config.num_hidden_layers = 1;
  config.num_attention_heads = layer.heads;
  config.num_key_value_heads = layer.heads;
  config.head_dim = layer.model / std::max<int64_t>(1, layer.heads);
  config.vocab_size = 32000;
  config.max_position_embeddings = layer.sequence;
  ANEROID_ASSIGN(
      const kernels::StaticLayer kernels,
      kernels::static_layer(config, layer.sequence, {.rope = false}));
  std::vector<TestProgram> programs;
  for (const kernels::StaticProgram* kernel :
       {&kernels.fwd_attn, &kernels.fwd_ffn, &kernels.ffn_bwd,
        &kernels.sdpa_bwd1, &kernels.sdpa_bwd2, &kernels.qkv_bwd}) {
    TestProgram& program = programs.emplace_back();
    program.name = kernel->name;
    ANEROID_ASSIGN(program.program, mil::parse(kernel->mil_text, kernel->name));
    program.weights = weights_of(program.program, *kernel);
    program.tables = kernel->tables;
  }
  return programs;
}

double published_flops(const Layer& layer) {
  const auto d = static_cast<double>(layer.model);
  const auto h = static_cast<double>(layer.hidden);
  const auto s = static_cast<double>(layer.sequence);
  const double projections = 2 * s * (4 * d * d + 3 * d * h);
  const double attention = 2 * s * s * d;
  return 2 * projections + 5 * attention;
}

}  // namespace aneroid::suite
