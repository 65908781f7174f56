#include "aneroid/model/parameters.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <system_error>
#include <thread>

#include <fmt/format.h>

#include "aneroid/base/zeroed_memory.h"
#include "aneroid/cpu/normal.h"

namespace aneroid::model {
namespace {

// The largest deviation of a logit at the start, in units where the final
// norm's output has RMS 1.
constexpr double kMaxLogitDeviation = 0.2;

using Size = int64_t (*)(const ModelConfig&);
int64_t d(const ModelConfig& c) { return c.hidden_size; }
int64_t h(const ModelConfig& c) { return c.intermediate_size; }
int64_t q(const ModelConfig& c) { return c.query_dim(); }
int64_t k(const ModelConfig& c) { return c.key_value_dim(); }
int64_t v(const ModelConfig& c) { return c.vocab_size; }

using Deviation = double (*)(const ModelConfig&);
double plain(const ModelConfig& c) { return c.initializer_range; }

// Two projections per layer add to the residual stream; this keeps the
// stream's variance independent of the depth.
double residual(const ModelConfig& c) {
  return plain(c) / std::sqrt(2.0 * static_cast<double>(c.num_hidden_layers));
}

// The classifier multiplies the final norm's output, of RMS 1 and so of length
// sqrt(D), by rows of deviation s: logits get the deviation t = s sqrt(D), and
// the expected loss is ln V + t^2 / 2. With s = 0.02 and D = 768 that is 0.15
// above ln V; t <= 0.2 keeps it within 0.02.
double classifier(const ModelConfig& c) {
  return std::min(plain(c),
                  kMaxLogitDeviation / std::sqrt(static_cast<double>(d(c))));
}

double embedding(const ModelConfig& c) {
  return c.tie_word_embeddings ? classifier(c) : plain(c);
}

// A row before the sizes are known: a gain when it has no columns.
struct RowTemplate {
  const char* role;
  const char* name;  // "{}" is the layer
  Size rows;
  Size columns;
  Deviation deviation;
  std::optional<ParameterUse> use;
};

struct Templates {
  ParameterUse classifier_use = {"cls", "e"};
  RowTemplate tied_embedding = {
      "embed_tokens", "model.embed_tokens.weight", v, d, embedding,
      classifier_use};
  RowTemplate untied_embedding = {
      "embed_tokens", "model.embed_tokens.weight", v, d, embedding,
      std::nullopt};
  RowTemplate norm = {"norm",  "model.norm.weight",
                      d,       nullptr,
                      nullptr, ParameterUse{"final_norm", "gain"}};
  RowTemplate lm_head = {"lm_head", "lm_head.weight", v,
                         d,         classifier,       classifier_use};
  std::vector<RowTemplate> layer = {
      {"input_layernorm", "model.layers.{}.input_layernorm.weight", d, nullptr,
       nullptr, ParameterUse{"attn", "gain"}},
      {"q_proj", "model.layers.{}.self_attn.q_proj.weight", q, d, plain,
       ParameterUse{"attn", "wq"}},
      {"k_proj", "model.layers.{}.self_attn.k_proj.weight", k, d, plain,
       ParameterUse{"attn", "wk"}},
      {"v_proj", "model.layers.{}.self_attn.v_proj.weight", k, d, plain,
       ParameterUse{"attn", "wv"}},
      {"o_proj", "model.layers.{}.self_attn.o_proj.weight", d, q, residual,
       ParameterUse{"attn", "wo"}},
      {"post_attention_layernorm",
       "model.layers.{}.post_attention_layernorm.weight", d, nullptr, nullptr,
       ParameterUse{"ffn", "gain"}},
      {"gate_proj", "model.layers.{}.mlp.gate_proj.weight", h, d, plain,
       ParameterUse{"ffn", "w1"}},
      {"up_proj", "model.layers.{}.mlp.up_proj.weight", h, d, plain,
       ParameterUse{"ffn", "w3"}},
      {"down_proj", "model.layers.{}.mlp.down_proj.weight", d, h, residual,
       ParameterUse{"ffn", "w2", true}},
  };
};

ParameterSpec make_row(const RowTemplate& row, const ModelConfig& config,
                       int64_t layer) {
  ParameterSpec spec;
  spec.name = fmt::format(fmt::runtime(row.name), layer);
  spec.layer = layer;
  spec.role = row.role;
  spec.use = row.use;
  if (row.columns == nullptr) {
    spec.shape = {row.rows(config)};
    spec.init = Init::kOnes;
  } else {
    spec.shape = {row.rows(config), row.columns(config)};
    spec.init = Init::kNormal;
    spec.init_std = row.deviation(config);
    spec.decay = true;
  }
  return spec;
}

// The seed and the name, hashed together (FNV-1a), start a tensor's stream.
uint64_t stream_seed(uint64_t seed, std::string_view name) {
  constexpr uint64_t kPrime = 0x100000001B3U;
  uint64_t hash = 0xCBF29CE484222325U;
  for (int i = 0; i < 8; ++i) {
    hash = (hash ^ ((seed >> (8 * i)) & 0xFFU)) * kPrime;
  }
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * kPrime;
  }
  return hash;
}

}  // namespace

int64_t ParameterSpec::count() const {
  return element_count(shape).value_or(0);
}

std::vector<ParameterSpec> parameter_table(const ModelConfig& config) {
  static const Templates kTemplates;
  const bool tied = config.tie_word_embeddings;
  std::vector<ParameterSpec> table;
  table.push_back(
      make_row(tied ? kTemplates.tied_embedding : kTemplates.untied_embedding,
               config, -1));
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    for (const RowTemplate& row : kTemplates.layer) {
      table.push_back(make_row(row, config, layer));
    }
  }
  table.push_back(make_row(kTemplates.norm, config, -1));
  if (!tied) table.push_back(make_row(kTemplates.lm_head, config, -1));
  return table;
}

int64_t parameter_count(const ModelConfig& c) {
  const int64_t d = c.hidden_size;
  const int64_t layer = 2 * d + 2 * d * c.query_dim() +
                        2 * d * c.key_value_dim() + 3 * d * c.intermediate_size;
  const int64_t embeddings = c.vocab_size * d;
  return c.num_hidden_layers * layer + d +
         (c.tie_word_embeddings ? embeddings : 2 * embeddings);
}

Weights initialise(const ModelConfig& config, uint64_t seed) {
  const std::vector<ParameterSpec> table = parameter_table(config);
  Weights weights(table.size());
  // Every tensor has a stream of its own, so that they can be drawn side by
  // side. The largest, the embedding, comes first in the table.
  std::atomic<size_t> next = 0;
  const auto draw = [&] {
    for (size_t i = next++; i < table.size(); i = next++) {
      const ParameterSpec& spec = table[i];
      Tensor& tensor = weights[i];
      tensor.name = spec.name;
      tensor.shape = spec.shape;
      const auto count = static_cast<size_t>(spec.count());
      reserve_in_large_pages(tensor.data, count);
      tensor.data.resize(count, 1.0F);
      if (spec.init == Init::kOnes) continue;
      Random random(stream_seed(seed, tensor.name));
      cpu::fill_normal(random, spec.init_std, tensor.data.data(), count);
    }
  };
  constexpr int64_t kWorthThreads = int64_t{1} << 20;  // parameters
  std::vector<std::thread> helpers;
  if (parameter_count(config) >= kWorthThreads) {
    const size_t cores = std::max(1U, std::thread::hardware_concurrency());
    try {
      while (helpers.size() + 1 < std::min<size_t>(cores, 16)) {
        helpers.emplace_back(draw);
      }
    } catch (const std::system_error&) {
      // Fewer threads do: this one draws what is left.
    }
  }
  draw();
  for (std::thread& helper : helpers) helper.join();
  return weights;
}

int64_t find_parameter(const std::vector<ParameterSpec>& table,
                       std::string_view role, int64_t layer) {
  const auto at =
      std::find_if(table.begin(), table.end(), [&](const ParameterSpec& row) {
        return row.layer == layer && row.role == role;
      });
  return at == table.end() ? -1 : at - table.begin();
}

}  // namespace aneroid::model
