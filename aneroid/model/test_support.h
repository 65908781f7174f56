// What this folder's tests share.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "aneroid/base/file.h"
#include "aneroid/model/config.h"
#include "aneroid/model/moments.h"

namespace aneroid::model {

// A folder of its own for each test, removed afterwards.
class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = fmt::format("aneroid-{}-{}-{}", test->test_suite_name(),
                                   test->name(), ::getpid());
    std::ranges::replace(name, '/', '-');  // of parameters
    folder_ = std::filesystem::path(testing::TempDir()) / name;
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override {
    std::filesystem::permissions(folder_, std::filesystem::perms::owner_all);
    std::filesystem::remove_all(folder_);
  }

  std::filesystem::path at(std::string_view name) const {
    return folder_ / name;
  }
  // Not atomic: these tests write thousands of files, and fsync takes long.
  static void write(const std::filesystem::path& path,
                    std::string_view content) {
    std::ofstream(path, std::ios::binary) << content;
  }
  static std::string read(const std::filesystem::path& path) {
    return read_file(path).value();
  }

  std::filesystem::path folder_;
};

// Grouped queries, and heads wider than the hidden size allows.
inline ModelConfig tiny_config() {
  return {.name = "tiny",
          .hidden_size = 8,
          .intermediate_size = 12,
          .num_hidden_layers = 2,
          .num_attention_heads = 4,
          .num_key_value_heads = 2,
          .head_dim = 6,
          .vocab_size = 10,
          .max_position_embeddings = 16};
}

// Moments with the values of `arrays`, whose shapes are the table's.
inline Moments moments_of(const Weights& arrays,
                          DataType type = DataType::kFp32) {
  std::vector<ParameterSpec> table;
  for (const Tensor& array : arrays) {
    table.emplace_back();
    table.back().shape = array.shape;
  }
  Moments moments(table, DataType::kFp32);
  for (size_t i = 0; i < arrays.size(); ++i) {
    std::ranges::copy(arrays[i].data, moments.values<float>(i));
  }
  return converted(std::move(moments), table, type);
}

// A safetensors file from its parts.
inline std::string assemble(std::string_view header, std::string_view data) {
  const uint64_t length = header.size();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  return file.append(header).append(data);
}

// The result must be an error with this label, and these words in what the
// user sees.
template <typename T>
void expect_error(const T& result, std::string_view label,
                  std::string_view words) {
  ASSERT_FALSE(result) << "accepted; expected: " << words;
  EXPECT_EQ(result.error().label, label) << to_string(result.error());
  EXPECT_NE(to_string(result.error()).find(words), std::string::npos)
      << to_string(result.error());
}

inline std::filesystem::path shared_data(std::string_view name) {
  const char* root = std::getenv("ANEROID_TEST_DATA");
  return std::filesystem::path(root == nullptr ? "../shared/data" : root) /
         name;
}

}  // namespace aneroid::model
