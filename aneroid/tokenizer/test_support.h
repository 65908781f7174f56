// Shared by the tests of this folder.
#pragma once

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/file.h"
#include "aneroid/tokenizer/tokenizer.h"

namespace aneroid::tokenizer {

inline std::filesystem::path shared_data() {
  const char* folder = std::getenv("ANEROID_TEST_DATA");  // NOLINT
  return folder != nullptr ? folder : "../shared/data";
}

inline bool have_shared_data() {
  return std::filesystem::exists(shared_data() / "tokenizers");
}

inline std::string shared_file(const std::string& name) {
  return read_file(shared_data() / name).value();
}

inline std::unique_ptr<Tokenizer> shared_tokenizer(const std::string& name) {
  return load_tokenizer(shared_data() / "tokenizers" / name).value();
}

// A file of little-endian uint16 ids.
inline std::vector<int32_t> shared_ids(const std::string& name) {
  const std::string bytes = shared_file(name);
  std::vector<int32_t> ids;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    uint16_t id = 0;
    std::memcpy(&id, bytes.data() + i, sizeof(id));
    ids.push_back(id);
  }
  return ids;
}

// A folder of its own for each test.
class TemporaryFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("aneroid_tokenizer_" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name,
                              const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  // The message of the refusal; fails the test when the file loads.
  std::string refusal(const std::string& bytes) const {
    const auto loaded = load_tokenizer(write("tokenizer", bytes));
    if (loaded) {
      ADD_FAILURE() << "loads";
      return {};
    }
    EXPECT_EQ(loaded.error().label, "tokenizer");
    EXPECT_EQ(loaded.error().place, (folder_ / "tokenizer").string());
    return loaded.error().message;
  }

  std::filesystem::path folder_;
};

}  // namespace aneroid::tokenizer
