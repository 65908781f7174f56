#include "apps/aneroid/published.h"

#include <cmath>

namespace aneroid::cli {
namespace {

// drand48(): the constants are in the POSIX standard.
class Drand48 {
 public:
  explicit Drand48(uint64_t seed) : state_((seed << 16 | 0x330EU) & kMask) {}
  double uniform() {
    state_ = (state_ * 0x5DEECE66DU + 0xBU) & kMask;
    return static_cast<double>(state_) * 0x1p-48;
  }

 private:
  static constexpr uint64_t kMask = (uint64_t{1} << 48) - 1;
  uint64_t state_;
};

// The widths of the published uniform distributions. That of W1 and W2 is
// their output's, not their input's, as it was.
double half_width(std::string_view role, const model::ModelConfig& c,
                  pipeline::Kind kind) {
  const auto one_over_root = [](auto width) {
    return 1 / std::sqrt(static_cast<double>(width));
  };
  const bool damped =
      kind == pipeline::Kind::kDynamic || kind == pipeline::Kind::kStaticExtras;
  const double residual = damped ? one_over_root(2 * c.num_hidden_layers) : 1;
  if (role == "embed_tokens" || role == "lm_head") return 0.02;
  if (role == "o_proj") return residual * one_over_root(c.query_dim());
  if (role == "down_proj") return residual * one_over_root(c.hidden_size);
  if (role == "gate_proj" || role == "up_proj") {
    return one_over_root(c.intermediate_size);
  }
  return one_over_root(c.hidden_size);
}

}  // namespace

void apply_published(TrainOptions& options, const CLI::App& command) {
  const bool dynamic =
      options.pipeline == pipeline::name(pipeline::Kind::kDynamic);
  const auto set = [&](const char* flag, auto& field, auto value) {
    if (command.count(flag) == 0) field = value;
  };
  set("--init", options.init, "published");
  set("--accum", options.accumulation, 10);
  set("--lr", options.lr, 3e-4);
  set("--min-lr", options.min_lr, dynamic ? 0.1 : 1.0);
  set("--warmup", options.warmup, dynamic ? 10 : 0);
  set("--beta1", options.beta1, 0.9);
  set("--beta2", options.beta2, dynamic ? 0.95 : 0.999);
  set("--eps", options.epsilon, 1e-8);
  set("--weight-decay", options.weight_decay, dynamic ? 0.1 : 0.0);
  set("--clip", options.clip, dynamic ? 1.0 : 0.0);
  set("--loss-scale", options.loss_scale, dynamic ? 256.0 : 1.0);
  set("--loss-scale-growth", options.loss_scale_growth, 0);
  set("--residual-alpha", options.residual_alpha, dynamic ? 0.0 : 1.0);
  set("--validation", options.validation, 0.0);
  set("--no-rope", options.rope, dynamic);
  set("--compact-vocabulary", options.compact_vocabulary,
      dynamic ? "on" : "off");
}

model::Weights published_weights(const model::ModelConfig& config,
                                 pipeline::Kind kind, uint64_t seed) {
  const auto table = model::parameter_table(config);
  model::Weights weights;
  for (const model::ParameterSpec& spec : table) {
    weights.push_back(
        {spec.name, spec.shape,
         std::vector<float>(static_cast<size_t>(spec.count()), 1.0F)});
  }
  Drand48 random(seed);
  const auto draw = [&](std::string_view role, int64_t layer) {
    const int64_t row = model::find_parameter(table, role, layer);
    if (row < 0) return;
    const double width = half_width(role, config, kind);
    for (float& value : weights[static_cast<size_t>(row)].data) {
      value = static_cast<float>(width * (2 * random.uniform() - 1));
    }
  };
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    for (const char* role : {"q_proj", "k_proj", "v_proj", "o_proj",
                             "gate_proj", "down_proj", "up_proj"}) {
      draw(role, layer);
    }
  }
  draw("embed_tokens", -1);
  draw("lm_head", -1);
  return weights;
}

}  // namespace aneroid::cli
