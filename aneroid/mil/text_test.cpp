#include "aneroid/mil/text.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "aneroid/base/file.h"
#include "aneroid/base/random.h"
#include "aneroid/mil/verifier.h"

namespace aneroid::mil {
namespace {

std::map<std::string, std::string> samples() {
  const char* root = std::getenv("ANEROID_TEST_DATA");
  const std::filesystem::path folder =
      std::filesystem::path(root == nullptr ? "../shared/data" : root) / "mil";
  std::map<std::string, std::string> texts;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    if (entry.path().extension() != ".mil") continue;
    if (auto text = read_file(entry.path())) {
      texts.emplace(entry.path().filename().string(), std::move(*text));
    }
  }
  return texts;
}

// One function of ios18 with this body and result.
std::string wrap(const std::string& statements,
                 const std::string& parameters = "fp16 x",
                 const std::string& results = "") {
  return "program(1.3)\n{\nfunc main<ios18>(" + parameters + ") {\n" +
         statements + "\n} -> (" + results + ");\n}";
}

// The value of a constant written as `literal`, or the error.
std::string reprinted(const std::string& literal) {
  const auto program = parse(wrap("fp16 c = const()[val = " + literal + "];"));
  if (!program) return to_string(program.error());
  const std::string text = print(*program);
  const size_t begin = text.find("val = ") + 6;
  return text.substr(begin, text.find("];", begin) - begin);
}

std::string error_of(const std::string& text) {
  const auto program = parse(text, "f.mil");
  return program ? "" : to_string(program.error());
}

TEST(Samples, RoundTripExactly) {
  const auto texts = samples();
  if (texts.empty()) GTEST_SKIP() << "skipped: no shared data";
  for (const auto& [name, text] : texts) {
    const auto program = parse(text, name);
    ASSERT_TRUE(program) << to_string(program.error());
    const std::string printed = print(*program);
    const auto again = parse(printed, name);
    ASSERT_TRUE(again) << to_string(again.error());
    EXPECT_EQ(*again, *program) << name;
    // The compiler's own layout comes out byte for byte; hand-written text
    // has its own blanks.
    const bool by_hand =
        name.starts_with("maderix") || name.starts_with("field-guide");
    if (!by_hand) {
      const bool newline = text.ends_with('\n');
      EXPECT_TRUE(printed + (newline ? "\n" : "") == text) << name;
    }
  }
}

TEST(Samples, AreWellFormed) {
  const auto texts = samples();
  if (texts.empty()) GTEST_SKIP() << "skipped: no shared data";
  for (const auto& [name, text] : texts) {
    const auto program = parse(text, name);
    ASSERT_TRUE(program);
    for (const Diagnostic& finding : verify(*program, name)) {
      ADD_FAILURE() << to_string(finding);
    }
  }
}

TEST(Samples, ParseQuickly) {
  const auto texts = samples();
  const auto large = texts.find("FluidAudio__parakeet_eou_encoder_1280ms.mil");
  if (large == texts.end()) GTEST_SKIP() << "skipped: no shared data";
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(parse(large->second));
  const std::chrono::duration<double> taken =
      std::chrono::steady_clock::now() - start;
  // 0.03 s alone; the limit leaves room for sanitizers and busy machines.
  EXPECT_LT(taken.count(), 2.0);
}

TEST(Parse, TimeIsLinearInTheText) {
  const auto seconds = [](size_t statements) {
    std::string body;
    for (size_t i = 0; i < statements; ++i) {
      const std::string name = "v" + std::to_string(i);
      body += fmt::format(
          "fp16 {0} = const()[name = string(\"{0}\"), val = "
          "fp16(0x1.8p-3)];\n",
          name);
    }
    const std::string text = wrap(body);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(parse(text));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                         start)
        .count();
  };
  seconds(1000);  // warm up
  const double small = seconds(3000);
  EXPECT_LT(seconds(30000), small * 100 + 0.1);  // quadratic would be 100 up
}

TEST(Parse, ReadsThreeDialects) {
  const auto old_style = parse(
      "program(1.0)[buildInfo = dict<tensor<string, []>, tensor<string, []>>"
      "({{\"a\", \"b\"}})]{func main<ios16>(tensor<fp16, []> x){"
      "tensor<int32, []> g = const()[val = tensor<int32, []>(1)];}->(g);}");
  ASSERT_TRUE(old_style) << to_string(old_style.error());
  EXPECT_EQ(old_style->dialect, Dialect::kTensorScalars);
  EXPECT_EQ(old_style->version_minor, 0);
  const auto plain = parse(wrap("int32 g=const()[val=int32(1)];"));
  ASSERT_TRUE(plain) << to_string(plain.error());
  EXPECT_EQ(plain->dialect, Dialect::kPlainScalars);
  EXPECT_EQ(plain->functions[0].body.operations,
            old_style->functions[0].body.operations);
  // Placement dumps: literals as arguments, op<opset>, tensor_buffer.
  const auto dump = parse(
      wrap("fp16 y = add<ios17>(x = x, y = fp16(0x1p+0))[milId = uint64(3)];",
           "tensor_buffer<fp16, shape=[1, 64], strides=[64, 1]> x"));
  ASSERT_TRUE(dump) << to_string(dump.error());
  EXPECT_EQ(dump->functions[0].body.operations[0].opset, "ios17");
  EXPECT_EQ(*parse(print(*dump)), *dump);
}

TEST(Parse, IsFreeAboutBlanksAndComments) {
  const auto dense = parse(wrap("fp16 y=mul(x=x,y=x)[name=string(\"y\")];"));
  const auto loose = parse(wrap(
      "// a line\r\n\tfp16 y = mul ( y = x , x = x, )\n /* * / \n */ [ name "
      "= string ( \"y\" ) , ] ;"));
  ASSERT_TRUE(dense);
  ASSERT_TRUE(loose) << to_string(loose.error());
  EXPECT_EQ(*dense, *loose);
}

TEST(Parse, NamesMayBeTypeWords) {
  const auto program =
      parse(wrap("tensor<fp16, [1]> tensor = add(x = string, y = state);",
                 "fp16 string, fp16 state, fp16 inf", "tensor, string"));
  ASSERT_TRUE(program) << to_string(program.error());
  EXPECT_EQ(*parse(print(*program)), *program);
}

TEST(Parse, ReadsStatementsWithoutAndWithSeveralResults) {
  const auto program = parse(
      wrap("write_state(data = x, input = s);\n"
           "fp16 a, tensor<fp16, [2]> b = two(x = x)[name = string(\"t\")];",
           "fp16 x, state<fp16> s"));
  ASSERT_TRUE(program) << to_string(program.error());
  EXPECT_TRUE(program->functions[0].body.operations[0].outputs.empty());
  EXPECT_EQ(program->functions[0].body.operations[1].outputs.size(), 2U);
  EXPECT_EQ(*parse(print(*program)), *program);
}

TEST(Parse, ReadsBlocksInAnyPunctuation) {
  const std::string head = "fp16 r = cond(pred = p)[name = string(\"r\")]";
  const std::string then = "{ fp16 a = relu(x = x); } -> (a)";
  const std::string otherwise = "{ fp16 b = tanh(x = x); } -> (b)";
  const std::string parameters = "fp16 x, bool p";
  const auto reference =
      parse(wrap(head + then + otherwise + ";", parameters, "r"));
  ASSERT_TRUE(reference) << to_string(reference.error());
  ASSERT_EQ(reference->functions[0].body.operations[0].blocks.size(), 2U);
  for (const char* form : {"{0};{1};{2};", "{0}{1},{2};", "{0};{1}{2}"}) {
    const std::string text =
        fmt::format(fmt::runtime(form), head, then, otherwise);
    const auto program = parse(wrap(text, parameters, "r"));
    ASSERT_TRUE(program) << text << to_string(program.error());
    EXPECT_EQ(*program, *reference) << text;
  }
  EXPECT_EQ(*parse(print(*reference)), *reference);
  // Labels and parameters; a statement without results behind the blocks.
  const auto loop =
      parse(wrap("int32 n = while_loop(loop_vars = (i))[];\n"
                 "condition(int32 j) { bool c = less(x = j, y = j); } -> (c);\n"
                 "body(int32 k [a = bool(true)]) {} -> (k)\n"
                 "write_state(data = n, input = i);\nnothing();",
                 "int32 i"));
  ASSERT_TRUE(loop) << to_string(loop.error());
  const auto& operations = loop->functions[0].body.operations;
  ASSERT_EQ(operations.size(), 3U);
  EXPECT_EQ(operations[0].blocks[0].label, "condition");
  EXPECT_EQ(operations[0].blocks[1].inputs[0].attributes.size(), 1U);
  EXPECT_EQ(*parse(print(*loop)), *loop);
}

TEST(Parse, ReadsSeveralFunctions) {
  const auto program = parse(
      "program(1.3){func a<ios18>(fp16 x) {} -> (x); func b(fp16 x) "
      "[k = tuple<fp16, list<string, ?>>((1, [\"u\", \"v\"]))] {} -> ();}");
  ASSERT_TRUE(program) << to_string(program.error());
  ASSERT_NE(program->function("b"), nullptr);
  EXPECT_EQ(program->function("b")->opset, "");
  EXPECT_EQ(*parse(print(*program)), *program);
}

TEST(Parse, ReadsConstants) {
  EXPECT_EQ(reprinted("fp16(0.125000)"), "fp16(0x1p-3)");
  EXPECT_EQ(reprinted("fp16(0.001302)"), "fp16(0x1.554p-10)");
  EXPECT_EQ(reprinted("tensor<fp32, [2]>([-INF, nan])"),
            "tensor<fp32, [2]>([-inf, nan])");
  EXPECT_EQ(reprinted("tensor<int32, [2, 2]>([[1, 2], [3, 4]])"),
            "tensor<int32, [2, 2]>([[1, 2], [3, 4]])");
  EXPECT_EQ(reprinted("tensor<int32, [2, 2]>([1, 2, 3, 4])"),
            "tensor<int32, [2, 2]>([[1, 2], [3, 4]])");
  EXPECT_EQ(reprinted("tensor<int32, [?]>([1, 2])"),
            "tensor<int32, [2]>([1, 2])");
  EXPECT_EQ(reprinted("tensor<int32, [0]>([])"), "tensor<int32, [0]>([])");
  EXPECT_EQ(reprinted("tensor<int32, [2, 0]>([[], []])"),
            "tensor<int32, [2, 0]>([])");
  EXPECT_EQ(reprinted("tensor<bool, [2]>([true, false])"),
            "tensor<bool, [2]>([true, false])");
  EXPECT_EQ(reprinted("tensor<string, [2]>([\"a\", \"\"])"),
            "tensor<string, [2]>([\"a\", \"\"])");
  EXPECT_EQ(reprinted("tensor<uint4, [2]>([0, 15])"),
            "tensor<uint4, [2]>([0, 15])");
  EXPECT_EQ(reprinted("dict<string, fp64>({{\"a\", 0x1p-1}, {\"b\", 0}})"),
            "dict<string, fp64>({{\"a\", 0.5}, {\"b\", 0}})");
  // Dictionaries as hands write them.
  for (const char* text : {"({{}})", "({})", "()"}) {
    EXPECT_EQ(reprinted(std::string("dict<string, string>") + text),
              "dict<string, string>({})");
  }
  EXPECT_EQ(reprinted("dict<string, string>({\"a\", \"b\"}, {\"c\", \"d\"})"),
            "dict<string, string>({{\"a\", \"b\"}, {\"c\", \"d\"}})");
  EXPECT_EQ(reprinted("tuple<string, int32>((string(\"a\"), int32(1)))"),
            "tuple<string, int32>((\"a\", 1))");
  EXPECT_EQ(reprinted("list<tensor<int32, [2]>, ?>([[1, 2], [3, 4]])"),
            "list<tensor<int32, [2]>, ?>([[1, 2], [3, 4]])");
}

TEST(Parse, StringsKeepEveryByte) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  Program program = *parse(wrap("string c = const()[val = string(\"\")];"));
  program.functions[0].body.operations[0].attributes[0].second =
      string_value(bytes + "0123abc");
  EXPECT_EQ(*parse(print(program)), program);
  EXPECT_EQ(reprinted(R"(string("\"\\\'\n\x41\0"))"),
            R"(string("\"\\'\nA\x00"))");
}

TEST(Parse, KeepsUnknownOpsAndAttributes) {
  const auto program =
      parse(wrap("fp16 y = my_op(b = x, a = (x, (fp16(1), x)))[q = "
                 "list<string, 1>([\"z\"])];"));
  ASSERT_TRUE(program) << to_string(program.error());
  EXPECT_EQ(*parse(print(*program)), *program);
}

TEST(Parse, ErrorsSayWhereAndWhat) {
  EXPECT_EQ(error_of("program(1.3)\n{\n  fun main"),
            "f.mil:3:3: error [mil.parse]: expected 'func' or '}', found "
            "'fun'");
  EXPECT_EQ(error_of(wrap("fp16 y = relu(x = 1);")),
            "f.mil:4:19: error [mil.parse]: expected a name, a typed value "
            "such as int32(1), or a list of them in parentheses, found '1'");
}

struct BadText {
  std::string text;
  std::string message;  // part of it
};

std::string repeat(const std::string& text, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i) result += text;
  return result;
}

TEST(Parse, RefusesBadText) {
  const auto constant = [](const std::string& value) {
    return wrap("fp16 c = const()[val = " + value + "];");
  };
  const std::vector<BadText> cases = {
      {"", "expected 'program', found the end of the text"},
      {"program(x)", "a version such as 1.3"},
      {"program(1.99999999999999)", "a version such as 1.3"},
      {"program(-1.3){}", "a version such as 1.3"},
      {"program(1.3){} extra", "the end of the text after the program"},
      {"program(1.3){ /* }", "a comment that does not end"},
      {"program(1.3)[a = string(\"b)]", "a string that does not end"},
      {"program(1.3)[a = string(\"\\q\")]{}", "escapes"},
      {"program(1.3)[a = string(\"\\x4\")]{}", "escapes"},
      {"program(1.3)[a = b]{}", "a typed value"},
      {"program(1.3)[a = bool(true), a = bool(true)]{}",
       "the attribute 'a' is given twice"},
      {"program(1.3){func f(){} -> (); func f(){} -> ();}",
       "a second function 'f'"},
      {"program(1.3){func f(fp17 x){} -> ();}", "a type such as"},
      {"program(1.3){\x80}", "a character that no token starts with"},
      {wrap("fp16 y = relu(x = x, x = x);"), "relu is given 'x' twice"},
      {wrap("fp16 y = relu(x = x)"), "expected ';'"},
      {wrap("fp16 y = relu(x x);"), "expected '='"},
      {wrap("fp16 y relu(x = x);"), "expected '='"},
      {wrap("y = relu(x = x);"), "expected '('"},
      {constant("fp16(70000)"), "'70000' is out of the range of fp16"},
      {constant("int8(128)"), "out of the range of int8"},
      {constant("uint4(-1)"), "out of the range of uint4"},
      {constant("int32(1.5)"), "a number of type int32"},
      {constant("int32(true)"), "a number of type int32"},
      {constant("bool(1)"), "true or false"},
      {constant("string(1)"), "a string"},
      {constant("fp16([1])"), "a number of type fp16"},
      {constant("tensor<int32, [2]>(1)"), "expected '['"},
      {constant("tensor<int32, [2]>([1, 2, 3])"), "more elements than the 2"},
      {constant("tensor<int32, [2]>([1])"), "the brackets have the shape [1]"},
      {constant("tensor<int32, [2, 2]>([[1, 2], [3]])"),
       "this row has 1 items, the one before 2"},
      {constant("tensor<int32, [2, 2]>([[1, 2], 3])"), "different depths"},
      {constant("tensor<int32, [2, ?]>([1, []])"), "the brackets have"},
      {constant("tensor<int32, [-1]>([1])"), "a dimension"},
      {constant("tensor<int32, [99999999999999999999]>([1])"), "2^62"},
      {constant("tensor<int32, [" + repeat("1, ", 32) + "1]>([1])"),
       "more than 32 dimensions"},
      {constant("list<int32, 2>([1])"), "1 items for list<int32, 2>"},
      {constant("list<int32, 1>([1, 2])"), "more items than the 1"},
      {constant("list<int32, ...>([1])"), "the length of the list"},
      {constant("tuple<int32>((1, 2))"), "more items than the 1"},
      {constant("dict<string, string>({{\"a\"}})"), "expected ','"},
      {constant("tuple<int32>((int8(1)))"), "a value of type int8 where int32"},
      {constant("state<fp16>(1)"), "no constants of type state<fp16>"},
      {constant("state<list<fp16, 2>>(1)"), "can only wrap a tensor"},
      {constant("string(BLOBFILE(path = string(\"w\"), offset = uint64(1)))"),
       "a file cannot hold"},
      {constant("tensor<fp16, [?]>(BLOBFILE(path = string(\"w\"), offset = "
                "uint64(1)))"),
       "must be known"},
      {constant("fp16(BLOBFILE(path = int32(1), offset = uint64(1)))"),
       "the path of BLOBFILE must be one string"},
      {constant("fp16(BLOBFILE(path = string(\"w\"), offset = int32(-1)))"),
       "the offset of BLOBFILE"},
      {constant("fp16(BLOBFILE(path = string(\"w\"), offset = fp32(1)))"),
       "the offset of BLOBFILE"},
      {constant("tensor_buffer<fp16, shape=[1], shape=[1]>(1)"),
       "'shape' is given twice"},
      {constant("tensor_buffer<fp16, s=[1], s=[1]>(1)"), "'s' is given twice"},
  };
  for (const BadText& bad : cases) {
    const std::string message = error_of(bad.text);
    EXPECT_NE(message.find(bad.message), std::string::npos)
        << "for " << bad.text << "\ngot " << message;
    EXPECT_EQ(message.rfind("f.mil:", 0), 0U) << message;
  }
}

TEST(Parse, LimitsNesting) {
  const size_t deep = 200000;
  const std::vector<std::string> texts = {
      wrap("fp16 y = f(a = " + repeat("(", deep)),
      wrap("fp16 y = f(a = " + repeat("list<", deep)),
      wrap("fp16 y = f(a = " + repeat("tuple<", deep)),
      wrap("fp16 y = f(a = tensor<fp16, [?]>(" + repeat("[", deep)),
      wrap(repeat("f() {", deep)),
      wrap(repeat("fp16 y = f(); b(fp16 x) {", deep)),
      wrap("fp16 y = f(a = tuple<fp16>(" + repeat("tuple<fp16>(", deep)),
  };
  for (const std::string& text : texts) {
    const std::string message = error_of(text);
    EXPECT_TRUE(message.find("nested") != std::string::npos)
        << text.substr(0, 100) << "\n"
        << message;
  }
}

TEST(Parse, LimitsParts) {
  const std::string message =
      error_of(wrap("string y = const()[val = tensor<string, [?]>([" +
                    repeat("\"\",", (1 << 21) + 1) + "])];"));
  EXPECT_NE(message.find("parts"), std::string::npos) << message;
}

// Changes some bytes: overwrites, deletes, doubles and moves pieces.
std::string mutate(std::string text, Random& random) {
  const uint64_t changes = 1 + random.below(4);
  for (uint64_t i = 0; i < changes && !text.empty(); ++i) {
    const size_t at = random.below(text.size());
    const size_t length = 1 + random.below(12);
    constexpr std::string_view kBytes = "()[]{}<>,;=?\"\\/*-.0159exp \n@";
    switch (random.below(5)) {
      case 0:
        text[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        text[at] = kBytes[random.below(kBytes.size())];
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(at, text.substr(random.below(text.size()), length));
        break;
      default:
        text.resize(at);
        break;
    }
  }
  return text;
}

TEST(Parse, SurvivesMutations) {
  std::vector<std::string> seeds = {
      wrap("int32 n = while_loop(loop_vars = (i))[];\n"
           "condition(int32 j) { bool c = less(x = j, y = j); } -> (c);\n"
           "body(int32 k [a = bool(true)]) {} -> (k)\n"
           "write_state(data = n, input = i);"
           "fp16 v = const()[val = dict<string, tuple<fp16, list<tensor<int8, "
           "[?]>, ?>>>({{\"k\\n\", (-0x1.8p-3, [[1, 2], []])}})];\n"
           "tensor<fp16, [1, 2]> w = conv<ios17>(weight = tensor<fp16, [1, 2, "
           "1, 1]>(BLOBFILE(path = string(\"w\"), offset = uint64(64))), x = "
           "x, bias = tensor<fp16, [2]>([1e-3, inf]));",
           "int32 i, tensor_buffer<fp16, shape=[1], strides=[1]> b", "n, v")};
  for (auto& [name, text] : samples()) {
    if (text.size() < 10000) seeds.push_back(std::move(text));
  }
  Random random(7);
  size_t accepted = 0;
  for (int round = 0; round < 6000; ++round) {
    const std::string text = mutate(seeds[random.below(seeds.size())], random);
    const auto program = parse(text);
    if (!program) {
      EXPECT_EQ(program.error().label, "mil.parse");
      continue;
    }
    ++accepted;
    // What is accepted can be verified and round trips.
    verify(*program);
    const std::string printed = print(*program);
    const auto again = parse(printed);
    ASSERT_TRUE(again) << to_string(again.error()) << "\n" << printed;
    EXPECT_TRUE(*again == *program || printed.find("nan") != printed.npos)
        << printed;
  }
  EXPECT_GT(accepted, 100U);
}

}  // namespace
}  // namespace aneroid::mil
