// Shared by the tests of this folder.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

namespace aneroid::data {

inline std::filesystem::path shared_data() {
  const char* folder = std::getenv("ANEROID_TEST_DATA");  // NOLINT
  return folder != nullptr ? folder : "../shared/data";
}

// A folder of its own for each test.
class TemporaryFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("aneroid_data_" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name,
                              const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }

  std::filesystem::path folder_;
};

}  // namespace aneroid::data
