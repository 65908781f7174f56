#include "aneroid/telemetry/events.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "aneroid/base/file.h"
#include "aneroid/base/random.h"
#include "aneroid/telemetry/test_support.h"

namespace aneroid::telemetry {
namespace {

std::vector<Event> one_of_each() {
  RunEvent run;
  run.version = "0.1.0";
  run.started = "2026-11-21T22:16:22Z";
  run.config = {{"hidden_size", 64}, {"rope", {{"theta", 10000.0}}}};
  run.flags = {{"steps", 100}};
  run.host = {{"cpu", "some"}, {"threads", 2}};
  run.device = {{"name", "emulator:m4"}};
  return {run,
          step_event(1),
          ValidationEvent{10, 2.5, 4096},
          CheckpointEvent{10, "runs/a/step-10.safetensors", 123456, 7.25},
          SampleEvent{10, "Once", "upon \"a\"\ntime \xF0\x9F\x98\x80"},
          OverflowEvent{11, 256, 128},
          RestartEvent{11, "compile budget", "", 2, 144, 61.5},
          EndEvent{"done", "", 100, 12.5}};
}

TEST(Events, EachKindRoundTrips) {
  constexpr const char* kNames[] = {"run",        "step",   "validation",
                                    "checkpoint", "sample", "overflow",
                                    "restart",    "end"};
  size_t i = 0;
  for (const Event& event : one_of_each()) {
    const std::string line = to_line(event);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_EQ(name(event), kNames[i++]);
    const auto parsed = parse_line(line);
    ASSERT_TRUE(parsed) << to_string(parsed.error());
    EXPECT_EQ(parsed->index(), event.index());
    EXPECT_EQ(to_line(*parsed), line);
    EXPECT_EQ(step_of(*parsed), step_of(event));
  }
  EXPECT_EQ(step_of(one_of_each()[0]), -1);
  EXPECT_EQ(step_of(one_of_each()[5]), 11);
}

TEST(Events, TheLineIsTheDocumentedOne) {
  EXPECT_EQ(to_line(step_event(2)),
            R"({"event":"step","step":2,"micro_steps":4,"loss":0.25,)"
            R"("lr":0.0003,"grad_norm":0.0,"loss_scale":1.0,"skipped":false,)"
            R"("tokens":512,"tokens_per_s":0.0,"wall_ms":10.5,)"
            R"("time":{"forward":4.5,"backward":5.0,"other":1.0}})");
}

TEST(Events, LossesKeepEveryBit) {
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    ValidationEvent event{1, random.normal() * 1e-3, 1};
    const auto parsed = parse_line(to_line(event)).value();
    EXPECT_EQ(std::get<ValidationEvent>(parsed).loss, event.loss);
  }
}

TEST(Events, NumbersThatJsonLacks) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  StepEvent event = step_event(3);
  event.loss = std::nan("");
  event.grad_norm = kInfinity;
  event.lr = -kInfinity;
  const std::string line = to_line(event);
  EXPECT_NE(line.find(R"("loss":"nan")"), std::string::npos);
  const auto parsed = std::get<StepEvent>(parse_line(line).value());
  EXPECT_TRUE(std::isnan(parsed.loss));
  EXPECT_EQ(parsed.grad_norm, kInfinity);
  EXPECT_EQ(parsed.lr, -kInfinity);
}

TEST(Events, BytesThatAreNotUtf8) {
  const std::string line = to_line(SampleEvent{1, "caf\xE9", "\xFF"});
  EXPECT_TRUE(is_utf8(line));
  EXPECT_TRUE(parse_line(line));
}

TEST(Events, UnknownFieldsAreIgnored) {
  const auto parsed = parse_line(
      R"({"event":"validation","new":[1],"step":5,"loss":2,"tokens":7})");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(std::get<ValidationEvent>(*parsed).loss, 2);
}

TEST(Events, RefusalsSayWhy) {
  const std::string deep(1 << 20, '[');
  const std::pair<std::string, std::string> cases[] = {
      {"", "is not JSON"},
      {R"({"event":"st)", "is not JSON"},
      {"7", "is not an object with an \"event\""},
      {"[]", "is not an object with an \"event\""},
      {"{}", "is not an object with an \"event\""},
      {R"({"event":7})", "is not an object with an \"event\""},
      {R"({"event":"lunch"})", "is an unknown event, \"lunch\""},
      {R"({"event":"validation","step":5,"loss":2})", "has no \"tokens\""},
      {R"({"event":"validation","step":5.5,"loss":2,"tokens":7})",
       "has a \"step\" that is number, not a whole number"},
      {R"({"event":"validation","step":18446744073709551615,"loss":2,)"
       R"("tokens":7})",
       "not a whole number"},
      {R"({"event":"validation","step":5,"loss":"big","tokens":7})",
       "has a \"loss\" that is string, not a number"},
      {R"({"event":"sample","step":5,"prompt":null,"text":""})",
       "has a \"prompt\" that is null, not text"},
      {R"({"event":"run","schema":2})", "has schema 2; this program knows 1"},
      {R"({"event":"run","schema":)" + deep + std::string(deep.size(), ']') +
           "}",
       "nests deeper than 64"},
  };
  for (const auto& [line, why] : cases) {
    const auto parsed = parse_line(line);
    ASSERT_FALSE(parsed) << line.substr(0, 80);
    EXPECT_EQ(parsed.error().label, "events");
    EXPECT_NE(parsed.error().message.find(why), std::string::npos)
        << parsed.error().message;
  }
  const auto refuse_step = [](const std::string& field, const Json& value) {
    Json line = Json::parse(to_line(step_event(1)));
    line[field] = value;
    return parse_line(line.dump()).error().message;
  };
  EXPECT_NE(refuse_step("skipped", 1).find("not true or false"),
            std::string::npos);
  EXPECT_NE(refuse_step("time", 1).find("not an object of numbers"),
            std::string::npos);
  EXPECT_NE(refuse_step("time", {{"a", "b"}}).find("not an object of numbers"),
            std::string::npos);
  Json run = Json::parse(to_line(one_of_each()[0]));
  run["config"] = 1;
  EXPECT_NE(parse_line(run.dump()).error().message.find("not an object"),
            std::string::npos);
}

TEST(Events, MutatedLinesNeverCrash) {
  Random random(2);
  const std::vector<Event> events = one_of_each();
  int good = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string line = to_line(events[random.below(events.size())]);
    for (uint64_t n = 1 + random.below(3); n > 0; --n) {
      line[random.below(line.size())] = random.below(2) == 0
                                            ? static_cast<char>(random.next())
                                            : line[random.below(line.size())];
    }
    const auto parsed = parse_line(line);
    if (!parsed) continue;
    ++good;
    EXPECT_TRUE(parse_line(to_line(*parsed)));
  }
  EXPECT_GT(good, 1000);
}

TEST(UtcNow, IsIso8601) {
  const std::string now = utc_now();
  ASSERT_EQ(now.size(), 20);
  EXPECT_EQ(now[10], 'T');
  EXPECT_EQ(now.back(), 'Z');
  EXPECT_GE(now, "2024-01-01T00:00:00Z");
}

}  // namespace
}  // namespace aneroid::telemetry
