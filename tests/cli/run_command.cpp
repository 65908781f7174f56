#include "tests/cli/run_command.h"

#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sys/wait.h>
#include <unistd.h>

namespace aneroid::cli_test {
namespace {

// Between fork and exec: only async-signal-safe calls.
void redirect(const char* path, int descriptor) {
  const int file = ::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || ::dup2(file, descriptor) < 0) ::_exit(127);
}

}  // namespace

std::filesystem::path shared_data() {
  const char* folder = std::getenv("ANEROID_TEST_DATA");  // NOLINT
  return folder != nullptr ? folder : "../shared/data";
}

void CommandTest::SetUp() {
  ::unsetenv("COLUMNS");  // NOLINT(concurrency-mt-unsafe)
  folder_ = std::filesystem::temp_directory_path() /
            ("aneroid_cli_" + std::to_string(::getpid()));
  std::filesystem::remove_all(folder_);
  std::filesystem::create_directories(folder_);
}

void CommandTest::TearDown() { std::filesystem::remove_all(folder_); }

Outcome CommandTest::run(const std::vector<std::string>& arguments) const {
  return wait_for(start(arguments));
}

Running CommandTest::start(const std::vector<std::string>& arguments) const {
  std::string program = ANEROID_COMMAND;
  std::vector<std::string> words = arguments;
  std::vector<char*> argv = {program.data()};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  static int started = 0;
  const std::string number = std::to_string(++started);
  Running running{-1, path("stdout." + number), path("stderr." + number)};

  running.pid = ::fork();
  if (running.pid == 0) {
    redirect(running.out.c_str(), STDOUT_FILENO);
    redirect(running.err.c_str(), STDERR_FILENO);
    ::execv(program.c_str(), argv.data());
    ::_exit(127);
  }
  return running;
}

Outcome CommandTest::wait_for(const Running& running) {
  int status = 0;
  EXPECT_EQ(::waitpid(running.pid, &status, 0), running.pid);
  Outcome outcome;
  outcome.exit_code =
      WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.out = read(running.out);
  outcome.err = read(running.err);
  return outcome;
}

std::string CommandTest::write(const std::string& name,
                               std::string_view bytes) const {
  std::ofstream(path(name), std::ios::binary) << bytes;
  return path(name);
}

std::string CommandTest::path(const std::string& name) const {
  return (folder_ / name).string();
}

std::string CommandTest::read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void CommandTest::expect_refusal(const std::vector<std::string>& arguments,
                                 int exit_code, std::string_view text) const {
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
  EXPECT_EQ(outcome.err.rfind("aneroid: ", 0), 0U) << outcome.err;
  EXPECT_NE(outcome.err.find(text), std::string::npos)
      << "expected '" << text << "' in: " << outcome.err;
}

std::string CommandTest::expect_good(
    const std::vector<std::string>& arguments) const {
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  return outcome.out;
}

}  // namespace aneroid::cli_test
