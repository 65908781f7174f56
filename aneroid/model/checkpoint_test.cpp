#include "aneroid/model/checkpoint.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "aneroid/model/metadata.h"
#include "aneroid/model/safetensors.h"
#include "aneroid/model/test_support.h"
#include "aneroid/model/weights.h"

namespace aneroid::model {
namespace {

void expect_same(const Weights& a, const Weights& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_EQ(a[i].shape, b[i].shape);
    EXPECT_EQ(a[i].data, b[i].data) << a[i].name;
  }
}

void expect_same(const Moments& a, const Moments& b) {
  EXPECT_EQ(a.type(), b.type());
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(std::ranges::equal(a.bytes(i), b.bytes(i))) << i;
  }
}

// Not rounded, so that it may be no number.
void set(Moments& moments, size_t row, size_t index, float value) {
  if (moments.type() == DataType::kFp32) {
    moments.values<float>(row)[index] = value;
  } else {
    moments.values<Bfloat>(row)[index].bits =
        static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  }
}

// The type of the moments.
class CheckpointTest : public FolderTest,
                       public testing::WithParamInterface<DataType> {
 protected:
  CheckpointTest() {
    checkpoint_.config = tiny_config();
    fill();
    checkpoint_.state = {{"step", 1234},
                         {"random", {UINT64_MAX, 1, 2, 3}},
                         {"loss_scale", 1024.0},
                         {"best_loss", 1.3189673713276657},
                         {"data", {{"shard", 0}, {"offset", 99}}},
                         {"note", "größer"}};
  }
  void fill() {
    checkpoint_.weights = initialise(checkpoint_.config, 1);
    Weights arrays = initialise(checkpoint_.config, 2);
    checkpoint_.first_moments = moments_of(arrays, GetParam());
    arrays = initialise(checkpoint_.config, 3);
    for (Tensor& tensor : arrays) {
      for (float& value : tensor.data) value *= value;
    }
    checkpoint_.second_moments = moments_of(arrays, GetParam());
  }
  bool bfloat() const { return GetParam() == DataType::kBf16; }
  static CheckpointView view(const Checkpoint& checkpoint) {
    return {checkpoint.config, views(checkpoint.weights),
            views(checkpoint.first_moments), views(checkpoint.second_moments),
            checkpoint.state};
  }
  Status save() { return save_checkpoint(path(), view(checkpoint_)); }
  std::filesystem::path path() const { return at("c.safetensors"); }
  Result<Checkpoint> load(std::string_view content) {
    write(at("d.safetensors"), content);
    return load_checkpoint(at("d.safetensors"));
  }
  // The saved file with other tensors or metadata, written as it should be.
  template <typename Change>
  Result<Checkpoint> load_changed(const Change& change) {
    EXPECT_TRUE(save());
    const auto file = SafetensorsFile::open(path());
    std::vector<TensorView> tensors = file->tensors();
    Metadata metadata = file->metadata();
    change(tensors, metadata);
    EXPECT_TRUE(write_safetensors(at("d.safetensors"), tensors, metadata));
    return load_checkpoint(at("d.safetensors"));
  }

  Checkpoint checkpoint_;
};

TEST_P(CheckpointTest, RoundTripIsExact) {
  for (const bool tied : {true, false}) {
    checkpoint_.config.tie_word_embeddings = tied;
    fill();
    set(checkpoint_.first_moments, 0, 0, -0.0F);
    set(checkpoint_.first_moments, 0, 1, 1e-40F);  // subnormal
    ASSERT_TRUE(save());
    const auto again = load_checkpoint(path());
    ASSERT_TRUE(again) << to_string(again.error());
    EXPECT_EQ(again->config, checkpoint_.config);
    EXPECT_EQ(again->state, checkpoint_.state);
    EXPECT_EQ(again->state["random"][0].get<uint64_t>(), UINT64_MAX);
    expect_same(again->weights, checkpoint_.weights);
    expect_same(again->first_moments, checkpoint_.first_moments);
    expect_same(again->second_moments, checkpoint_.second_moments);
    const auto values = to_floats(again->first_moments.view(0));
    EXPECT_TRUE(std::signbit(values[0]));
    EXPECT_GT(values[1], 0.0F);
  }
}

TEST_P(CheckpointTest, SameContentGivesTheSameBytes) {
  ASSERT_TRUE(save());
  const std::string first = read(path());
  ASSERT_TRUE(save());
  EXPECT_EQ(read(path()), first);
}

TEST_P(CheckpointTest, WeightsCanBeLoadedAlone) {
  ASSERT_TRUE(save());
  for (const auto& from : {path(), folder_}) {
    const auto model = load_model(from);
    ASSERT_TRUE(model) << to_string(model.error());
    EXPECT_EQ(model->config, checkpoint_.config);
    expect_same(model->weights, checkpoint_.weights);
  }
}

TEST_P(CheckpointTest, RefusesTruncationAtManyLengths) {
  ASSERT_TRUE(save());
  const std::string whole = read(path());
  for (size_t size = 0; size < whole.size(); size += size < 6000 ? 97 : 613) {
    ASSERT_FALSE(load(whole.substr(0, size))) << size;
  }
  ASSERT_FALSE(load(whole.substr(0, whole.size() - 1)));
  ASSERT_FALSE(load(whole + "x"));
  EXPECT_TRUE(load(whole));
}

// Not one flipped bit may pass unnoticed, in the header or in the data.
TEST_P(CheckpointTest, RefusesFlippedBits) {
  ASSERT_TRUE(save());
  const std::string whole = read(path());
  std::minstd_rand random(1);
  for (int i = 0; i < 600; ++i) {
    // The first half of the trials in the header, where most structure is.
    const size_t range = i < 300 ? 8000 : whole.size();
    const size_t bit = random() % (8 * range);
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_FALSE(load(damaged)) << "bit " << bit % 8 << " of byte " << bit / 8;
  }
}

TEST_P(CheckpointTest, RefusesOtherFiles) {
  expect_error(load_checkpoint(at("absent")), "file", "absent");
  expect_error(load_checkpoint(folder_), "file", "folder");
  expect_error(load("BLZT this is another format"), "safetensors",
               "not a safetensors file");
  ASSERT_TRUE(save_safetensors(at("w.safetensors"), checkpoint_.config,
                               checkpoint_.weights));
  expect_error(load_checkpoint(at("w.safetensors")), "checkpoint",
               "\"aneroid.weights\", not aneroid.checkpoint");
  ASSERT_TRUE(write_safetensors(at("e.safetensors"), {}, {}));
  expect_error(load_checkpoint(at("e.safetensors")), "checkpoint", "absent");
}

TEST_P(CheckpointTest, RefusesEachMetadataEntryMissingOrWrong) {
  const auto with = [&](const char* key, const char* value) {
    return load_changed([&](auto&, Metadata& metadata) {
      metadata.erase(key);
      if (value != nullptr) metadata[key] = value;
    });
  };
  EXPECT_TRUE(load_changed([](auto&, auto&) {}));
  expect_error(with("format_version", nullptr), "checkpoint",
               "no format_version");
  expect_error(with("format_version", "3"), "checkpoint", "reads 1 and 2");
  // The other version promises moments of the other type.
  expect_error(with("format_version", bfloat() ? "1" : "2"),
               bfloat() ? "weights" : "checkpoint",
               bfloat() ? "is BF16; the moments of this checkpoint are F32"
                        : "no moments");
  if (bfloat()) {
    expect_error(with("moments", nullptr), "checkpoint", "no moments");
    expect_error(with("moments", "fp32"), "checkpoint", "must be bf16");
    expect_error(with("moments", "fp8"), "checkpoint", "is \"fp8\"");
  }
  expect_error(with("rope_layout", nullptr), "checkpoint", "no rope_layout");
  expect_error(with("rope_layout", "half_split"), "checkpoint",
               "\"half_split\"");
  expect_error(with("config", nullptr), "weights", "no config");
  expect_error(with("config", "{}"), "config", "hidden_size");
  expect_error(with("state", nullptr), "checkpoint", "no state");
  expect_error(with("state", "[]"), "checkpoint", "must be a JSON object");
  expect_error(with("state", "{"), "checkpoint", "not valid JSON");
  expect_error(with("state", R"({"step":1})"), "checkpoint", "damaged");
  expect_error(with("checksum", nullptr), "checkpoint", "no checksum");
  expect_error(with("checksum", "0"), "checkpoint", "\"0\" was stored");
  expect_error(with("extra", "1"), "checkpoint", "damaged");
}

TEST_P(CheckpointTest, RefusesEachTensorMissingByName) {
  const size_t count = 3 * checkpoint_.weights.size();
  for (size_t i = 0; i < count; ++i) {
    std::string name;
    const auto result = load_changed([&](auto& tensors, auto&) {
      name = tensors[i].name;
      tensors.erase(tensors.begin() + static_cast<ptrdiff_t>(i));
    });
    expect_error(result, "weights", name + ": error [weights]: is missing");
  }
  expect_error(load_changed([](auto& tensors, auto&) {
                 tensors.push_back(tensors[0]);
                 tensors.back().name = "extra";
               }),
               "checkpoint", "has 61 tensors; the config needs 60");
}

TEST_P(CheckpointTest, RefusesShapesAndTypesThatDoNotFit) {
  expect_error(load_changed([](auto& tensors, auto&) {
                 std::swap(tensors[22].shape[0], tensors[22].shape[1]);
               }),
               "weights",
               "optimizer.m.model.layers.0.self_attn.q_proj.weight: "
               "error [weights]: is [8, 24]; the config needs "
               "[24, 8]");
  expect_error(load_changed([](auto& tensors, auto&) {
                 tensors[1].type = DataType::kUint32;
               }),
               "weights", "is U32");
  for (const size_t moment : {20, 45}) {  // one of each
    expect_error(load_changed([&](auto& tensors, auto&) {
                   TensorView& tensor = tensors[moment];
                   tensor.type = bfloat() ? DataType::kFp16 : DataType::kInt32;
                 }),
                 "weights",
                 bfloat() ? "is F16; the moments of this checkpoint are BF16"
                          : "is I32; the moments of this checkpoint are F32");
  }
  expect_error(load_changed([&](auto&, Metadata& metadata) {
                 ModelConfig other = checkpoint_.config;
                 other.hidden_size = 16;
                 metadata["config"] = to_json(other).dump();
               }),
               "weights", "is [10, 8]; the config needs [10, 16]");
}

TEST_P(CheckpointTest, RefusesBadValuesAndKeepsTheGoodFile) {
  ASSERT_TRUE(save());
  const std::string before = read(path());
  const Checkpoint good = checkpoint_;
  const float nan = std::numeric_limits<float>::quiet_NaN();

  checkpoint_.weights[4].data[0] = nan;
  expect_error(save(), "weights", "v_proj.weight: error [weights]: is nan");
  checkpoint_ = good;
  set(checkpoint_.first_moments, 4, 1, INFINITY);
  expect_error(save(), "weights", "tensor optimizer.m.model.layers.0");
  checkpoint_ = good;
  set(checkpoint_.second_moments, 4, 2, nan);
  expect_error(save(), "weights", "tensor optimizer.v.model.layers.0");
  checkpoint_ = good;
  set(checkpoint_.second_moments, 4, 2, -1.0F);
  expect_error(save(), "checkpoint", "is -1 at index 2; second moments");
  checkpoint_ = good;
  Weights arrays = checkpoint_.weights;
  arrays[3].data.pop_back();
  arrays[3].shape = {95};
  checkpoint_.second_moments = moments_of(arrays, GetParam());
  expect_error(save(), "weights", "has 95 values; the config needs 96");
  arrays.pop_back();
  checkpoint_.first_moments = moments_of(arrays, GetParam());
  expect_error(save(), "weights", "has 19 tensors; the config needs 20");
  checkpoint_ = good;
  checkpoint_.state = nlohmann::json::array();
  expect_error(save(), "checkpoint", "of type array");
  checkpoint_ = good;
  checkpoint_.config.head_dim = 7;
  expect_error(save(), "config", "even");
  EXPECT_EQ(read(path()), before);

  // The same values in a file that somebody else wrote.
  checkpoint_ = good;
  const std::vector<float> bad(80, nan);
  const std::vector<Bfloat> bad_bfloats(80, Bfloat{0x7FC0});
  expect_error(load_changed([&](auto& tensors, auto&) {
                 tensors[20].bytes = bfloat()
                                         ? std::as_bytes(std::span(bad_bfloats))
                                         : std::as_bytes(std::span(bad));
               }),
               "weights",
               "optimizer.m.model.embed_tokens.weight: error "
               "[weights]: is nan at index 0; 80 of 80");
}

TEST_P(CheckpointTest, UnwritablePlaces) {
  const auto save_at = [&](const std::filesystem::path& where) {
    return save_checkpoint(where, view(checkpoint_));
  };
  expect_error(save_at(at("no/such/folder/c")), "file", "cannot write");
  expect_error(save_at("/proc/c"), "file", "cannot write");
  if (::geteuid() == 0) return;  // root may write anywhere
  std::filesystem::permissions(folder_, std::filesystem::perms::owner_read |
                                            std::filesystem::perms::owner_exec);
  expect_error(save(), "file", "ermission");
}

INSTANTIATE_TEST_SUITE_P(Types, CheckpointTest,
                         testing::Values(DataType::kFp32, DataType::kBf16),
                         [](const auto& type) {
                           return std::string(name(type.param));
                         });

TEST(Moments, AreHalfTheSizeInBfloatAndConvert) {
  const auto table = parameter_table(tiny_config());
  const Moments zeros(table, DataType::kBf16);
  Weights arrays = initialise(tiny_config(), 4);
  arrays[2].data[3] = 3.4e38F;  // must not become infinite
  const Moments exact = moments_of(arrays);
  const Moments rounded = converted(exact, table, DataType::kBf16);
  const Moments back = converted(rounded, table, DataType::kFp32);
  for (size_t row = 0; row < table.size(); ++row) {
    EXPECT_EQ(exact.bytes(row).size(), 2 * rounded.bytes(row).size());
    EXPECT_EQ(std::ranges::count(zeros.bytes(row), std::byte{0}),
              std::ssize(zeros.bytes(row)));
    const auto values = to_floats(back.view(row));
    EXPECT_EQ(values, to_floats(rounded.view(row)));
    for (size_t i = 0; i < values.size(); ++i) {
      const float value = arrays[row].data[i];
      EXPECT_LE(std::fabs(values[i] - value), std::fabs(value) * 0x1p-8F);
    }
  }
  expect_same(converted(back, table, DataType::kBf16), rounded);
}

}  // namespace
}  // namespace aneroid::model
