// Files written by a generator of their own, straight from the documented
// layout: nothing of it comes from the code under test.
#include "aneroid/model/blzt.h"

#include <bit>
#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/model/test_support.h"

namespace aneroid::model {
namespace {

// What a file's header says, in the names of the format.
struct Fields {
  int32_t magic = 0x424C5A54;
  int32_t version = 4;
  int32_t step = 700;
  int32_t total_steps = 10000;
  int32_t n_layers = 2;
  int32_t vocab_size = 10;
  int32_t dim = 8;
  int32_t hidden_dim = 12;
  int32_t n_heads = 4;
  int32_t seq_len = 16;
  float lr = 3e-4F;
  float loss = 2.71828F;
  double cum_compile = 1234.5;
  double cum_train = 98765.4321;
  double cum_wall = 111111.1;
  int32_t cum_steps = 690;
  int32_t cum_batches = 69;
  int32_t adam_t = 70;
  int32_t kv_heads = 2;
  int32_t head_dim = 6;
  int32_t q_dim = 24;
};
Fields version_2() {
  Fields fields;
  fields.version = 2;
  // The static pipeline leaves these three as it found them.
  fields.kv_heads = -559038737;
  fields.head_dim = 0;
  fields.q_dim = 5;
  return fields;
}

class Writer {
 public:
  template <typename T>
  void put(T value) {
    const auto bytes = std::bit_cast<std::array<char, sizeof(T)>>(value);
    file.append(bytes.data(), bytes.size());
  }
  // Orion's ends with the four bytes that align it.
  void header(const Fields& f, bool orion = false) {
    put(f.magic);
    put(f.version);
    put(f.step);
    put(f.total_steps);
    put(f.n_layers);
    put(f.vocab_size);
    put(f.dim);
    put(f.hidden_dim);
    put(f.n_heads);
    put(f.seq_len);
    put(f.lr);
    put(f.loss);
    put(f.cum_compile);
    put(f.cum_train);
    put(f.cum_wall);
    put(f.cum_steps);
    put(f.cum_batches);
    put(f.adam_t);
    put(f.kv_heads);
    if (orion) return;
    put(f.head_dim);
    put(f.q_dim);
  }
  // Values that tell where they belong: `id` in whole numbers, the index
  // behind the point; second moments must not be negative.
  void tensor(int id, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      put(static_cast<float>(id) + static_cast<float>(i) / 1024);
    }
  }
  std::string file;
};

struct Sizes {
  int64_t q, k, d, h, v;
};
Sizes sizes_of(const Fields& f) {
  if (f.version == 4) {
    return {f.q_dim, int64_t{f.kv_heads} * f.head_dim, f.dim, f.hidden_dim,
            f.vocab_size};
  }
  return {f.dim, f.dim, f.dim, f.hidden_dim, f.vocab_size};
}

// wq, wk, wv, wo, w1, w2, w3, attention gain, ffn gain.
std::array<int64_t, 9> layer_counts(const Sizes& s) {
  return {s.q * s.d, s.k * s.d, s.k * s.d, s.d * s.q, s.h * s.d,
          s.d * s.h, s.h * s.d, s.d,       s.d};
}

// Ids: layer l's tensor t is 100 l + 10 t; its moments follow by 1 and 2.
// Final gain 900, embedding 910.
std::string file_of(const Fields& fields) {
  Writer writer;
  writer.header(fields);
  const auto counts = layer_counts(sizes_of(fields));
  for (int l = 0; l < fields.n_layers; ++l) {
    for (int part = 0; part < 3; ++part) {
      for (int t = 0; t < 9; ++t) {
        writer.tensor(100 * l + 10 * t + part, counts[static_cast<size_t>(t)]);
      }
    }
  }
  for (int part = 0; part < 3; ++part) writer.tensor(900 + part, fields.dim);
  for (int part = 0; part < 3; ++part) {
    writer.tensor(910 + part, int64_t{fields.vocab_size} * fields.dim);
  }
  return writer.file;
}

const Tensor& named(const Weights& weights, std::string_view name) {
  for (const Tensor& tensor : weights) {
    if (tensor.name == name) return tensor;
  }
  ADD_FAILURE() << "no tensor " << name;
  return weights.front();
}

// By the end of its name: which tensor of a layer, and its shape.
void expect_tensors(const Weights& weights, int part, const Sizes& s) {
  struct Expected {
    const char* name;
    int place;
    Shape shape;
  };
  const Expected layer[] = {
      {"self_attn.q_proj", 0, {s.q, s.d}},
      {"self_attn.k_proj", 1, {s.k, s.d}},
      {"self_attn.v_proj", 2, {s.k, s.d}},
      {"self_attn.o_proj", 3, {s.d, s.q}},
      {"mlp.gate_proj", 4, {s.h, s.d}},
      {"mlp.down_proj", 5, {s.d, s.h}},
      {"mlp.up_proj", 6, {s.h, s.d}},
      {"input_layernorm", 7, {s.d}},
      {"post_attention_layernorm", 8, {s.d}},
  };
  const auto expect = [&](const Tensor& tensor, int id, const Shape& shape) {
    EXPECT_EQ(tensor.shape, shape) << tensor.name;
    const auto last = static_cast<float>(tensor.data.size() - 1);
    EXPECT_EQ(tensor.data.front(), static_cast<float>(id)) << tensor.name;
    EXPECT_EQ(tensor.data.back(), static_cast<float>(id) + last / 1024)
        << tensor.name;
  };
  for (int l = 0; l < 2; ++l) {
    for (const Expected& each : layer) {
      expect(named(weights,
                   fmt::format("model.layers.{}.{}.weight", l, each.name)),
             100 * l + 10 * each.place + part, each.shape);
    }
  }
  expect(named(weights, "model.norm.weight"), 900 + part, {s.d});
  expect(named(weights, "model.embed_tokens.weight"), 910 + part, {s.v, s.d});
}

Weights arrays_of(const Moments& moments, const Checkpoint& checkpoint) {
  Weights arrays = checkpoint.weights;
  for (size_t i = 0; i < arrays.size(); ++i) {
    arrays[i].data = to_floats(moments.view(i));
  }
  return arrays;
}

class BlztTest : public FolderTest {
 protected:
  std::filesystem::path file(std::string_view content) {
    // A new file each time: cutting an old one to zero makes the system flush.
    std::filesystem::remove(at("file.bin"));
    write(at("file.bin"), content);
    return at("file.bin");
  }
};

TEST_F(BlztTest, ReadsVersion4WithItsGroupedHeads) {
  const Fields fields;
  const auto loaded = load_blzt(file(file_of(fields)));
  ASSERT_TRUE(loaded) << to_string(loaded.error());
  ModelConfig expected = tiny_config();
  expected.name = loaded->config.name;
  EXPECT_EQ(loaded->config, expected);
  expect_tensors(loaded->weights, 0, sizes_of(fields));
  expect_tensors(arrays_of(loaded->first_moments, *loaded), 1,
                 sizes_of(fields));
  expect_tensors(arrays_of(loaded->second_moments, *loaded), 2,
                 sizes_of(fields));

  const auto progress = blzt_progress(loaded->state);
  ASSERT_TRUE(progress) << to_string(progress.error());
  EXPECT_EQ(*progress, (BlztProgress{700, 10000, 3e-4F, 2.71828F, 1234.5,
                                     98765.4321, 111111.1, 690, 69, 70}));
  EXPECT_EQ(loaded->state["blzt"]["version"], 4);
}

TEST_F(BlztTest, ReadsVersion2WhateverItsPaddingHolds) {
  const Fields fields = version_2();
  const auto loaded = load_blzt(file(file_of(fields)));
  ASSERT_TRUE(loaded) << to_string(loaded.error());
  EXPECT_EQ(loaded->config.num_key_value_heads, 4);
  EXPECT_EQ(loaded->config.head_dim, 2);
  expect_tensors(loaded->weights, 0, sizes_of(fields));
  expect_tensors(arrays_of(loaded->second_moments, *loaded), 2,
                 sizes_of(fields));
  EXPECT_EQ(loaded->state["blzt"]["version"], 2);
}

TEST_F(BlztTest, IsAModelLikeAnyOther) {
  const auto path = file(file_of(Fields()));
  EXPECT_TRUE(is_blzt(path).value());
  const auto loaded = load_model(path);
  ASSERT_TRUE(loaded) << to_string(loaded.error());
  expect_tensors(loaded->weights, 0, sizes_of(Fields()));
}

TEST_F(BlztTest, Version4ComesBackByteForByte) {
  const std::string original = file_of(Fields());
  const auto imported = load_blzt(file(original));
  ASSERT_TRUE(imported);
  // Through one of our own checkpoints on disk.
  ASSERT_TRUE(
      save_checkpoint(at("ours.safetensors"),
                      {imported->config, views(imported->weights),
                       views(imported->first_moments),
                       views(imported->second_moments), imported->state}));
  const auto ours = load_checkpoint(at("ours.safetensors"));
  ASSERT_TRUE(ours) << to_string(ours.error());
  const auto progress = blzt_progress(ours->state);
  ASSERT_TRUE(progress);
  const Status saved = save_blzt(
      at("back.bin"), ours->config, views(ours->weights),
      views(ours->first_moments), views(ours->second_moments), *progress);
  ASSERT_TRUE(saved) << to_string(saved.error());
  EXPECT_EQ(read(at("back.bin")), original);
}

TEST_F(BlztTest, Version2BecomesVersion4) {
  const auto imported = load_blzt(file(file_of(version_2())));
  ASSERT_TRUE(imported);
  const auto progress = blzt_progress(imported->state);
  ASSERT_TRUE(save_blzt(at("back.bin"), imported->config,
                        views(imported->weights),
                        views(imported->first_moments),
                        views(imported->second_moments), *progress));
  Fields expected = version_2();
  expected.version = 4;
  expected.kv_heads = 4;
  expected.head_dim = 2;
  expected.q_dim = 8;
  EXPECT_EQ(read(at("back.bin")), file_of(expected));
}

TEST_F(BlztTest, WeightsAloneAreWrittenWithMomentsOfZero) {
  const Weights weights = initialise(tiny_config(), 5);
  ASSERT_TRUE(
      save_blzt(at("new.bin"), tiny_config(), views(weights), {}, {}, {}));
  const auto loaded = load_blzt(at("new.bin"));
  ASSERT_TRUE(loaded) << to_string(loaded.error());
  for (size_t i = 0; i < weights.size(); ++i) {
    EXPECT_EQ(loaded->weights[i].data, weights[i].data);
    EXPECT_EQ(std::ranges::max(to_floats(loaded->first_moments.view(i))), 0);
    EXPECT_EQ(std::ranges::max(to_floats(loaded->second_moments.view(i))), 0);
  }
  EXPECT_EQ(*blzt_progress(loaded->state), BlztProgress{});
}

TEST_F(BlztTest, LossesThatAreNoNumbersAreKept) {
  Fields fields;
  fields.loss = NAN;
  const auto loaded = load_blzt(file(file_of(fields)));
  ASSERT_TRUE(loaded) << to_string(loaded.error());
  EXPECT_TRUE(loaded->state["blzt"]["loss"].is_null());
  EXPECT_TRUE(std::isnan(blzt_progress(loaded->state)->loss));
}

TEST_F(BlztTest, ReadsOrionsWeightsAndSaysSo) {
  Fields fields = version_2();
  const Sizes s = sizes_of(fields);
  // attention gain, wq, wk, wv, wo, ffn gain, w1, w3, w2
  const std::pair<int, int64_t> order[] = {
      {7, s.d}, {0, s.q * s.d}, {1, s.k * s.d}, {2, s.k * s.d}, {3, s.d * s.q},
      {8, s.d}, {4, s.h * s.d}, {6, s.h * s.d}, {5, s.d * s.h}};
  Writer writer;
  writer.header(fields, /*orion=*/true);
  for (int part = 0; part < 3; ++part) {
    for (int l = 0; l < 2; ++l) {
      for (const auto& [place, count] : order) {
        writer.tensor(100 * l + 10 * place + part, count);
      }
    }
  }
  for (const int id : {910, 900, 911, 912, 901, 902}) {
    writer.tensor(id, id >= 910 ? s.v * s.d : s.d);
  }
  const auto path = file(writer.file);
  const auto loaded = load_model(path);
  ASSERT_TRUE(loaded) << to_string(loaded.error());
  expect_tensors(loaded->weights, 0, s);
  expect_error(load_blzt(path), "blzt", "Orion");
}

struct BadField {
  const char* field;
  int32_t Fields::*member;
  int32_t value;
  const char* says;
};

TEST_F(BlztTest, NamesTheFieldThatIsWrong) {
  const BadField cases[] = {
      {"magic", &Fields::magic, 0x424C5A55, "0x424c5a54"},
      {"version", &Fields::version, 3, "is 3"},
      {"version", &Fields::version, 5, "is 5"},
      {"n_layers", &Fields::n_layers, 0, "is 0"},
      {"n_layers", &Fields::n_layers, -2, "is -2"},
      {"n_layers", &Fields::n_layers, 100000, "1024"},
      {"vocab_size", &Fields::vocab_size, -10, "is -10"},
      {"vocab_size", &Fields::vocab_size, 1 << 30, "2097152"},
      {"dim", &Fields::dim, 0, "is 0"},
      {"dim", &Fields::dim, 1 << 20, "65536"},
      {"hidden_dim", &Fields::hidden_dim, -1, "is -1"},
      {"n_heads", &Fields::n_heads, 0, "is 0"},
      {"seq_len", &Fields::seq_len, 0, "is 0"},
      {"kv_heads", &Fields::kv_heads, 0, "is 0"},
      {"kv_heads", &Fields::kv_heads, 3, "must divide"},
      {"head_dim", &Fields::head_dim, -6, "is -6"},
      {"q_dim", &Fields::q_dim, 23, "makes 24"},
      {"q_dim", &Fields::n_heads, 8, "makes 48"},
      {"step", &Fields::step, -1, "is -1"},
      {"adam_t", &Fields::adam_t, -1, "is -1"},
  };
  for (const BadField& bad : cases) {
    Fields fields;
    fields.*bad.member = bad.value;
    Writer writer;
    writer.header(fields);
    const auto path = file(writer.file + std::string(1000, '\0'));
    SCOPED_TRACE(fmt::format("{} = {}", bad.field, bad.value));
    expect_error(load_blzt(path), "blzt",
                 fmt::format("header field {}", bad.field));
    expect_error(load_blzt_weights(path), "blzt", bad.says);
  }
  Fields odd;
  odd.head_dim = 3;
  odd.q_dim = 12;
  expect_error(load_blzt(file(file_of(odd))), "blzt", "header field head_dim");
  Fields apart = version_2();
  apart.n_heads = 3;
  expect_error(load_blzt(file(file_of(apart))), "blzt",
               "is 3, which does not divide dim 8");
}

TEST_F(BlztTest, RefusesAnyOtherSize) {
  const std::string whole = file_of(Fields());
  for (const size_t size : {size_t{4}, size_t{95}, size_t{96}, whole.size() - 4,
                            whole.size() - 1}) {
    expect_error(load_blzt(file(whole.substr(0, size))), "blzt",
                 fmt::format("has {} bytes", size));
  }
  expect_error(load_blzt(file(whole + '\0')), "blzt",
               fmt::format("needs {}", whole.size()));
  // Only version 2 has the other header.
  expect_error(load_model(file(whole.substr(0, whole.size() - 8))), "blzt",
               "cut short");
}

TEST_F(BlztTest, NamesTheTensorWithABadValue) {
  std::string content = file_of(Fields());
  const auto put = [&](size_t offset, float value) {
    std::memcpy(content.data() + offset, &value, sizeof value);
  };
  const size_t embedding = size_t{10} * 8 * sizeof(float);
  put(96, NAN);  // the first value of all
  expect_error(load_model(file(content)), "weights",
               "layers.0.self_attn.q_proj");
  put(96, 0);
  put(content.size() - embedding, -1e-9F);
  expect_error(load_blzt(file(content)), "weights",
               "second moment of tensor model.embed_tokens.weight");
  EXPECT_TRUE(load_model(file(content)));  // it does not look at moments
}

TEST_F(BlztTest, RefusesToWriteWhatTheFormatCannotHold) {
  const auto refused = [&](const ModelConfig& config, const char* words) {
    expect_error(save_blzt(at("x.bin"), config, views(initialise(config, 1)),
                           {}, {}, {}),
                 "blzt", words);
    EXPECT_FALSE(std::filesystem::exists(at("x.bin")));
  };
  ModelConfig config = tiny_config();
  config.tie_word_embeddings = false;
  refused(config, "not tied");
  config = tiny_config();
  config.rope_theta = 500000;
  refused(config, "rope_theta");
}

TEST_F(BlztTest, RefusesProgressThatIsNone) {
  const nlohmann::json good = {{"blzt", to_json(BlztProgress{})}};
  ASSERT_TRUE(blzt_progress(good));
  EXPECT_EQ(*blzt_progress(nlohmann::json::object()), BlztProgress{});
  const std::pair<const char*, nlohmann::json> cases[] = {
      {"step", -1},           {"adam_t", 1.5}, {"cum_steps", nullptr},
      {"total_steps", 1e300}, {"lr", "a lot"}, {"cum_batches", 5000000000},
      {"cum_wall_ms", true},
  };
  for (const auto& [field, value] : cases) {
    nlohmann::json bad = good;
    bad["blzt"][field] = value;
    expect_error(blzt_progress(bad), "blzt", field);
  }
  expect_error(blzt_progress({{"blzt", 7}}), "blzt", "state.blzt");
}

// Whatever the header says, the answer is a model or an error.
TEST_F(BlztTest, HostileHeaders) {
  const std::string whole = file_of(Fields());
  Random random(11);
  const int32_t tempting[] = {0,       1,          2,          -1,
                              1 << 16, 1 << 30,    0x7FFFFFFF, -0x7FFFFFFF - 1,
                              65536,   0x10000001, 96,         88};
  int refused = 0;
  constexpr int kFiles = 3000;
  for (int i = 0; i < kFiles; ++i) {
    std::string content = whole;
    for (uint64_t changes = 1 + random.below(3); changes > 0; --changes) {
      if (random.below(2) == 0) {
        content[random.below(96)] = static_cast<char>(random.below(256));
      } else {
        const int32_t value = tempting[random.below(std::size(tempting))];
        std::memcpy(content.data() + 4 * (1 + random.below(23)), &value, 4);
      }
    }
    if (random.below(4) == 0) content.resize(random.below(content.size()));
    const auto path = file(content);
    const auto all = load_blzt(path);
    const auto weights = load_model(path);
    if (all) {
      EXPECT_TRUE(check(all->config));
      EXPECT_TRUE(weights);
    } else {
      ++refused;
      EXPECT_FALSE(all.error().message.empty());
    }
  }
  EXPECT_GT(refused, kFiles / 2);
  EXPECT_LT(refused, kFiles);  // lr, loss and times may be anything
}

}  // namespace
}  // namespace aneroid::model
