// Types and constants.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "aneroid/mil/element.h"
#include "aneroid/mil/infer.h"
#include "aneroid/mil/parser.h"
#include "aneroid/mil/text.h"

namespace aneroid::mil {

Result<DataType> Parser::scalar_word() {
  const auto dtype =
      token_.is_name() ? data_type_from_name(token_.text) : std::nullopt;
  if (!dtype) return expected("an element type such as fp16");
  advance();
  return *dtype;
}

Result<Type> Parser::type() {
  ANEROID_TRY(count_node());
  const Nesting nesting(depth_);
  ANEROID_TRY(check_depth());
  Type type;
  if (token_.is_name("tensor")) {
    ANEROID_TRY(tensor_type(type));
    return type;
  }
  if (token_.is_name("tensor_buffer")) {
    ANEROID_TRY(buffer_type(type));
    return type;
  }
  if (const auto dtype =
          token_.is_name() ? data_type_from_name(token_.text) : std::nullopt) {
    type.dtype = *dtype;
    advance();
    if (!dialect_known_) dialect_ = Dialect::kPlainScalars;
    dialect_known_ = true;
    return type;
  }

  struct Container {
    std::string_view word;
    Type::Kind kind;
    size_t args;  // 0 for any number
  };
  constexpr Container kContainers[] = {{"list", Type::Kind::kList, 1},
                                       {"tuple", Type::Kind::kTuple, 0},
                                       {"dict", Type::Kind::kDict, 2},
                                       {"state", Type::Kind::kState, 1}};
  const auto* found = std::find_if(
      std::begin(kContainers), std::end(kContainers),
      [this](const Container& row) { return token_.is_name(row.word); });
  if (found == std::end(kContainers)) {
    return expected("a type such as fp16, tensor<fp16, [1, 2]> or list<...>");
  }
  type.kind = found->kind;
  advance();
  ANEROID_TRY(expect("<"));
  while (found->args == 0 ? !token_.is(">") : type.args.size() < found->args) {
    if (!type.args.empty()) ANEROID_TRY(expect(","));
    ANEROID_ASSIGN(Type arg, this->type());
    type.args.push_back(std::move(arg));
  }
  if (type.kind == Type::Kind::kList) {
    ANEROID_TRY(expect(","));
    if (token_.is("...")) return expected("the length of the list or '?'");
    ANEROID_ASSIGN(type.list_length, dimension());
  }
  ANEROID_TRY(expect(">"));
  if (type.kind == Type::Kind::kState &&
      type.args[0].kind != Type::Kind::kTensor) {
    return error_at(token_.location, "a state can only wrap a tensor");
  }
  return type;
}

Status Parser::tensor_type(Type& type) {
  advance();  // tensor
  ANEROID_TRY(expect("<"));
  ANEROID_ASSIGN(type.dtype, scalar_word());
  ANEROID_TRY(expect(","));
  ANEROID_ASSIGN(type.shape, shape());
  if (type.shape.empty() && !dialect_known_) {
    dialect_ = Dialect::kTensorScalars;
    dialect_known_ = true;
  }
  return expect(">");
}

// tensor_buffer<fp16, shape=[1, 64], strides=[64, 1]>
Status Parser::buffer_type(Type& type) {
  type.kind = Type::Kind::kTensorBuffer;
  advance();  // tensor_buffer
  ANEROID_TRY(expect("<"));
  ANEROID_ASSIGN(type.dtype, scalar_word());
  bool has_shape = false;
  while (accept(",")) {
    ANEROID_TRY(count_node());
    const SourceLocation location = token_.location;
    ANEROID_ASSIGN(std::string key, identifier("shape, strides or another "
                                               "property of the buffer"));
    ANEROID_TRY(expect("="));
    ANEROID_ASSIGN(Shape value, shape());
    const bool twice = key == "shape"
                           ? has_shape
                           : std::any_of(type.layout.begin(), type.layout.end(),
                                         [&key](const auto& property) {
                                           return property.first == key;
                                         });
    if (twice) {
      return error_at(location, fmt::format("'{}' is given twice", key));
    }
    if (key == "shape") {
      has_shape = true;
      type.shape = std::move(value);
    } else {
      type.layout.emplace_back(std::move(key), std::move(value));
    }
    if (type.layout.size() > kMaxRank) {
      return error_at(location, "too many properties of a buffer");
    }
  }
  return expect(">");
}

Result<Shape> Parser::shape() {
  const SourceLocation location = token_.location;
  Shape shape;
  ANEROID_TRY(expect("["));
  const auto item = [&]() -> Status {
    ANEROID_ASSIGN(const int64_t dim, dimension());
    shape.push_back(dim);
    if (shape.size() > kMaxRank) {
      return error_at(location,
                      fmt::format("more than {} dimensions", kMaxRank));
    }
    return {};
  };
  ANEROID_TRY(list("]", item));
  return shape;
}

Result<int64_t> Parser::dimension() {
  if (accept("?")) return kUnknownDim;
  if (accept("...")) return kVariadicDim;
  uint64_t value = 0;
  const char* end = token_.text.data() + token_.text.size();
  const auto result = std::from_chars(token_.text.data(), end, value);
  if (token_.kind != Token::Kind::kNumber ||
      result.ec == std::errc::invalid_argument || result.ptr != end) {
    return expected("a dimension: a number >= 0 or '?'");
  }
  constexpr uint64_t kLargest = uint64_t{1} << 62;
  if (result.ec != std::errc() || value > kLargest) {
    return expected("a dimension of at most 2^62");
  }
  advance();
  return static_cast<int64_t>(value);
}

bool Parser::starts_typed_value() const {
  if (!token_.is_name()) return false;
  const Token following = peek();
  return following.is("(") || following.is("<");
}

Result<Value> Parser::typed_value() {
  ANEROID_ASSIGN(const Type type, this->type());
  ANEROID_TRY(expect("("));
  ANEROID_ASSIGN(Value value, content(type));
  ANEROID_TRY(expect(")"));
  return value;
}

Result<Value> Parser::content(const Type& type) {
  if (token_.is_name("BLOBFILE")) return blob(type);
  if (type.kind != Type::Kind::kDict) return literal(type);
  // Written by hand, a dictionary may come without its outer braces.
  const bool bare = token_.is("{") && !peek().is("{") && !peek().is("}");
  if (!bare && !token_.is(")")) return literal(type);
  Value::Items items;
  while (!token_.is(")")) {
    if (!items.empty()) ANEROID_TRY(expect(","));
    ANEROID_TRY(dict_pair(type, items));
  }
  return Value{type, std::move(items)};
}

// BLOBFILE(path = string("..."), offset = uint64(64))
Result<Value> Parser::blob(const Type& type) {
  const SourceLocation location = token_.location;
  if (type.kind != Type::Kind::kTensor || type.dtype == DataType::kString) {
    return error_at(location, fmt::format("a file cannot hold a value of type "
                                          "{}; only tensors of numbers",
                                          print(type)));
  }
  if (!element_count(type.shape)) {
    return error_at(location, fmt::format("the shape {} of a value in a file "
                                          "must be known, and below 2^62 "
                                          "elements",
                                          to_string(type.shape)));
  }
  advance();  // BLOBFILE
  ANEROID_TRY(expect("("));
  ANEROID_TRY(expect_word("path"));
  ANEROID_TRY(expect("="));
  ANEROID_ASSIGN(const Value path, typed_value());
  ANEROID_TRY(expect(","));
  ANEROID_TRY(expect_word("offset"));
  ANEROID_TRY(expect("="));
  ANEROID_ASSIGN(const Value offset, typed_value());
  ANEROID_TRY(expect(")"));
  const auto* name = std::get_if<Value::Strings>(&path.data);
  if (name == nullptr || name->size() != 1) {
    return error_at(location, "the path of BLOBFILE must be one string");
  }
  const auto* bytes_of_offset = std::get_if<Value::Bytes>(&offset.data);
  const std::vector<int64_t> numbers =
      bytes_of_offset == nullptr || !is_integer(offset.type.dtype)
          ? std::vector<int64_t>()
          : as_ints(offset);
  if (numbers.size() != 1 || numbers[0] < 0) {
    return error_at(location,
                    "the offset of BLOBFILE must be one integer in [0, 2^63)");
  }
  return Value{type, BlobRef{name->front(), static_cast<uint64_t>(numbers[0])}};
}

Result<Value> Parser::literal(const Type& type) {
  const Nesting nesting(depth_);
  ANEROID_TRY(check_depth());
  const SourceLocation location = token_.location;
  if (starts_typed_value()) {
    ANEROID_ASSIGN(Value value, typed_value());
    if (!compatible(type, value.type)) {
      return error_at(location, fmt::format("a value of type {} where {} is "
                                            "wanted",
                                            print(value.type), print(type)));
    }
    return value;
  }
  switch (type.kind) {
    case Type::Kind::kTensor:
      return tensor_literal(type);
    case Type::Kind::kList:
    case Type::Kind::kTuple:
      return sequence(type);
    case Type::Kind::kDict:
      return dict(type);
    case Type::Kind::kState:
    case Type::Kind::kTensorBuffer:
      break;
  }
  return error_at(
      location, fmt::format("there are no constants of type {}", print(type)));
}

// What is read of a tensor: its elements in order, and the brackets' extents.
struct Parser::Elements {
  const Type& type;
  std::optional<uint64_t> limit;  // elements that the type allows
  Value::Bytes data;
  Value::Strings strings;
  uint64_t count = 0;
  Shape extents;  // kUnknownDim until a bracket closes
  std::optional<size_t> leaf_depth;
};

Result<Value> Parser::tensor_literal(const Type& type) {
  const SourceLocation location = token_.location;
  Elements elements{.type = type,
                    .limit = std::nullopt,
                    .data = {},
                    .strings = {},
                    .count = 0,
                    .extents = {},
                    .leaf_depth = std::nullopt};
  if (const auto count = element_count(type.shape)) {
    elements.limit = static_cast<uint64_t>(*count);
  }
  if (type.shape.empty()) {
    ANEROID_TRY(element(elements));
  } else {
    if (!token_.is("[")) {
      return expected(fmt::format("'[' and the elements of {}", print(type)));
    }
    ANEROID_TRY(nested_elements(elements, 0));
  }
  Value value;
  value.type = type;
  ANEROID_ASSIGN(value.type.shape, resolve_shape(elements, location));
  if (type.dtype == DataType::kString) {
    value.data = std::move(elements.strings);
  } else {
    value.data = std::move(elements.data);
  }
  return value;
}

Status Parser::nested_elements(Elements& elements, size_t depth) {
  if (depth >= kMaxRank) {
    return error_at(token_.location,
                    fmt::format("more than {} nested brackets", kMaxRank));
  }
  const SourceLocation location = token_.location;
  if (elements.extents.size() == depth) elements.extents.push_back(kUnknownDim);
  int64_t count = 0;
  ANEROID_TRY(expect("["));
  const auto item = [&]() -> Status {
    ++count;
    if (token_.is("[")) return nested_elements(elements, depth + 1);
    if (elements.leaf_depth.value_or(depth) != depth) {
      return error_at(token_.location,
                      "elements stand in different depths of brackets");
    }
    elements.leaf_depth = depth;
    return element(elements);
  };
  ANEROID_TRY(list("]", item));
  int64_t& extent = elements.extents[depth];
  if (extent != kUnknownDim && extent != count) {
    return error_at(location, fmt::format("this row has {} items, the one "
                                          "before {}",
                                          count, extent));
  }
  extent = count;
  return {};
}

Status Parser::element(Elements& elements) {
  const Type& type = elements.type;
  if (elements.limit && elements.count >= *elements.limit) {
    return error_at(token_.location,
                    fmt::format("more elements than the {} of {}",
                                *elements.limit, print(type)));
  }
  ++elements.count;
  if (type.dtype == DataType::kString) {
    std::string text;
    if (token_.kind != Token::Kind::kString) return expected("a string");
    ANEROID_TRY(count_node());
    if (!unescape(token_.text, text)) {
      return expected(
          "a string with the escapes \\\" \\\\ \\' \\n \\r \\t "
          "\\0 \\xHH only");
    }
    elements.strings.push_back(std::move(text));
  } else if (type.dtype == DataType::kBool) {
    const bool yes = token_.is_name("true");
    if (!yes && !token_.is_name("false")) return expected("true or false");
    elements.data.push_back(std::byte{yes});
  } else {
    const bool is_number =
        token_.kind == Token::Kind::kNumber || token_.is_name();
    const auto problem =
        is_number ? append_number(type.dtype, token_.text, elements.data)
                  : NumberError::kMalformed;
    if (problem == NumberError::kMalformed) {
      return expected(fmt::format("a number of type {}", name(type.dtype)));
    }
    if (problem == NumberError::kOutOfRange) {
      return error_at(
          token_.location,
          fmt::format("{} is out of the range of {}{}", describe(token_),
                      name(type.dtype),
                      is_float(type.dtype) ? "; write inf for infinity" : ""));
    }
  }
  advance();
  return {};
}

// The brackets must agree with the declared shape; a flat list of the right
// length will do as well.
Result<Shape> Parser::resolve_shape(const Elements& elements,
                                    SourceLocation location) {
  const Shape& declared = elements.type.shape;
  if (declared.empty()) return declared;
  Shape given = elements.extents;
  const bool whole =
      element_count(given) == static_cast<int64_t>(elements.count);
  if (whole && compatible(declared, given)) return given;
  if (given.size() == 1 && elements.limit == elements.count) return declared;
  return error_at(location,
                  fmt::format("the brackets have the shape {}, the type is {}",
                              to_string(given), print(elements.type)));
}

Result<Value> Parser::sequence(const Type& type) {
  const bool is_list = type.kind == Type::Kind::kList;
  const SourceLocation location = token_.location;
  const auto wanted =
      is_list ? type.list_length : static_cast<int64_t>(type.args.size());
  Value::Items items;
  ANEROID_TRY(expect(is_list ? "[" : "("));
  const auto item = [&]() -> Status {
    ANEROID_TRY(count_node());
    if (wanted >= 0 && items.size() == static_cast<size_t>(wanted)) {
      return error_at(token_.location, fmt::format("more items than the {} of "
                                                   "{}",
                                                   wanted, print(type)));
    }
    ANEROID_ASSIGN(Value next, literal(type.args[is_list ? 0 : items.size()]));
    items.push_back(std::move(next));
    return {};
  };
  ANEROID_TRY(list(is_list ? "]" : ")", item));
  if (!compatible(wanted, static_cast<int64_t>(items.size()))) {
    return error_at(location,
                    fmt::format("{} items for {}", items.size(), print(type)));
  }
  return Value{type, std::move(items)};
}

// {{key, value}, ...}; {{}} is empty too.
Result<Value> Parser::dict(const Type& type) {
  Value::Items items;
  ANEROID_TRY(expect("{"));
  if (token_.is("{") && peek().is("}")) {
    advance();
    advance();
    ANEROID_TRY(expect("}"));
    return Value{type, std::move(items)};
  }
  ANEROID_TRY(list("}", [&]() { return dict_pair(type, items); }));
  return Value{type, std::move(items)};
}

Status Parser::dict_pair(const Type& type, Value::Items& items) {
  ANEROID_TRY(count_node());
  ANEROID_TRY(expect("{"));
  for (size_t i = 0; i < 2; ++i) {
    if (i == 1) ANEROID_TRY(expect(","));
    ANEROID_ASSIGN(Value item, literal(type.args[i]));
    items.push_back(std::move(item));
  }
  return expect("}");
}

}  // namespace aneroid::mil
