// Shared by the tests of this folder.
#pragma once

#include <filesystem>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "aneroid/base/file.h"
#include "aneroid/telemetry/events.h"

namespace aneroid::telemetry {

inline StepEvent step_event(int64_t step) {
  StepEvent event;
  event.step = step;
  event.micro_steps = 4;
  event.loss = 1.0 / static_cast<double>(step + 2);
  event.lr = 3e-4;
  event.tokens = 512;
  event.wall_ms = 10.5;
  event.time = {{"forward", 4.5}, {"backward", 5.0}, {"other", 1.0}};
  return event;
}

// A folder of its own for each test.
class TemporaryFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("aneroid_telemetry_" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    path_ = folder_ / "events.jsonl";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string content() const { return read_file(path_).value(); }

  std::filesystem::path folder_;
  std::filesystem::path path_;
};

}  // namespace aneroid::telemetry
