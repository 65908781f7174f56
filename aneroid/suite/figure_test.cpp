#include "aneroid/suite/figure.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "aneroid/base/file.h"
#include "aneroid/suite/chart.h"
#include "aneroid/suite/report.h"

namespace aneroid::suite {
namespace {

constexpr std::string_view kHeader = "suite,key,kind,chip,value,unit\n";

std::string table(std::string_view rows) {
  return std::string(kHeader) + std::string(rows);
}

Figure figure(std::string suite, std::string key, double value,
              std::string unit) {
  Figure one;
  one.suite = std::move(suite);
  one.key = std::move(key);
  one.chip = "m4";
  one.value = value;
  one.unit = std::move(unit);
  return one;
}

Report report_of(const char* suite, ReportOptions options = {}) {
  if (options.chip.id.empty()) options.chip = *target::find_chip("m4");
  auto report = make_report(*find_suite(suite), options);
  EXPECT_TRUE(report) << to_string(report.error());
  return *std::move(report);
}

// What a run would give, without running.
Result<Measured> pretend(std::span<const TestProgram> programs) {
  double work = 1;
  for (const TestProgram& program : programs) work += flops(program) / 1e6;
  return Measured{work, 2 * work, 5, 100};
}

const ReportRow& row(const Report& report, std::string_view key) {
  const auto found = std::ranges::find(report.rows, key, &ReportRow::key);
  EXPECT_NE(found, report.rows.end()) << key;
  return *found;
}

// ---- The published table ---------------------------------------------------

TEST(Published, ReadsAndEveryKeyIsARowOfAFullSweep) {
  const std::string name = "aneroid/suite/published.csv";
  const auto read = read_figures(*read_file(name), name);
  ASSERT_TRUE(read) << to_string(read.error());
  EXPECT_EQ(read->size(), published().size());
  EXPECT_GT(published().size(), 100U);
  for (const Figure& one : published()) {
    EXPECT_EQ(one.kind, Kind::kPublished) << one.key;
    EXPECT_FALSE(one.source.empty()) << one.key;
    const Suite* suite = find_suite(one.suite);
    ASSERT_NE(suite, nullptr);
    const auto is_key = [&](const auto& row) { return row.key == one.key; };
    EXPECT_TRUE(std::ranges::any_of(suite->full.cases, is_key) ||
                std::ranges::any_of(suite->full.derived, is_key))
        << one.suite << " " << one.key;
  }
}

TEST(Published, EverySuiteHasAFigureOfTheM4) {
  for (const Suite& suite : suites()) {
    EXPECT_TRUE(std::ranges::any_of(published(), [&](const Figure& one) {
      return one.suite == suite.name && one.chip == "m4";
    })) << suite.name;
  }
}

// ---- Units -----------------------------------------------------------------

TEST(Canonical, TurnsRatesIntoTimesThroughTheWork) {
  // 274.877906944 GFLOP.
  const char* key = "512-64x64-d128";
  EXPECT_DOUBLE_EQ(*canonical(figure("peak", key, 14.8, "ms")), 14800);
  EXPECT_DOUBLE_EQ(*canonical(figure("peak", key, 2, "s")), 2e6);
  EXPECT_NEAR(*canonical(figure("peak", key, 18.6, "TFLOPS")), 14778.4, 0.1);
  EXPECT_NEAR(*canonical(figure("peak", key, 18600, "GFLOPS")), 14778.4, 0.1);
  // 8,388,608 bytes.
  EXPECT_NEAR(*canonical(figure("sram", "2048-1x64-d1", 42, "GB/s")), 199.73,
              0.01);
  EXPECT_DOUBLE_EQ(*canonical(figure("int8", "gain-512-64x64-d64", 1.85, "x")),
                   1.85);
}

TEST(Canonical, RefusesUnitsThatTheRowDoesNotHave) {
  for (const Figure& bad :
       {figure("peak", "512-64x64-d128", 1, "x"),
        figure("peak", "512-64x64-d128", 1, "parsecs"),
        figure("int8", "gain-512-64x64-d64", 1, "ms"),
        figure("weights", "layer-2048-1x32", 1, "TFLOPS"),
        figure("dispatch", "relu-64x1x256", 1, "TFLOPS"),
        figure("sram", "relu-64x64x64", 1, "GB/s"),
        figure("peak", "no such row", 1, "ms"),
        figure("no such suite", "512-64x64-d128", 1, "ms")}) {
    const auto value = canonical(bad);
    ASSERT_FALSE(value) << bad.suite << " " << bad.key << " " << bad.unit;
    EXPECT_EQ(value.error().label, "bench.unit");
  }
}

// ---- CSV -------------------------------------------------------------------

TEST(Csv, ReadsWhatItWrites) {
  Figure odd = figure("peak", "512-64x64-d128", 1.0 / 3, "ms");
  odd.statistic = Statistic::kTypical;
  odd.path = target::Path::kCoreml;
  odd.copies = true;
  odd.engines = 2;
  odd.samples = 50;
  odd.machine = "a \"fast\" one, in a rack\nsecond line";
  odd.os = "macOS 26.1";
  odd.source = "ich";
  odd.confidence = 'C';
  odd.note = "=1+1";
  std::vector<Figure> all(published().begin(), published().end());
  all.push_back(odd);
  const auto read = read_figures(write_figures(all), "round.csv");
  ASSERT_TRUE(read) << to_string(read.error());
  EXPECT_EQ(*read, all);
}

TEST(Csv, NeedsOnlySixColumnsInAnyOrderAndIgnoresOthers) {
  const auto read = read_figures(
      "value,colour,unit,chip,kind,key,suite\r\n"
      "14.8,blue,ms,m4,measured,512-64x64-d128,peak\r\n",
      "own.csv");
  ASSERT_TRUE(read) << to_string(read.error());
  ASSERT_EQ(read->size(), 1U);
  EXPECT_EQ(read->front(), figure("peak", "512-64x64-d128", 14.8, "ms"));
}

struct Hostile {
  const char* what;
  std::string csv;
  const char* message;
};

TEST(Csv, RefusesBadTablesWithThePlaceAndTheField) {
  const std::string long_text(2000, 'm');
  for (const Hostile& bad : {
           Hostile{"empty", "", "first row"},
           {"column", "suite,key,kind,chip,value\n", "unit"},
           {"fields", table("peak,512-64x64-d128,measured,m4,1\n"), "own.csv"},
           {"suite", table("speed,a,measured,m4,1,ms\n"), "conv-vs-matmul"},
           {"key", table("peak,a,measured,m4,1,ms\n"), "--no-run"},
           {"kind", table("peak,512-64x64-d128,guessed,m4,1,ms\n"), "kind"},
           {"no kind", table("peak,512-64x64-d128,,m4,1,ms\n"), "kind"},
           {"chip", table("peak,512-64x64-d128,measured,m99,1,ms\n"), "chip"},
           {"chip's name", table("peak,512-64x64-d128,measured,M4,1,ms\n"),
            "chip"},
           {"zero", table("peak,512-64x64-d128,measured,m4,0,ms\n"), "value"},
           {"minus", table("peak,512-64x64-d128,measured,m4,-1,ms\n"), "value"},
           {"nan", table("peak,512-64x64-d128,measured,m4,nan,ms\n"), "value"},
           {"inf", table("peak,512-64x64-d128,measured,m4,inf,ms\n"), "value"},
           {"huge", table("peak,512-64x64-d128,measured,m4,1e300,ms\n"),
            "value"},
           {"word", table("peak,512-64x64-d128,measured,m4,1ms,ms\n"), "value"},
           {"none", table("peak,512-64x64-d128,measured,m4,,ms\n"), "value"},
           {"unit", table("peak,512-64x64-d128,measured,m4,1,hours\n"), "unit"},
           {"no ratio", table("peak,512-64x64-d128,measured,m4,1,x\n"),
            "no ratio"},
           {"engines",
            "suite,key,kind,chip,value,unit,engines\n"
            "peak,512-64x64-d128,measured,m4,1,ms,1.5\n",
            "whole"},
           {"many engines",
            "suite,key,kind,chip,value,unit,engines\n"
            "peak,512-64x64-d128,measured,m4,1,ms,1000\n",
            "engines"},
           {"path",
            "suite,key,kind,chip,value,unit,path\n"
            "peak,512-64x64-d128,measured,m4,1,ms,usb\n",
            "coreml"},
           {"copies",
            "suite,key,kind,chip,value,unit,copies\n"
            "peak,512-64x64-d128,measured,m4,1,ms,maybe\n",
            "copies"},
           {"machine",
            "suite,key,kind,chip,value,unit,machine\n"
            "peak,512-64x64-d128,measured,m4,1,ms," +
                long_text + "\n",
            "2000 bytes"},
           {"bytes", table("peak,\xFF\xFE,measured,m4,1,ms\n"), "UTF-8"},
           {"quote", table("peak,\"512,measured,m4,1,ms\n"), "quote"},
       }) {
    const auto read = read_figures(bad.csv, "own.csv");
    ASSERT_FALSE(read) << bad.what;
    EXPECT_EQ(read.error().kind, ErrorKind::kInput) << bad.what;
    EXPECT_NE(to_string(read.error()).find(bad.message), std::string::npos)
        << bad.what << ": " << to_string(read.error());
    EXPECT_NE(read.error().place.find("own.csv"), std::string::npos)
        << bad.what << ": " << read.error().place;
  }
}

// Every byte of a good file changed in turn, to several others.
TEST(Csv, SurvivesAnyByte) {
  const std::string good = write_figures(published().subspan(0, 2));
  for (size_t i = 0; i < good.size(); ++i) {
    for (const char byte : {'\0', '"', ',', '\n', '-', '9', '\xFF'}) {
      std::string bad = good;
      bad[i] = byte;
      (void)read_figures(bad, "fuzz.csv");
    }
    (void)read_figures(good.substr(0, i), "cut.csv");
  }
}

// ---- Reports ---------------------------------------------------------------

TEST(Report, PutsPublishedFiguresBesidePredictionsOfTheirConditions) {
  const Report report = report_of("int8");
  const ReportRow& fp16 = row(report, "512-64x64-d128");
  ASSERT_EQ(fp16.comparisons.size(), 1U);
  EXPECT_DOUBLE_EQ(fp16.comparisons[0].value, 14800);
  EXPECT_NEAR(fp16.comparisons[0].ratio(), 1.0, 0.1);
  EXPECT_FALSE(fp16.measured);
  const ReportRow& gain = row(report, "gain-512-64x64-d128");
  EXPECT_EQ(gain.unit, RowUnit::kRatio);
  ASSERT_EQ(gain.comparisons.size(), 1U);
  EXPECT_DOUBLE_EQ(gain.comparisons[0].value, 1.88);
  EXPECT_NEAR(gain.comparisons[0].predicted, 1.88, 0.1);
  // Core ML on an M5 Pro: other conditions than the row's own.
  ReportOptions m5;
  m5.chip = *target::find_chip("m5-pro");
  const Report other = report_of("int8", m5);
  const ReportRow& coreml = row(other, "512-64x64-d128");
  ASSERT_EQ(coreml.comparisons.size(), 1U);
  EXPECT_GT(coreml.comparisons[0].predicted, *coreml.predicted);
}

TEST(Report, RunsWhatIsSmallEnoughAndSaysWhyNot) {
  ReportOptions options;
  options.run = pretend;
  options.max_gflop = 20;
  const Report report = report_of("int8", options);
  EXPECT_TRUE(row(report, "512-64x64-d8").measured);
  EXPECT_FALSE(row(report, "512-64x64-d64").measured);
  EXPECT_EQ(row(report, "512-64x64-d64").not_measured, "137 GFLOP");
  const ReportRow& deep = row(report, "256-64x64-d256-w8a8");
  EXPECT_FALSE(deep.predicted);
  EXPECT_NE(deep.refused.find("C091"), std::string::npos) << deep.refused;
  EXPECT_EQ(deep.not_measured, "refused by the chip");
  const ReportRow& gain = row(report, "gain-512-64x64-d8");
  ASSERT_TRUE(gain.measured);
  EXPECT_DOUBLE_EQ(gain.measured->best_us, 1.0);
  EXPECT_FALSE(row(report, "gain-512-64x64-d64").measured);
}

TEST(Report, KeepsRefusalsOfTheDeviceAndPassesOtherErrorsOn) {
  ReportOptions options;
  options.quick = true;
  options.run = [](auto) -> Result<Measured> {
    return device_error("C013", "surfaces", "unequal");
  };
  const Report report = report_of("sram", options);
  EXPECT_FALSE(report.rows[0].measured);
  EXPECT_EQ(report.rows[0].not_measured, "C013: unequal");
  EXPECT_TRUE(report.rows[0].predicted);
  options.chip = *target::find_chip("m4");
  options.run = [](auto) -> Result<Measured> {
    return input_error("interp", "op 'w'", "no meaning");
  };
  const auto unknown = make_report(*find_suite("sram"), options);
  ASSERT_TRUE(unknown) << to_string(unknown.error());
  EXPECT_EQ(unknown->rows[0].not_measured, "interp: no meaning");
  options.run = [](auto) -> Result<Measured> {
    return fail(ErrorKind::kAnswerNo, "bench.interrupted", "", "stop");
  };
  const auto stopped = make_report(*find_suite("sram"), options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().label, "bench.interrupted");
}

TEST(Report, ShowsContributionsForTheirChipOnly) {
  std::vector<Figure> mine = {figure("sram", "2048-1x64-d1", 0.2, "ms"),
                              figure("sram", "2048-1x64-d1", 0.3, "ms"),
                              figure("sram", "2048-1x64-d1", 9, "ms")};
  mine[1].chip = "m1";
  mine[2].kind = Kind::kPredicted;
  ReportOptions options;
  options.contributed = mine;
  const Report report = report_of("sram", options);
  const auto& compared = row(report, "2048-1x64-d1").comparisons;
  ASSERT_EQ(compared.size(), 3U);  // two published before it
  EXPECT_EQ(compared[2].figure, mine[0]);
  EXPECT_DOUBLE_EQ(compared[2].value, 200);
}

TEST(Report, ItsFiguresCanBeReadBackAndShown) {
  const Conditions conditions{"m4", "apple",   "engine",
                              4,    "a Mac\"", "macOS, 26"};
  ReportOptions options;
  options.run = pretend;
  const auto written = figures(report_of("weights", options), conditions);
  const auto read = read_figures(write_figures(written), "mine.csv");
  ASSERT_TRUE(read) << to_string(read.error());
  EXPECT_EQ(*read, written);
  ReportOptions shown;
  shown.contributed = *read;
  const Report report = report_of("weights", shown);
  const auto& compared = row(report, "512-1x16-d16").comparisons;
  ASSERT_EQ(compared.size(), 2U);  // best and typical, both measured
  EXPECT_EQ(compared[0].figure.machine, "a Mac\"");
  EXPECT_EQ(compared[1].figure.statistic, Statistic::kTypical);
  EXPECT_DOUBLE_EQ(compared[1].value, 2 * compared[0].value);
}

TEST(Report, JsonHasTheDocumentedFields) {
  const Conditions conditions{
      std::string(kCpu), "emulator", "fast", 2, "x86", "Linux"};
  ReportOptions options;
  options.run = pretend;
  for (const Suite& suite : suites()) {
    const Report report = report_of(std::string(suite.name).c_str(), options);
    const auto json = nlohmann::json::parse(to_json(report, conditions));
    EXPECT_EQ(json["schema"], 1);
    EXPECT_EQ(json["suite"], suite.name);
    EXPECT_EQ(json["measured_on"]["chip"], "cpu");
    ASSERT_EQ(json["rows"].size(),
              suite.full.cases.size() + suite.full.derived.size());
    for (const auto& one : json["rows"]) {
      for (const char* field :
           {"key", "what", "unit", "measured", "predicted", "compared"}) {
        EXPECT_TRUE(one.contains(field)) << suite.name << field;
      }
      EXPECT_EQ(one["measured"].is_null(), one.contains("not_measured"));
      EXPECT_EQ(one["predicted"].is_null(), one.contains("refused"));
    }
  }
}

TEST(Chart, DrawsEachSuiteAndOnlyFiniteNumbers) {
  ReportOptions options;
  options.run = pretend;
  for (const Suite& suite : suites()) {
    // Layers of the weights suite were published for the M6.
    options.chip = *target::find_chip(suite.name == "weights" ? "m6" : "m4");
    const std::string svg =
        chart_svg(report_of(std::string(suite.name).c_str(), options));
    EXPECT_TRUE(svg.starts_with("<svg")) << suite.name;
    EXPECT_TRUE(svg.ends_with("</svg>\n")) << suite.name;
    EXPECT_EQ(svg.find("nan"), std::string::npos) << suite.name;
    EXPECT_EQ(svg.find("inf"), std::string::npos) << suite.name;
    EXPECT_NE(svg.find("published"), std::string::npos) << suite.name;
  }
}

}  // namespace
}  // namespace aneroid::suite
