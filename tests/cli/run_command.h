// Runs `aneroid` in a folder of its own and keeps what it said.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include <gtest/gtest.h>

namespace aneroid::cli_test {

struct Outcome {
  int exit_code = -1;  // 128 + number when a signal ended it
  std::string out;
  std::string err;
};

// A command that runs in the background, and the files it writes to.
struct Running {
  pid_t pid = -1;
  std::string out;
  std::string err;
};

std::filesystem::path shared_data();

// The working directory of every test is the root of the repository; files of
// the test live in folder_.
class CommandTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  Outcome run(const std::vector<std::string>& arguments) const;
  // The two halves of run(). Every start() needs its wait_for().
  Running start(const std::vector<std::string>& arguments) const;
  static Outcome wait_for(const Running& running);
  // Writes a file in folder_ and gives its path.
  std::string write(const std::string& name, std::string_view bytes) const;
  std::string path(const std::string& name) const;
  static std::string read(const std::string& path);

  // The command must end with this code and say `text` on stderr, which
  // begins with "aneroid: ".
  void expect_refusal(const std::vector<std::string>& arguments, int exit_code,
                      std::string_view text) const;
  // The command must end well and be silent on stderr; gives its output.
  std::string expect_good(const std::vector<std::string>& arguments) const;

  std::filesystem::path folder_;
};

}  // namespace aneroid::cli_test
