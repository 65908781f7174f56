#include "aneroid/model/llama2c.h"

#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "aneroid/base/file.h"
#include "aneroid/model/tensor_io.h"

namespace aneroid::model {
namespace {

constexpr std::string_view kLabel = "llama2c";
constexpr int32_t kLaterVersionsMagic = 0x616B3432;  // "ak42"
constexpr double kEpsilon = 1e-5;
constexpr double kTheta = 10000.0;

// The order of a layer's tensors; each comes for all layers before the next.
constexpr std::array kLayerRoles = {
    "input_layernorm",          "q_proj",    "k_proj",    "v_proj", "o_proj",
    "post_attention_layernorm", "gate_proj", "down_proj", "up_proj"};

using Header = std::array<int32_t, 7>;

tl::unexpected<Diagnostic> error(std::string place, std::string message) {
  return input_error(std::string(kLabel), std::move(place), std::move(message));
}

// Rows of the table in the order of the file, up to the rotary tables.
std::vector<size_t> file_order(const ModelConfig& config,
                               const std::vector<ParameterSpec>& table) {
  std::vector<size_t> order;
  const auto add = [&](std::string_view role, int64_t layer) {
    order.push_back(static_cast<size_t>(find_parameter(table, role, layer)));
  };
  add("embed_tokens", -1);
  for (const char* role : kLayerRoles) {
    for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
      add(role, layer);
    }
  }
  add("norm", -1);
  return order;
}

int64_t table_values(const ModelConfig& config) {
  return config.max_position_embeddings * config.head_dim;  // cos and sin
}

// Cosines, then sines, in single precision step by step, as the exporter's
// tensor library computes them.
std::vector<float> rotary_tables(const ModelConfig& config) {
  const auto pairs = static_cast<size_t>(config.head_dim / 2);
  const auto positions = static_cast<size_t>(config.max_position_embeddings);
  std::vector<float> frequencies(pairs);
  for (size_t i = 0; i < pairs; ++i) {
    const float exponent =
        static_cast<float>(2 * i) / static_cast<float>(config.head_dim);
    frequencies[i] = 1.0F / std::pow(static_cast<float>(kTheta), exponent);
  }
  std::vector<float> values(2 * positions * pairs);
  for (size_t p = 0; p < positions; ++p) {
    for (size_t i = 0; i < pairs; ++i) {
      const float angle = static_cast<float>(p) * frequencies[i];
      values[p * pairs + i] = std::cos(angle);
      values[(positions + p) * pairs + i] = std::sin(angle);
    }
  }
  return values;
}

Result<ModelConfig> config_from_header(const Header& header,
                                       const std::string& place) {
  const auto [dim, hidden, layers, heads, kv_heads, vocab, positions] = header;
  if (heads <= 0 || dim % heads != 0) {
    return error(place, fmt::format("has no header of a llama2.c model: it "
                                    "gives dim {} and {} heads",
                                    dim, heads));
  }
  ModelConfig config;
  config.hidden_size = dim;
  config.intermediate_size = hidden;
  config.num_hidden_layers = layers;
  config.num_attention_heads = heads;
  config.num_key_value_heads = kv_heads;
  config.head_dim = dim / heads;
  config.vocab_size = vocab < 0 ? -int64_t{vocab} : vocab;
  config.max_position_embeddings = positions;
  config.rms_norm_eps = kEpsilon;
  config.rope_theta = kTheta;
  config.tie_word_embeddings = vocab > 0;
  if (const Status good = check(config); !good) {
    return error(place, fmt::format("has no header of a llama2.c model: {} {}",
                                    good.error().place, good.error().message));
  }
  return config;
}

Status check_storable(const ModelConfig& config, const std::string& place) {
  if (config.query_dim() != config.hidden_size) {
    return error(place,
                 fmt::format("the format needs head_dim = hidden_size / "
                             "num_attention_heads; the config has {} with "
                             "{} / {}",
                             config.head_dim, config.hidden_size,
                             config.num_attention_heads));
  }
  if (config.rms_norm_eps != kEpsilon || config.rope_theta != kTheta) {
    return error(place, fmt::format("the format implies rms_norm_eps {} and "
                                    "rope_theta {}; the config has {} and {}",
                                    kEpsilon, kTheta, config.rms_norm_eps,
                                    config.rope_theta));
  }
  return {};
}

}  // namespace

Result<LoadedModel> load_llama2c(const std::filesystem::path& path) {
  const std::string place = path.string();
  ANEROID_ASSIGN(const MappedFile file, MappedFile::open(path));
  const std::span<const std::byte> content = file.bytes();
  Header header{};
  if (content.size() < sizeof header) {
    return error(place, fmt::format("has {} bytes; the header alone takes {}",
                                    content.size(), sizeof header));
  }
  std::memcpy(header.data(), content.data(), sizeof header);
  if (header[0] == kLaterVersionsMagic) {
    return error(place, fmt::format("is llama2.c's version {}; only version 0 "
                                    "is read: export again with --version 0",
                                    header[1]));
  }
  LoadedModel model;
  ANEROID_ASSIGN(model.config, config_from_header(header, place));
  const uint64_t expected =
      sizeof header +
      sizeof(float) * static_cast<uint64_t>(parameter_count(model.config) +
                                            table_values(model.config));
  if (content.size() != expected) {
    return error(place, fmt::format("has {} bytes; its header needs {}",
                                    content.size(), expected));
  }

  const auto table = parameter_table(model.config);
  model.weights.resize(table.size());
  size_t offset = sizeof header;
  const auto read = [&](size_t row) -> Status {
    Tensor& tensor = model.weights[row];
    tensor = {table[row].name, table[row].shape, {}};
    tensor.data.resize(static_cast<size_t>(table[row].count()));
    const size_t size = tensor.data.size() * sizeof(float);
    std::memcpy(tensor.data.data(), content.data() + offset, size);
    offset += size;
    return check_finite(tensor.data,
                        fmt::format("{}: tensor {}", place, tensor.name));
  };
  for (const size_t row : file_order(model.config, table)) {
    ANEROID_TRY(read(row));
  }
  offset += sizeof(float) * static_cast<size_t>(table_values(model.config));
  if (const int64_t head = find_parameter(table, "lm_head"); head >= 0) {
    ANEROID_TRY(read(static_cast<size_t>(head)));
  }
  return model;
}

Status save_llama2c(const std::filesystem::path& path,
                    const ModelConfig& config, const Weights& weights) {
  const std::string place = path.string();
  ANEROID_TRY(check_weights(config, weights, place));
  ANEROID_TRY(check_storable(config, place));
  const auto narrow = [](int64_t size) { return static_cast<int32_t>(size); };
  const int32_t vocab = narrow(config.vocab_size);
  const Header header = {narrow(config.hidden_size),
                         narrow(config.intermediate_size),
                         narrow(config.num_hidden_layers),
                         narrow(config.num_attention_heads),
                         narrow(config.num_key_value_heads),
                         config.tie_word_embeddings ? vocab : -vocab,
                         narrow(config.max_position_embeddings)};
  const auto table = parameter_table(config);
  const std::vector<float> rotary = rotary_tables(config);
  return write_file_atomically(path, [&](FileSink& sink) {
    const auto write = [&](std::span<const float> values) {
      write_in_pieces(sink, std::as_bytes(values));
    };
    sink.write(std::as_bytes(std::span(header)));
    for (const size_t row : file_order(config, table)) {
      write(weights[row].data);
    }
    write(rotary);
    if (const int64_t head = find_parameter(table, "lm_head"); head >= 0) {
      write(weights[static_cast<size_t>(head)].data);
    }
  });
}

}  // namespace aneroid::model
