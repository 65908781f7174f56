// The reader's phrasings, the scores, and the public table where it is.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>

#include <gtest/gtest.h>

#include "aneroid/base/file.h"
#include "aneroid/conformance/static_step.h"
#include "aneroid/conformance/timing_score.h"
#include "aneroid/conformance/timing_text.h"

namespace aneroid::conformance {
namespace {

using target::Unit;
using target::Weights;
using target::Work;

TimingRow row(std::string program, std::string dtype = "fp16",
              std::string depth = "1", std::string metric = "latency",
              std::string value = "1", std::string unit = "ms") {
  TimingRow row;
  row.id = "T1";
  row.source = "somebody: file";
  row.chip = "M4";
  row.api = "CoreML";
  row.op_kind = program.starts_with("conv") ? "conv1x1" : "matmul";
  row.program = std::move(program);
  row.dtype = std::move(dtype);
  row.depth = std::move(depth);
  row.metric = std::move(metric);
  row.value = std::move(value);
  row.unit = std::move(unit);
  return row;
}

DescribedProgram read_one(const TimingRow& row) {
  const auto programs = read_program(row);
  EXPECT_TRUE(programs) << row.program << ": "
                        << (programs ? "" : programs.error().message);
  return programs && !programs->empty() ? programs->front()
                                        : DescribedProgram{};
}

// ---- Finding numbers -------------------------------------------------------

TEST(TimingText, FindsNumbersBetweenWords) {
  using Numbers = std::vector<double>;
  EXPECT_EQ(find_numbers("conv 64->128 sp32", "#->#"), (Numbers{64, 128}));
  EXPECT_EQ(find_numbers("in=[1,64,8,8] cin=64", "cin=#"), Numbers{64});
  EXPECT_EQ(find_numbers("x[1,64] @ W[64,32]", "x[#,#] @ W[#,#]"),
            (Numbers{1, 64, 64, 32}));
  EXPECT_EQ(find_numbers("73.6% zero", "#% zero"), Numbers{73.6});
  EXPECT_FALSE(find_numbers("k=3x3", "k=#x#x#"));
  EXPECT_FALSE(find_numbers("size 3x3x3", "#x# ")) << "ends inside a word";
  EXPECT_FALSE(find_numbers("max3x3", "#x#")) << "begins inside a word";
  EXPECT_FALSE(find_numbers("", "#"));
  EXPECT_FALSE(find_sizes("C=0", "C=#"));
  EXPECT_FALSE(find_sizes("C=99999999999999999999", "C=#"));
  EXPECT_FALSE(find_sizes("C=1.5", "C=#"));
  EXPECT_TRUE(contains_word("a Conv chain", "conv"));
  EXPECT_FALSE(contains_word("a deconv chain", "conv"));
}

TEST(TimingText, ANumberIsTheWholeText) {
  EXPECT_EQ(as_number("12.5"), 12.5);
  EXPECT_EQ(as_number("-3"), -3);
  for (const char* text : {"", "-", "1e", "382+13*L", "12 ", "nan", "0x10"}) {
    EXPECT_FALSE(as_number(text)) << text;
  }
}

// ---- Phrasings -------------------------------------------------------------

TEST(TimingReader, ReadsConvolutions) {
  struct Case {
    const char* words;
    int64_t in;
    int64_t out;
    int64_t pixels;
    int64_t height;
    int64_t width;
  };
  const Case cases[] = {
      {"conv+relu chain k=1x5 cin=256 cout=128 in=[1,256,8,32] pad=same", 256,
       128, 256, 1, 5},
      {"conv k=1x1 2048->768 sp256 (layer map)", 2048, 768, 256, 1, 1},
      {"conv chain k=1x1 640 sp64", 640, 640, 64, 1, 1},
      {"conv chain k=1x1 256 64x64", 256, 256, 4096, 1, 1},
      {"conv chain 512ch sp2048", 512, 512, 2048, 1, 1},
      {"conv chain 1024ch 64x64", 1024, 1024, 4096, 1, 1},
      {"conv chain k=1x1 cin=2048 in=[1,2048,32 px]", 2048, 2048, 32, 1, 1},
      {"conv chain 512ch w128 L384 single-engine, 1 process", 512, 512, 128, 1,
       1},
      {"conv k=3x3 C=64 B=8 64x64 pad=same", 64, 64, 4096, 3, 3},
      {"conv+relu x32 chain k=1x1 S2D(4)->1024ch 32x32->D2S(4)", 1024, 1024,
       1024, 1, 1},
  };
  for (const Case& one : cases) {
    const DescribedProgram program = read_one(row(one.words));
    ASSERT_FALSE(program.works.empty()) << one.words;
    const Work& work = program.works.front();
    EXPECT_EQ(work.in_channels, one.in) << one.words;
    EXPECT_EQ(work.out_channels, one.out) << one.words;
    EXPECT_EQ(work.in_pixels, one.pixels) << one.words;
    EXPECT_EQ(work.kernel_height, one.height) << one.words;
    EXPECT_EQ(work.kernel_width, one.width) << one.words;
  }
}

TEST(TimingReader, ReadsChainsStridesAndEngines) {
  const DescribedProgram chain = read_one(
      row("conv chain k=3x3 dil=2 cin=64 in=[1,64,16,16] s=2 weights=distinct "
          "engines=2",
          "fp16", "40"));
  ASSERT_EQ(chain.works.size(), 40U);
  EXPECT_EQ(chain.engines, 2);
  EXPECT_EQ(chain.works[7].dilation, 2);
  EXPECT_EQ(chain.works[7].stride, 2);
  EXPECT_EQ(chain.works[7].out_pixels, 64);
  EXPECT_EQ(chain.works[7].weights, Weights::kStreamed);
  const DescribedProgram shared =
      read_one(row("conv chain k=1x1 cin=64 in=[1,64,16,16] weights=shared",
                   "fp16", "slope"));
  EXPECT_EQ(shared.works.front().weights, Weights::kStreamed);
  EXPECT_EQ(shared.works.back().weights, Weights::kShared);
  const DescribedProgram many = read_one(
      row("conv chain k=1x1 cin=64 in=[1,64,16,16]", "fp16", "999999999"));
  EXPECT_LE(many.works.size(), 5000U);
}

TEST(TimingReader, ReadsProducts) {
  struct Case {
    const char* words;
    int64_t rows;
    int64_t depth;
    int64_t columns;
  };
  const Case cases[] = {
      {"matmul x[1,64] @ W[64,128] const W", 1, 64, 128},
      {"matmul 16x256@256x512 const W", 16, 256, 512},
      {"matmul [512,1024]@[1024,2048]", 512, 1024, 2048},
      {"matmul const W 8192x4096 B32", 32, 8192, 4096},
      {"GEMV M=1 W=4096x11008", 1, 4096, 11008},
      {"matmul 4096x4096", 4096, 4096, 4096},
      {"matvec 2560x2560 as const-weight conv1x1", 1, 2560, 2560},
  };
  for (const Case& one : cases) {
    const DescribedProgram program = read_one(row(one.words));
    ASSERT_EQ(program.works.size(), 1U) << one.words;
    EXPECT_EQ(program.works[0].out_pixels, one.rows) << one.words;
    EXPECT_EQ(program.works[0].in_channels, one.depth) << one.words;
    EXPECT_EQ(program.works[0].out_channels, one.columns) << one.words;
  }
  EXPECT_FALSE(read_program(row("matmul [4,5]@[6,7]")));
  EXPECT_FALSE(read_program(row("matmul best of a sweep")));
}

TEST(TimingReader, ReadsHowWeightsAreStored) {
  struct Case {
    const char* dtype;
    double bits;
    double density;
    bool palette;
    bool int8;
  };
  const Case cases[] = {
      {"fp16", 16, 1, false, false},
      {"w8a8", 8, 1, false, true},
      {"W8A8", 8, 1, false, true},
      {"A8W4", 4, 1, true, true},
      {"W4A16", 4, 1, true, false},
      {"int8 weights", 8, 1, false, false},
      {"w8 linear", 8, 1, false, false},
      {"4-bit grouped palette", 4, 1, true, false},
      {"2bit LUT + A8", 2, 1, true, true},
      {"LUT8", 8, 1, true, false},
      {"pruned 75% / 1:4", 16, 0.25, false, false},
      {"pruned 50% + 4-bit palette", 4, 0.5, true, false},
      {"sparse 68% zero", 16, 0.32, false, false},
  };
  for (const Case& one : cases) {
    const DescribedProgram program =
        read_one(row("conv k=1x1 64->64 sp64", one.dtype));
    ASSERT_FALSE(program.works.empty());
    const Work& work = program.works.front();
    EXPECT_DOUBLE_EQ(work.weight_bits, one.bits) << one.dtype;
    EXPECT_NEAR(work.density, one.density, 1e-9) << one.dtype;
    EXPECT_EQ(work.palette, one.palette) << one.dtype;
    EXPECT_EQ(work.int8_activations, one.int8) << one.dtype;
  }
}

TEST(TimingReader, ReadsElementwiseOpsAndOthers) {
  const DescribedProgram relu = read_one(row("relu in=[256,1024]"));
  ASSERT_EQ(relu.works.size(), 1U);
  EXPECT_EQ(relu.works[0].unit, Unit::kElementwise);
  EXPECT_DOUBLE_EQ(relu.works[0].elements, 262144);
  EXPECT_DOUBLE_EQ(relu.io_bytes, 4.0 * 262144);
  const DescribedProgram stream = read_one(row("relu stream 1M elements"));
  EXPECT_DOUBLE_EQ(stream.works.at(0).elements, 1048576);
  const DescribedProgram sum = read_one(
      row("sum of 3 inputs [1,256,64,64] then 4x conv1x1", "fp16", "3"));
  EXPECT_EQ(sum.works.size(), 2U + 4U);
  const DescribedProgram attention =
      read_one(row("scaled_dot_product_attention H4 S32 D64"));
  EXPECT_EQ(attention.works.at(0).unit, Unit::kAttention);
  EXPECT_FALSE(read_program(row("ResNet50")));
  EXPECT_FALSE(read_program(row(std::string(5000, 'x'))));
}

// ---- Rows ------------------------------------------------------------------

TEST(TimingRows, TellTimesFromOtherThings) {
  const std::string conv = "conv k=1x1 64->64 sp64";
  EXPECT_EQ(read_row(row(conv)).verdict, Verdict::kRead);
  EXPECT_DOUBLE_EQ(read_row(row(conv)).measured_us, 1000);
  EXPECT_EQ(read_row(row(conv, "fp16", "1", "power", "3", "W")).verdict,
            Verdict::kNotATime);
  EXPECT_EQ(read_row(row(conv, "fp16", "1", "stream_bw", "3", "GB/s")).verdict,
            Verdict::kNotATime);
  EXPECT_EQ(read_row(row(conv, "fp16", "1", "compile_time", "3", "s")).verdict,
            Verdict::kNotAnEngineTime);
  for (const char* value : {"", "0", "-4", "382+13.25*L", "many"}) {
    const Reading reading =
        read_row(row(conv, "fp16", "1", "latency", value, "us"));
    EXPECT_EQ(reading.verdict, Verdict::kUnreadable) << value;
    EXPECT_FALSE(reading.reason.empty());
  }
  TimingRow elsewhere = row(conv);
  elsewhere.chip = "Z80";
  EXPECT_EQ(read_row(elsewhere).verdict, Verdict::kUnreadable);
  elsewhere.chip = "A11";
  EXPECT_EQ(read_row(elsewhere).verdict, Verdict::kUnreadable);
  elsewhere.chip = "M5 Pro (host not recorded)";
  EXPECT_EQ(read_row(elsewhere).chip.id, "m5-pro");
}

TEST(TimingRows, TurnRatesIntoTimes) {
  // 128 layers of 512 x 512 over 4096 pixels at 18.6 TOPS.
  const Reading whole =
      read_row(row("conv chain k=1x1 512->512 in=[1,512,64,64]", "fp16", "128",
                   "throughput", "18.6", "TOPS"));
  ASSERT_EQ(whole.verdict, Verdict::kRead);
  EXPECT_NEAR(whole.measured_us, 14778, 1);
  EXPECT_EQ(whole.quantity, Quantity::kCall);
  const Reading layer =
      read_row(row("conv chain k=1x1 cin=512 in=[1,512,1,128]", "fp16",
                   "256-384 slope", "throughput", "20.6", "TFLOPS"));
  EXPECT_EQ(layer.quantity, Quantity::kRepeat);
  EXPECT_NEAR(layer.measured_us, 3.26, 0.01);
  const Reading bytes = read_row(row("GEMV M=1 W=4096x4096", "fp16", "1",
                                     "effective_weight_bw", "113.5", "GB/s"));
  EXPECT_NEAR(bytes.measured_us, 295.6, 0.1);
}

// ---- Scores ----------------------------------------------------------------

std::string table_of(const std::string& rows) {
  return "id,source,chip,os,api,op_kind,program,dtype,depth,metric,value,unit,"
         "note\n" +
         rows;
}

TEST(TimingScore, CountsEveryRow) {
  const auto table = CsvTable::parse(
      table_of(
          "A,one: f,M4,-,private,conv1x1,\"conv k=1x1 512->512 sp64\",fp16,1,"
          "latency,0.071,ms,\n"
          "B,two: f,M4,-,private,conv1x1,\"conv k=1x1 512->512 sp64\",fp16,1,"
          "latency,0.142,ms,\n"
          "C,two: f,M4,-,private,power,conv peak,fp16,1,power,4.57,W,\n"
          "D,two: f,M4,-,private,network,<&nonsense>,fp16,1,latency,1,ms,\n"),
      "t.csv");
  ASSERT_TRUE(table);
  const auto scoring = score(*table);
  ASSERT_TRUE(scoring);
  EXPECT_EQ(scoring->count(Verdict::kRead), 2U);
  EXPECT_EQ(scoring->count(Verdict::kNotATime), 1U);
  EXPECT_EQ(scoring->count(Verdict::kUnreadable), 1U);
  EXPECT_NEAR(scoring->rows[0].error - scoring->rows[1].error, std::log(2.0),
              1e-9);
  ASSERT_EQ(scoring->by_op_kind().size(), 1U);
  EXPECT_EQ(scoring->by_op_kind()[0].errors.rows, 2);
  const auto left_out = leave_one_source_out(*scoring, SourceLevel::kAuthor);
  ASSERT_EQ(left_out.size(), 2U);
  EXPECT_EQ(left_out[0].other_rows, 1);
  const std::string svg = scatter_svg(*scoring, "a < b & c");
  EXPECT_EQ(svg.find("a < b"), std::string::npos) << "text is escaped";
  EXPECT_NE(svg.find("a &lt; b &amp; c"), std::string::npos);
  EXPECT_NE(svg.find("M4</text>"), std::string::npos);
}

TEST(TimingScore, AnEmptyTableIsNoTrouble) {
  const auto table = CsvTable::parse(table_of(""), "t.csv");
  ASSERT_TRUE(table);
  const auto scoring = score(*table);
  ASSERT_TRUE(scoring);
  EXPECT_TRUE(scoring->by_kind().empty());
  EXPECT_TRUE(leave_one_source_out(*scoring, SourceLevel::kFile).empty());
  EXPECT_TRUE(scatter_svg(*scoring, "none").ends_with("</svg>\n"));
}

TEST(TimingScore, RefusesAnotherTable) {
  const auto table = CsvTable::parse("id,value\n1,2\n", "t.csv");
  ASSERT_TRUE(table);
  const auto scoring = score(*table);
  ASSERT_FALSE(scoring);
  EXPECT_EQ(scoring.error().kind, ErrorKind::kInput);
}

TEST(TimingScore, QuantilesAreBetweenTheValues) {
  const ErrorSummary summary = summarise({0.4, 0.1, 0.3, 0.2});
  EXPECT_EQ(summary.rows, 4);
  EXPECT_DOUBLE_EQ(summary.median, 0.25);
  EXPECT_NEAR(summary.p90, 0.37, 1e-9);
  EXPECT_EQ(summarise({}).rows, 0);
}

TEST(StaticStep, HasTheCallsThatWerePublished) {
  int64_t calls = 0;
  double weights = 0;
  double products = 0;
  for (const StepKernel& kernel : static_step(kStories110m, 256)) {
    calls += kernel.program.calls;
    for (const Work& work : kernel.program.works) {
      if (work.unit != Unit::kArray) continue;
      const auto times = static_cast<double>(kernel.program.calls);
      products += times * 2 * target::multiplications(work);
      if (work.weights != Weights::kRuntime) {
        weights += times * target::stored_weight_bytes(work) / 2;
      }
    }
  }
  EXPECT_EQ(calls, 72);
  // Every weight of the twelve layers, forward and backward.
  EXPECT_DOUBLE_EQ(weights, 2.0 * 12 * (4 * 768 * 768 + 3 * 768 * 2048));
  EXPECT_NEAR(products, 93e9, 5e9);
}

// ---- The public table ------------------------------------------------------

TEST(TimingTable, ScoresAreThoseInTheProgram) {
  const char* data = std::getenv("ANEROID_TEST_DATA");
  const std::filesystem::path path =
      std::filesystem::path(data == nullptr ? "../shared/data" : data) /
      "../reference/ane-timings-public.csv";
  const auto text = read_file(path);
  if (!text) GTEST_SKIP() << "skipped: no shared data";
  const auto table = CsvTable::parse(*text, path.string());
  ASSERT_TRUE(table);
  const auto scoring = score(*table);
  ASSERT_TRUE(scoring);
  std::map<std::pair<std::string, std::string>, ErrorSummary> computed;
  for (const ScoreGroup& group : scoring->by_class()) {
    computed[{group.chip, group.kind}] = group.errors;
  }
  EXPECT_EQ(computed.size(), target::scores().size());
  for (const target::Basis& basis : target::scores()) {
    const auto found = computed.find(
        {std::string(basis.timing_class), std::string(basis.kind)});
    ASSERT_NE(found, computed.end()) << basis.timing_class << basis.kind;
    EXPECT_EQ(found->second.rows, basis.rows)
        << basis.timing_class << " " << basis.kind;
    EXPECT_NEAR(found->second.median, basis.median, 0.0006)
        << basis.timing_class << " " << basis.kind;
    EXPECT_NEAR(found->second.p90, basis.p90, 0.0006)
        << basis.timing_class << " " << basis.kind;
  }
}

}  // namespace
}  // namespace aneroid::conformance
