// aneroid conformance, and bench timing: tables of measurements as input.
#include <nlohmann/json.hpp>

#include "tests/cli/run_command.h"

namespace aneroid::cli_test {
namespace {

using Json = nlohmann::json;

class Conformance : public CommandTest {
 protected:
  // 2049 rounds up at the output; 32768 is too large for the accumulator.
  std::string sums(const std::string& expected = "inf") const {
    return write("sums.csv",
                 "case_id,chip,kind,inputs,weights,bias,expected\n"
                 "a,M6,conv1x1,2048;1,1;1,,2050\n"
                 "b,M6,conv1x1,32768,1,," +
                     expected + "\n");
  }
  std::string accepted(const std::string& verdict = "cpu_only") const {
    return write("accepted.csv",
                 "op,variant,opset,api,chip,verdict,source\n"
                 "acos,acos: input 1x64x32x32,ios18,\"Core ML MLComputePlan "
                 "cpuAndNeuralEngine, single-op model\",M4," +
                     verdict + ",own\n");
  }
  std::string times(const std::string& value = "21") const {
    return write("times.csv",
                 "id,source,chip,os,api,op_kind,program,dtype,depth,metric,"
                 "value,unit,note\n"
                 "T1,own,M6,,CoreML,conv1x1,\"conv+relu chain k=1x1 cin=512 "
                 "cout=512 in=[1,512,32,32] pad=same stride=1 weights=shared "
                 "engines=1\",fp16,slope,per_layer_time," +
                     value +
                     ",us,\n"
                     "T2,own,M6,,CoreML,network,a secret network,fp16,1,"
                     "latency,5,ms,\n");
  }
};

TEST_F(Conformance, ArithmeticAgreesOrNamesTheRow) {
  const Json good = Json::parse(
      expect_good({"conformance", "arithmetic", "--table", sums(), "--json"}));
  EXPECT_EQ(good["engine"]["agree"], 2);
  EXPECT_EQ(good["engine"]["disagree"], 0);
  const Outcome bad =
      run({"conformance", "arithmetic", "--table", sums("32768")});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_NE(bad.out.find("sums.csv:3"), std::string::npos) << bad.out;
}

TEST_F(Conformance, AcceptanceAgreesOrNamesTheRow) {
  const Json good = Json::parse(expect_good(
      {"conformance", "acceptance", "--table", accepted(), "--json"}));
  EXPECT_EQ(good["support"]["agree"], 1);
  const Outcome bad = run({"conformance", "acceptance", "--table",
                           accepted("ane_supported;placed_cpu")});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_NE(bad.out.find("accepted.csv:2"), std::string::npos) << bad.out;
}

TEST_F(Conformance, TimesAreScoredAndUnreadableOnesListed) {
  const Json scored = Json::parse(
      expect_good({"bench", "timing", "--table", times(), "--json"}));
  EXPECT_EQ(scored["rows"], 2);
  EXPECT_EQ(scored["counts"]["scored"], 1);
  EXPECT_EQ(scored["counts"]["unreadable"], 1);
  const std::string plot = path("plot.svg");
  const std::string text =
      expect_good({"bench", "timing", "--table", times(), "--plot", plot});
  EXPECT_NE(text.find("predicted"), std::string::npos);
  EXPECT_NE(read(plot).find("<svg"), std::string::npos);
}

TEST_F(Conformance, BadTablesAreBadInput) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"conformance", "arithmetic"},
        std::vector<std::string>{"conformance", "acceptance"},
        std::vector<std::string>{"bench", "timing"}}) {
    const auto with = [&](const std::string& table) {
      std::vector<std::string> arguments = command;
      arguments.insert(arguments.end(), {"--table", table});
      return arguments;
    };
    expect_refusal(with(path("none.csv")), 3, "cannot open");
    expect_refusal(with(write("empty.csv", "")), 3, "empty");
    expect_refusal(with(write("other.csv", "a,b\n1,2\n")), 3, "column");
    expect_refusal(with(write("short.csv", "a,b\n1\n")), 3, "short.csv:2");
    expect_refusal(with(write("bytes.csv", "a,b\n\xFF,1\n")), 3, "UTF-8");
  }
}

TEST_F(Conformance, CountsTheProductsThatTheEngineWouldDrop) {
  const Json counted =
      Json::parse(expect_good({"bench", "products", "--model", "stories260k",
                               "--seq", "32", "--json"}));
  EXPECT_EQ(counted["scaled"].size(), counted["unscaled"].size());
  double with = 0;
  double without = 0;
  for (const Json& row : counted["scaled"])
    with += row["dropped"].get<double>();
  for (const Json& row : counted["unscaled"]) {
    without += row["dropped"].get<double>();
  }
  EXPECT_LT(with, without);
}

}  // namespace
}  // namespace aneroid::cli_test
