#include "aneroid/mil/parser.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "aneroid/mil/text.h"

namespace aneroid::mil {
namespace {

// Sorts by name; the name of the first duplicate, if there is one.
template <typename T>
const std::string* sort_by_name(std::vector<Named<T>>& items) {
  const auto before = [](const Named<T>& a, const Named<T>& b) {
    return a.first < b.first;
  };
  if (!std::is_sorted(items.begin(), items.end(), before)) {
    std::stable_sort(items.begin(), items.end(), before);
  }
  const auto twin = std::adjacent_find(
      items.begin(), items.end(),
      [](const Named<T>& a, const Named<T>& b) { return a.first == b.first; });
  return twin == items.end() ? nullptr : &twin->first;
}

}  // namespace

Parser::Parser(std::string_view text, std::string_view file)
    : lexer_(text), file_(file), text_size_(text.size()) {
  advance();
}

Token Parser::peek() const {
  Lexer ahead = lexer_;
  return ahead.next();
}

bool Parser::accept(std::string_view punctuation) {
  if (!token_.is(punctuation)) return false;
  advance();
  return true;
}

Status Parser::expect(std::string_view punctuation) {
  if (!accept(punctuation)) return expected(fmt::format("'{}'", punctuation));
  return {};
}

Status Parser::expect_word(std::string_view word) {
  if (!token_.is_name(word)) return expected(fmt::format("'{}'", word));
  advance();
  return {};
}

Result<std::string> Parser::identifier(std::string_view what) {
  if (!token_.is_name()) return expected(what);
  std::string name(token_.text);
  advance();
  return name;
}

Status Parser::count_node() {
  if (++nodes_ <= kMaxNodes) return {};
  return error_at(token_.location,
                  fmt::format("the program has more than {} parts", kMaxNodes));
}

Status Parser::check_depth() const {
  if (depth_ <= kMaxDepth) return {};
  return error_at(token_.location,
                  fmt::format("nested more than {} levels deep", kMaxDepth));
}

tl::unexpected<Diagnostic> Parser::expected(std::string_view what) const {
  return error_at(token_.location,
                  fmt::format("expected {}, found {}", what, describe(token_)));
}

tl::unexpected<Diagnostic> Parser::error_at(SourceLocation location,
                                            std::string message) const {
  return input_error(
      "mil.parse",
      fmt::format("{}:{}:{}", file_, location.line, location.column),
      std::move(message));
}

Result<Program> Parser::program() {
  if (text_size_ > kMaxText) {
    return error_at({1, 1}, fmt::format("the text has {} bytes, the limit is "
                                        "{}",
                                        text_size_, kMaxText));
  }
  Program program;
  ANEROID_TRY(version(program));
  if (token_.is("[")) {
    ANEROID_ASSIGN(program.attributes, attributes());
  }
  ANEROID_TRY(expect("{"));
  while (token_.is_name("func")) {
    const SourceLocation location = token_.location;
    ANEROID_ASSIGN(Function next, function());
    if (program.function(next.name) != nullptr) {
      return error_at(location, fmt::format("a second function '{}'; names "
                                            "must be unique",
                                            next.name));
    }
    program.functions.push_back(std::move(next));
  }
  if (!accept("}")) return expected("'func' or '}'");
  if (token_.kind != Token::Kind::kEnd) {
    return expected("the end of the text after the program");
  }
  const bool old = program.version_major < 1 ||
                   (program.version_major == 1 && program.version_minor < 3);
  program.dialect = dialect_known_ ? dialect_
                    : old          ? Dialect::kTensorScalars
                                   : Dialect::kPlainScalars;
  return program;
}

Status Parser::version(Program& program) {
  ANEROID_TRY(expect_word("program"));
  ANEROID_TRY(expect("("));
  const std::string_view text = token_.text;
  const char* end = text.data() + text.size();
  int major = 0;
  int minor = 0;
  const auto first = std::from_chars(text.data(), end, major);
  const bool dot = first.ec == std::errc() && first.ptr != end &&
                   *first.ptr == '.' && token_.kind == Token::Kind::kNumber;
  const auto second =
      dot ? std::from_chars(first.ptr + 1, end, minor)
          : std::from_chars_result{end, std::errc::invalid_argument};
  if (second.ec != std::errc() || second.ptr != end || major < 0 || minor < 0) {
    return expected("a version such as 1.3");
  }
  advance();
  program.version_major = major;
  program.version_minor = minor;
  return expect(")");
}

Result<Function> Parser::function() {
  ANEROID_TRY(count_node());
  advance();  // func
  Function function;
  function.opset.clear();
  ANEROID_ASSIGN(function.name, identifier("a function name"));
  if (accept("<")) {
    ANEROID_ASSIGN(function.opset, identifier("an opset such as ios18"));
    ANEROID_TRY(expect(">"));
  }
  if (!token_.is("(")) return expected("'(' and the function's parameters");
  ANEROID_ASSIGN(function.body.inputs, parameters());
  if (token_.is("[")) {
    ANEROID_ASSIGN(function.attributes, attributes());
  }
  ANEROID_TRY(body(function.body));
  ANEROID_TRY(expect(";"));
  return function;
}

Result<std::vector<Parameter>> Parser::parameters() {
  std::vector<Parameter> parameters;
  ANEROID_TRY(expect("("));
  const auto item = [&]() -> Status {
    ANEROID_TRY(count_node());
    Parameter parameter;
    ANEROID_ASSIGN(parameter.var.type, type());
    ANEROID_ASSIGN(parameter.var.name, identifier("a parameter name"));
    if (token_.is("[")) {
      ANEROID_ASSIGN(parameter.attributes, attributes());
    }
    parameters.push_back(std::move(parameter));
    return {};
  };
  ANEROID_TRY(list(")", item));
  return parameters;
}

// { statements } -> (names)
Status Parser::body(Block& block) {
  ANEROID_TRY(expect("{"));
  while (!accept("}")) {
    if (!token_.is_name()) return expected("a statement or '}'");
    ANEROID_ASSIGN(Operation next, operation());
    block.operations.push_back(std::move(next));
  }
  ANEROID_TRY(expect("->"));
  ANEROID_TRY(expect("("));
  const auto item = [&]() -> Status {
    ANEROID_TRY(count_node());
    ANEROID_ASSIGN(std::string name, identifier("the name of a result"));
    block.outputs.push_back(std::move(name));
    return {};
  };
  return list(")", item);
}

// A statement starts with a result when its first word is a type: `int32 g`,
// `tensor<...> x`. Otherwise it is an operation without results.
bool Parser::starts_result() const {
  const Token following = peek();
  if (following.is_name()) return true;
  if (!following.is("<")) return false;
  constexpr std::string_view kContainers[] = {
      "tensor", "list", "tuple", "dict", "state", "tensor_buffer"};
  return std::find(std::begin(kContainers), std::end(kContainers),
                   token_.text) != std::end(kContainers);
}

Result<Operation> Parser::operation() {
  ANEROID_TRY(count_node());
  Operation operation;
  operation.location = token_.location;
  if (starts_result()) ANEROID_TRY(results(operation));
  ANEROID_ASSIGN(operation.op, identifier("the name of an operation"));
  if (accept("<")) {
    ANEROID_ASSIGN(operation.opset, identifier("an opset such as ios17"));
    ANEROID_TRY(expect(">"));
  }
  ANEROID_TRY(arguments(operation));
  if (token_.is("[")) {
    ANEROID_ASSIGN(operation.attributes, attributes());
  }
  ANEROID_TRY(blocks(operation));
  return operation;
}

Status Parser::results(Operation& operation) {
  do {
    ANEROID_TRY(count_node());
    Var result;
    ANEROID_ASSIGN(result.type, type());
    ANEROID_ASSIGN(result.name, identifier("the name of a result"));
    operation.outputs.push_back(std::move(result));
  } while (accept(","));
  return expect("=");
}

Status Parser::arguments(Operation& operation) {
  ANEROID_TRY(expect("("));
  const auto item = [&]() -> Status {
    ANEROID_ASSIGN(std::string name, identifier("the name of an input"));
    ANEROID_TRY(expect("="));
    ANEROID_ASSIGN(Argument bound, argument());
    operation.inputs.emplace_back(std::move(name), std::move(bound));
    return {};
  };
  ANEROID_TRY(list(")", item));
  if (const std::string* twice = sort_by_name(operation.inputs)) {
    return error_at(operation.location, fmt::format("{} is given '{}' twice",
                                                    operation.op, *twice));
  }
  return {};
}

// A name, a typed value, or (a, b, c).
Result<Argument> Parser::argument() {
  ANEROID_TRY(count_node());
  const Nesting nesting(depth_);
  ANEROID_TRY(check_depth());
  if (accept("(")) {
    Arguments items;
    const auto item = [&]() -> Status {
      ANEROID_ASSIGN(Argument next, argument());
      items.push_back(std::move(next));
      return {};
    };
    ANEROID_TRY(list(")", item));
    return Argument{std::move(items)};
  }
  if (starts_typed_value()) {
    ANEROID_ASSIGN(Value value, typed_value());
    return Argument{std::move(value)};
  }
  ANEROID_ASSIGN(std::string name,
                 identifier("a name, a typed value such as int32(1), or a "
                            "list of them in parentheses"));
  return ref(std::move(name));
}

// Behind a statement: "{", "(types", or a word followed by one of them. What
// begins with a word and "(" may also be the next statement, whose arguments
// are "name =".
bool Parser::starts_block() const {
  if (token_.is("{") || token_.is("(")) return true;
  if (!token_.is_name()) return false;
  Lexer ahead = lexer_;
  Token next = ahead.next();
  if (next.is("{")) return true;
  if (!next.is("(")) return false;
  next = ahead.next();
  if (next.is(")")) return ahead.next().is("{");
  return !(next.is_name() && ahead.next().is("="));
}

// The statement's ";" may stand before, between or after its blocks.
Status Parser::blocks(Operation& operation) {
  bool ended = accept(";");
  while (starts_block()) {
    ANEROID_TRY(count_node());
    ANEROID_ASSIGN(Block next, block());
    operation.blocks.push_back(std::move(next));
    ended = true;
    if (!accept(",")) accept(";");
  }
  if (!ended) return expected("';'");
  return {};
}

Result<Block> Parser::block() {
  const Nesting nesting(depth_);
  ANEROID_TRY(check_depth());
  Block block;
  if (token_.is_name()) {
    block.label = token_.text;
    advance();
  }
  if (token_.is("(")) {
    ANEROID_ASSIGN(block.inputs, parameters());
  }
  ANEROID_TRY(body(block));
  return block;
}

Result<std::vector<Named<Value>>> Parser::attributes() {
  const SourceLocation location = token_.location;
  std::vector<Named<Value>> attributes;
  ANEROID_TRY(expect("["));
  const auto item = [&]() -> Status {
    ANEROID_TRY(count_node());
    ANEROID_ASSIGN(std::string name, identifier("the name of an attribute"));
    ANEROID_TRY(expect("="));
    if (!starts_typed_value()) {
      return expected("a typed value such as string(\"text\")");
    }
    ANEROID_ASSIGN(Value value, typed_value());
    attributes.emplace_back(std::move(name), std::move(value));
    return {};
  };
  ANEROID_TRY(list("]", item));
  if (const std::string* twice = sort_by_name(attributes)) {
    return error_at(location,
                    fmt::format("the attribute '{}' is given twice", *twice));
  }
  return attributes;
}

Result<Program> parse(std::string_view text, std::string_view file) {
  return Parser(text, file).program();
}

}  // namespace aneroid::mil
