#include "aneroid/model/blzt.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "aneroid/base/file.h"
#include "aneroid/model/metadata.h"
#include "aneroid/model/tensor_io.h"

namespace aneroid::model {
namespace {

constexpr int32_t kMagic = 0x424C5A54;
constexpr int32_t kStaticVersion = 2;
constexpr int32_t kDynamicVersion = 4;

struct Header {
  int32_t magic = kMagic;
  int32_t version = kDynamicVersion;
  int32_t step = 0;
  int32_t total_steps = 0;
  int32_t n_layers = 0;
  int32_t vocab_size = 0;
  int32_t dim = 0;
  int32_t hidden_dim = 0;
  int32_t n_heads = 0;
  int32_t seq_len = 0;
  float lr = 0;
  float loss = 0;
  double cum_compile = 0;
  double cum_train = 0;
  double cum_wall = 0;
  int32_t cum_steps = 0;
  int32_t cum_batches = 0;
  int32_t adam_t = 0;
  int32_t kv_heads = 0;  // this and what follows: version 4
  int32_t head_dim = 0;
  int32_t q_dim = 0;
};
static_assert(sizeof(Header) == 96 && std::is_trivially_copyable_v<Header>);
constexpr size_t kOrionHeader = 88;
static_assert(offsetof(Header, kv_heads) <= kOrionHeader);

// The sizes of a header, by both their names.
struct SizeField {
  const char* name;
  int32_t Header::*stored;
  const char* config_name;
  int64_t ModelConfig::*member;
  bool since_version_4 = false;
};
constexpr std::array kSizes = {
    SizeField{"n_layers", &Header::n_layers, "num_hidden_layers",
              &ModelConfig::num_hidden_layers},
    SizeField{"vocab_size", &Header::vocab_size, "vocab_size",
              &ModelConfig::vocab_size},
    SizeField{"dim", &Header::dim, "hidden_size", &ModelConfig::hidden_size},
    SizeField{"hidden_dim", &Header::hidden_dim, "intermediate_size",
              &ModelConfig::intermediate_size},
    SizeField{"n_heads", &Header::n_heads, "num_attention_heads",
              &ModelConfig::num_attention_heads},
    SizeField{"seq_len", &Header::seq_len, "max_position_embeddings",
              &ModelConfig::max_position_embeddings},
    SizeField{"kv_heads", &Header::kv_heads, "num_key_value_heads",
              &ModelConfig::num_key_value_heads, true},
    SizeField{"head_dim", &Header::head_dim, "head_dim", &ModelConfig::head_dim,
              true},
};

// The counts of a header, none of which can be negative.
struct CountField {
  const char* name;
  int32_t Header::*stored;
  int32_t BlztProgress::*member;
};
constexpr std::array kCounts = {
    CountField{"step", &Header::step, &BlztProgress::step},
    CountField{"total_steps", &Header::total_steps, &BlztProgress::total_steps},
    CountField{"cum_steps", &Header::cum_steps, &BlztProgress::steps},
    CountField{"cum_batches", &Header::cum_batches, &BlztProgress::batches},
    CountField{"adam_t", &Header::adam_t, &BlztProgress::adam_t},
};

// Calls visit(name, a field of the header, the same of the progress) for what
// is no count.
template <typename H, typename P, typename Visit>
void for_each_real(H& header, P& progress, const Visit& visit) {
  visit("lr", header.lr, progress.learning_rate);
  visit("loss", header.loss, progress.loss);
  visit("cum_compile_ms", header.cum_compile, progress.compile_ms);
  visit("cum_train_ms", header.cum_train, progress.train_ms);
  visit("cum_wall_ms", header.cum_wall, progress.wall_ms);
}

using LayerRoles = std::array<const char*, 9>;
constexpr LayerRoles kLayerRoles = {
    "q_proj",  "k_proj",          "v_proj",
    "o_proj",  "gate_proj",       "down_proj",
    "up_proj", "input_layernorm", "post_attention_layernorm",
};
constexpr LayerRoles kOrionLayerRoles = {
    "input_layernorm",          "q_proj",    "k_proj",  "v_proj",    "o_proj",
    "post_attention_layernorm", "gate_proj", "up_proj", "down_proj",
};

tl::unexpected<Diagnostic> error(std::string place, std::string message) {
  return input_error("blzt", std::move(place), std::move(message));
}
tl::unexpected<Diagnostic> field_error(const std::string& place,
                                       std::string_view field,
                                       std::string message) {
  return error(fmt::format("{}: header field {}", place, field),
               std::move(message));
}

Status check_header(const Header& header, const std::string& place) {
  if (header.magic != kMagic) {
    return field_error(
        place, "magic",
        fmt::format("is {:#010x}; these checkpoints have "
                    "{:#010x}",
                    static_cast<uint32_t>(header.magic), kMagic));
  }
  if (header.version != kStaticVersion && header.version != kDynamicVersion) {
    return field_error(
        place, "version",
        fmt::format("is {}; versions {} and {} are read", header.version,
                    kStaticVersion, kDynamicVersion));
  }
  for (const SizeField& field : kSizes) {
    if (field.since_version_4 && header.version < kDynamicVersion) continue;
    if (header.*field.stored < 1) {
      return field_error(
          place, field.name,
          fmt::format("is {}; at least 1 is needed", header.*field.stored));
    }
  }
  for (const CountField& field : kCounts) {
    if (header.*field.stored < 0) {
      return field_error(place, field.name,
                         fmt::format("is {}; a count is never negative",
                                     header.*field.stored));
    }
  }
  if (header.version == kDynamicVersion &&
      int64_t{header.n_heads} * header.head_dim != header.q_dim) {
    return field_error(
        place, "q_dim",
        fmt::format("is {}; n_heads {} times head_dim {} makes "
                    "{}",
                    header.q_dim, header.n_heads, header.head_dim,
                    int64_t{header.n_heads} * header.head_dim));
  }
  if (header.version == kStaticVersion && header.dim % header.n_heads != 0) {
    return field_error(place, "n_heads",
                       fmt::format("is {}, which does not divide dim {}",
                                   header.n_heads, header.dim));
  }
  return {};
}

Result<ModelConfig> config_from_header(const Header& header,
                                       const std::string& place) {
  ANEROID_TRY(check_header(header, place));
  ModelConfig config;
  for (const SizeField& field : kSizes) {
    config.*field.member = header.*field.stored;
  }
  if (header.version == kStaticVersion) {
    config.num_key_value_heads = header.n_heads;
    config.head_dim = header.dim / header.n_heads;
  }
  if (const Status good = check(config); !good) {
    for (const SizeField& field : kSizes) {
      if (good.error().place != field.config_name) continue;
      return field_error(place, field.name, good.error().message);
    }
    return error(
        place, fmt::format("{} {}", good.error().place, good.error().message));
  }
  return config;
}

BlztProgress progress_of(const Header& header) {
  BlztProgress progress;
  for (const CountField& field : kCounts) {
    progress.*field.member = header.*field.stored;
  }
  for_each_real(header, progress,
                [](const char*, auto stored, auto& value) { value = stored; });
  return progress;
}

// Rows of the parameter table in the order of a layer's tensors.
std::vector<size_t> layer_rows(const std::vector<ParameterSpec>& table,
                               const LayerRoles& roles, int64_t layer) {
  std::vector<size_t> rows;
  for (const char* role : roles) {
    rows.push_back(static_cast<size_t>(find_parameter(table, role, layer)));
  }
  return rows;
}
size_t single_row(const std::vector<ParameterSpec>& table, const char* role) {
  return static_cast<size_t>(find_parameter(table, role));
}

// Takes rows of the table from a file's bytes, one after another. The caller
// has checked the size of the file.
class Body {
 public:
  Body(std::span<const std::byte> bytes,
       const std::vector<ParameterSpec>& table, const std::string& place)
      : bytes_(bytes), table_(table), place_(place) {}

  Status read(size_t row, Weights& into) {
    Tensor& tensor = into[row];
    tensor = {table_[row].name, table_[row].shape, {}};
    tensor.data.resize(static_cast<size_t>(table_[row].count()));
    return read(row, "", tensor.data);
  }
  Status read_first_moment(size_t row, Moments& into) {
    return read(row, "first moment of ", values(row, into));
  }
  Status read_second_moment(size_t row, Moments& into) {
    constexpr const char* kWhat = "second moment of ";
    ANEROID_TRY(read(row, kWhat, values(row, into)));
    const float least = std::ranges::min(values(row, into));
    if (least >= 0) return {};
    return input_error("weights", name_of(row, kWhat),
                       fmt::format("has the value {}; sums of squares are "
                                   "never negative",
                                   least));
  }
  void skip(size_t row) {
    bytes_ = bytes_.subspan(static_cast<size_t>(table_[row].count()) *
                            sizeof(float));
  }

 private:
  Status read(size_t row, const char* what, std::span<float> into) {
    std::memcpy(into.data(), bytes_.data(), into.size_bytes());
    skip(row);
    return check_finite(into, name_of(row, what));
  }
  std::span<float> values(size_t row, Moments& of) const {
    return {of.values<float>(row), static_cast<size_t>(table_[row].count())};
  }
  std::string name_of(size_t row, const char* what) const {
    return fmt::format("{}: {}tensor {}", place_, what, table_[row].name);
  }

  std::span<const std::byte> bytes_;
  const std::vector<ParameterSpec>& table_;
  const std::string& place_;
};

// Weights of `rows`, then their moments, which are read or skipped.
Status read_group(Body& body, std::span<const size_t> rows, bool with_moments,
                  Checkpoint& checkpoint) {
  for (const size_t row : rows) {
    ANEROID_TRY(body.read(row, checkpoint.weights));
  }
  for (const size_t row : rows) {
    if (with_moments) {
      ANEROID_TRY(body.read_first_moment(row, checkpoint.first_moments));
    } else {
      body.skip(row);
    }
  }
  for (const size_t row : rows) {
    if (with_moments) {
      ANEROID_TRY(body.read_second_moment(row, checkpoint.second_moments));
    } else {
      body.skip(row);
    }
  }
  return {};
}

Status read_body(Body body, const std::vector<ParameterSpec>& table,
                 bool with_moments, Checkpoint& checkpoint) {
  for (int64_t l = 0; l < checkpoint.config.num_hidden_layers; ++l) {
    ANEROID_TRY(read_group(body, layer_rows(table, kLayerRoles, l),
                           with_moments, checkpoint));
  }
  for (const char* role : {"norm", "embed_tokens"}) {
    const size_t row = single_row(table, role);
    ANEROID_TRY(read_group(body, {&row, 1}, with_moments, checkpoint));
  }
  return {};
}

Status read_orion_weights(Body body, const std::vector<ParameterSpec>& table,
                          Checkpoint& checkpoint) {
  const int64_t layers = checkpoint.config.num_hidden_layers;
  for (int64_t l = 0; l < layers; ++l) {
    for (const size_t row : layer_rows(table, kOrionLayerRoles, l)) {
      ANEROID_TRY(body.read(row, checkpoint.weights));
    }
  }
  for (int64_t l = 0; l < 2 * layers; ++l) {  // the moments, in any order
    for (const size_t row : layer_rows(table, kOrionLayerRoles, l / 2)) {
      body.skip(row);
    }
  }
  ANEROID_TRY(body.read(single_row(table, "embed_tokens"), checkpoint.weights));
  return body.read(single_row(table, "norm"), checkpoint.weights);
}

Result<Checkpoint> load(const std::filesystem::path& path, bool with_moments) {
  const std::string place = path.string();
  ANEROID_ASSIGN(const MappedFile file, MappedFile::open(path));
  const std::span<const std::byte> content = file.bytes();
  if (content.size() < sizeof(Header)) {
    return error(place, fmt::format("has {} bytes; the header alone takes {}",
                                    content.size(), sizeof(Header)));
  }
  Header header;
  std::memcpy(&header, content.data(), sizeof header);
  Checkpoint checkpoint;
  ANEROID_ASSIGN(checkpoint.config, config_from_header(header, place));
  const uint64_t body =
      3 * sizeof(float) *
      static_cast<uint64_t>(parameter_count(checkpoint.config));
  const bool orion =
      header.version == kStaticVersion && content.size() == kOrionHeader + body;
  if (!orion && content.size() != sizeof(Header) + body) {
    return error(
        place, fmt::format("has {} bytes; its header needs {} ({} of header, "
                           "{} parameters with two moments each): it was cut "
                           "short, or is of another layout",
                           content.size(), sizeof(Header) + body,
                           sizeof(Header), parameter_count(checkpoint.config)));
  }
  if (orion && with_moments) {
    return error(place,
                 "is a checkpoint of Orion, of which only the weights "
                 "are read: convert to one of the formats for weights");
  }
  const auto table = parameter_table(checkpoint.config);
  checkpoint.weights.resize(table.size());
  if (with_moments) {
    checkpoint.first_moments = Moments(table, DataType::kFp32);
    checkpoint.second_moments = Moments(table, DataType::kFp32);
  }
  if (orion) {
    ANEROID_TRY(read_orion_weights(
        {content.subspan(kOrionHeader), table, place}, table, checkpoint));
  } else {
    ANEROID_TRY(read_body({content.subspan(sizeof header), table, place}, table,
                          with_moments, checkpoint));
  }
  checkpoint.state = {{kBlztStateKey, to_json(progress_of(header))}};
  checkpoint.state[kBlztStateKey]["version"] = header.version;
  return checkpoint;
}

Status check_storable(const ModelConfig& config, const std::string& place) {
  const ModelConfig implied;
  if (!config.tie_word_embeddings) {
    return error(place,
                 "the format has no place for a classifier apart from "
                 "the embedding; the config is not tied");
  }
  if (config.rms_norm_eps != implied.rms_norm_eps ||
      config.rope_theta != implied.rope_theta) {
    return error(place, fmt::format("the format implies rms_norm_eps {} and "
                                    "rope_theta {}; the config has {} and {}",
                                    implied.rms_norm_eps, implied.rope_theta,
                                    config.rms_norm_eps, config.rope_theta));
  }
  return {};
}

Header header_of(const ModelConfig& config, const BlztProgress& progress) {
  Header header;
  for (const SizeField& field : kSizes) {
    header.*field.stored = static_cast<int32_t>(config.*field.member);
  }
  header.q_dim = static_cast<int32_t>(config.query_dim());
  for (const CountField& field : kCounts) {
    header.*field.stored = progress.*field.member;
  }
  for_each_real(header, progress,
                [](const char*, auto& stored, auto value) { stored = value; });
  return header;
}

}  // namespace

nlohmann::json to_json(const BlztProgress& progress) {
  nlohmann::json json = nlohmann::json::object();
  for (const CountField& field : kCounts) {
    json[field.name] = progress.*field.member;
  }
  const Header unused;
  for_each_real(unused, progress, [&](const char* name, auto, auto value) {
    json[name] = std::isfinite(value) ? nlohmann::json(value) : nullptr;
  });
  return json;
}

Result<BlztProgress> blzt_progress(const nlohmann::json& state) {
  BlztProgress progress;
  const auto found = state.find(kBlztStateKey);
  if (found == state.end()) return progress;
  const auto value_of = [&](const char* name) {
    return found->is_object() ? found->value(name, nlohmann::json())
                              : nlohmann::json();
  };
  const char* bad = nullptr;
  for (const CountField& field : kCounts) {
    const nlohmann::json value = value_of(field.name);
    if (value.is_number_integer() && value >= 0 &&
        value <= std::numeric_limits<int32_t>::max()) {
      progress.*field.member = value.get<int32_t>();
    } else {
      bad = field.name;
    }
  }
  const Header unused;
  for_each_real(unused, progress, [&](const char* name, auto, auto& value) {
    using Real = std::remove_reference_t<decltype(value)>;
    const nlohmann::json stored = value_of(name);
    if (stored.is_number()) {
      value = stored.get<Real>();
    } else if (stored.is_null()) {
      value = std::numeric_limits<Real>::quiet_NaN();
    } else {
      bad = name;
    }
  });
  if (bad != nullptr) {
    return error(fmt::format("state.{}.{}", kBlztStateKey, bad),
                 fmt::format("is {}; a number of its kind is needed",
                             value_of(bad).dump()));
  }
  return progress;
}

Result<bool> is_blzt(const std::filesystem::path& path) {
  ANEROID_ASSIGN(const MappedFile file, MappedFile::open(path));
  int32_t magic = 0;
  if (file.bytes().size() < sizeof magic) return false;
  std::memcpy(&magic, file.bytes().data(), sizeof magic);
  return magic == kMagic;
}

Result<LoadedModel> load_blzt_weights(const std::filesystem::path& path) {
  ANEROID_ASSIGN(Checkpoint checkpoint, load(path, false));
  return LoadedModel{std::move(checkpoint.config),
                     std::move(checkpoint.weights)};
}

Result<Checkpoint> load_blzt(const std::filesystem::path& path) {
  return load(path, true);
}

Status save_blzt(const std::filesystem::path& path, const ModelConfig& config,
                 const WeightViews& weights, const MomentViews& first_moments,
                 const MomentViews& second_moments,
                 const BlztProgress& progress) {
  const std::string place = path.string();
  ANEROID_TRY(check(config));
  ANEROID_TRY(check_storable(config, place));
  const auto table = parameter_table(config);
  ANEROID_TRY(check_views(table, weights, place));
  if (!first_moments.empty()) {
    ANEROID_TRY(check_moments(table, first_moments, kFirstMomentPrefix, place));
    ANEROID_TRY(
        check_moments(table, second_moments, kSecondMomentPrefix, place));
  }
  return write_file_atomically(path, [&](FileSink& sink) {
    const auto write = [&](const MomentViews& moments,
                           std::span<const size_t> rows) {
      for (const size_t row : rows) {
        const std::vector<float> values =
            moments.empty()
                ? std::vector<float>(static_cast<size_t>(table[row].count()))
                : to_floats(moments[row]);
        write_in_pieces(sink, std::as_bytes(std::span(values)));
      }
    };
    const auto write_group = [&](std::span<const size_t> rows) {
      for (const size_t row : rows) {
        write_in_pieces(sink, std::as_bytes(weights[row]));
      }
      write(first_moments, rows);
      write(second_moments, rows);
    };
    const Header header = header_of(config, progress);
    sink.write(std::as_bytes(std::span(&header, 1)));
    for (int64_t l = 0; l < config.num_hidden_layers; ++l) {
      write_group(layer_rows(table, kLayerRoles, l));
    }
    for (const char* role : {"norm", "embed_tokens"}) {
      const size_t row = single_row(table, role);
      write_group({&row, 1});
    }
  });
}

}  // namespace aneroid::model
