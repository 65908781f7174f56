#include "aneroid/target/op_verdicts.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "aneroid/base/csv.h"
#include "aneroid/base/file.h"
#include "aneroid/mil/ops.h"

namespace aneroid::target {
namespace {

std::filesystem::path vocabulary_table() {
  const char* folder = std::getenv("ANEROID_TEST_DATA");
  return std::filesystem::path(folder == nullptr ? "../shared/data" : folder) /
         ".." / "reference" / "ane-ops.csv";
}

bool runs(OpVerdict verdict) {
  return verdict == OpVerdict::kNative || verdict == OpVerdict::kDecomposed ||
         verdict == OpVerdict::kFolded;
}

TEST(Ops, AreFoundByName) {
  EXPECT_GE(ops().size(), 172U);
  for (const OpEntry& entry : ops()) {
    EXPECT_EQ(find_op(entry.op), &entry);
    EXPECT_FALSE(entry.conditions.empty()) << entry.op;
    EXPECT_FALSE(entry.source.empty()) << entry.op;
    EXPECT_EQ(entry.on(Path::kRaw), entry.raw);
    EXPECT_EQ(entry.on(Path::kCoreml), entry.coreml);
    EXPECT_EQ(entry.on(Path::kE5), entry.e5);
  }
  EXPECT_EQ(find_op("convolution"), nullptr);
  EXPECT_EQ(find_op(""), nullptr);
}

// docs/spec/engine.md has the vocabulary.
TEST(Ops, AreAllDocumented) {
  const auto page = read_file("docs/spec/engine.md");
  ASSERT_TRUE(page) << "run from the root of the repository";
  for (const OpEntry& entry : ops()) {
    EXPECT_NE(page->find("`" + std::string(entry.op) + "`"), std::string::npos)
        << entry.op;
  }
}

// The published summary of the two sweeps. Where it contradicts the sweeps
// themselves, or says nothing, is named here and in docs/spec/engine.md.
TEST(Ops, AgreeWithThePublishedTable) {
  const auto text = read_file(vocabulary_table());
  if (!text) GTEST_SKIP() << "skipped: no shared data";
  const auto table = CsvTable::parse(*text, "ane-ops.csv");
  ASSERT_TRUE(table) << to_string(table.error());
  const size_t op = table->column("op").value();
  const size_t overall = table->column("ane_verdict").value();
  const size_t e5 = table->column("m5_e5rt_class").value();
  const size_t coreml = table->column("core_ml_device_m4").value();
  const std::map<std::string, OpVerdict> verdicts = {
      {"native", OpVerdict::kNative},
      {"decomposed", OpVerdict::kDecomposed},
      {"rejected", OpVerdict::kRejected},
      {"unknown", OpVerdict::kUnknown}};
  // The device report folds it away.
  const std::set<std::string> contradicted = {"shape"};
  for (size_t i = 0; i < table->rows(); ++i) {
    const std::string& name = table->at(i, op);
    const OpEntry* entry = find_op(name);
    ASSERT_NE(entry, nullptr) << name;
    EXPECT_EQ(entry->overall, verdicts.at(table->at(i, overall))) << name;

    const std::string& swept = table->at(i, e5);
    if (swept.starts_with("reachable")) {
      EXPECT_TRUE(runs(entry->e5)) << name;
    } else if (swept.starts_with("not implemented") ||
               swept.starts_with("compile-walled")) {
      EXPECT_EQ(entry->e5, OpVerdict::kRejected) << name;
    }
    const std::string& device = table->at(i, coreml);
    if (contradicted.contains(name) || device == "-") continue;
    EXPECT_EQ(runs(entry->coreml), device.find("ANE") != std::string::npos)
        << name;
  }
}

}  // namespace
}  // namespace aneroid::target
