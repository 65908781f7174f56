// The recursive-descent parser behind text.h's parse(). Private to this folder.
//
// parser.cpp reads programs, functions, statements and blocks;
// parser_value.cpp reads types and constants. Every recursion passes through
// Nesting, and everything that takes more memory than its text is counted, so
// that hostile text can exhaust neither the stack nor the memory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/mil/ir.h"
#include "aneroid/mil/lexer.h"

namespace aneroid::mil {

class Parser {
 public:
  // Brackets, types, tuples and blocks inside one another.
  static constexpr int kMaxDepth = 64;
  static constexpr size_t kMaxRank = 32;
  // Statements, arguments, attributes, types and container items in all.
  static constexpr size_t kMaxNodes = size_t{1} << 21;
  static constexpr size_t kMaxText = size_t{1} << 29;

  Parser(std::string_view text, std::string_view file);

  Result<Program> program();

 private:
  // parser.cpp
  Status version(Program& program);
  Result<Function> function();
  Result<std::vector<Parameter>> parameters();
  Status body(Block& block);
  Result<Operation> operation();
  Status results(Operation& operation);
  Status arguments(Operation& operation);
  Result<Argument> argument();
  Status blocks(Operation& operation);
  Result<Block> block();
  Result<std::vector<Named<Value>>> attributes();
  bool starts_result() const;
  bool starts_block() const;

  // parser_value.cpp
  Result<Type> type();
  Status tensor_type(Type& type);
  Status buffer_type(Type& type);
  Result<DataType> scalar_word();
  Result<Shape> shape();
  Result<int64_t> dimension();
  bool starts_typed_value() const;
  Result<Value> typed_value();
  Result<Value> content(const Type& type);
  Result<Value> blob(const Type& type);
  Result<Value> literal(const Type& type);
  Result<Value> tensor_literal(const Type& type);
  Result<Value> sequence(const Type& type);
  Result<Value> dict(const Type& type);
  Status dict_pair(const Type& type, Value::Items& items);
  struct Elements;
  Status nested_elements(Elements& elements, size_t depth);
  Status element(Elements& elements);
  Result<Shape> resolve_shape(const Elements& elements,
                              SourceLocation location);

  // Token handling.
  void advance() { token_ = lexer_.next(); }
  Token peek() const;
  bool accept(std::string_view punctuation);
  Status expect(std::string_view punctuation);
  Status expect_word(std::string_view word);
  Result<std::string> identifier(std::string_view what);
  // Items up to `close`, separated by commas; a last comma is allowed.
  template <typename ParseItem>
  Status list(std::string_view close, ParseItem item);
  Status count_node();
  tl::unexpected<Diagnostic> expected(std::string_view what) const;
  tl::unexpected<Diagnostic> error_at(SourceLocation location,
                                      std::string message) const;

  // Counts one level of recursion for as long as it lives.
  class Nesting {
   public:
    explicit Nesting(int& depth) : depth_(depth) { ++depth_; }
    ~Nesting() { --depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    int& depth_;
  };
  Status check_depth() const;

  Lexer lexer_;
  Token token_;
  std::string_view file_;
  size_t text_size_;
  int depth_ = 0;
  size_t nodes_ = 0;
  // The first scalar spelling met decides the dialect.
  bool dialect_known_ = false;
  Dialect dialect_ = Dialect::kPlainScalars;
};

template <typename ParseItem>
Status Parser::list(std::string_view close, ParseItem item) {
  while (!accept(close)) {
    ANEROID_TRY(item());
    if (accept(close)) break;
    if (!token_.is(",")) return expected("',' or '" + std::string(close) + "'");
    advance();
  }
  return {};
}

}  // namespace aneroid::mil
