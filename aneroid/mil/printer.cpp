#include <algorithm>

#include <fmt/format.h>

#include "aneroid/mil/element.h"
#include "aneroid/mil/text.h"

namespace aneroid::mil {
namespace {

constexpr std::string_view kFunctionIndent = "    ";
constexpr std::string_view kStatementIndent = "            ";
constexpr std::string_view kReturnIndent = "        ";

// Pointers to the items, by name; they usually are in that order already.
template <typename T>
std::vector<const Named<T>*> sorted(const std::vector<Named<T>>& items) {
  std::vector<const Named<T>*> order;
  order.reserve(items.size());
  for (const Named<T>& item : items) order.push_back(&item);
  std::stable_sort(
      order.begin(), order.end(),
      [](const auto* a, const auto* b) { return a->first < b->first; });
  return order;
}

class Printer {
 public:
  explicit Printer(Dialect dialect) : dialect_(dialect) {}

  std::string take() { return std::move(out_); }

  void program(const Program& program) {
    out_ += fmt::format("program({}.{})\n", program.version_major,
                        program.version_minor);
    if (!program.attributes.empty()) {
      attributes(program.attributes);
      out_ += '\n';
    }
    out_ += "{\n";
    for (const Function& f : program.functions) function(f);
    out_ += "}";
  }

  void type(const Type& type) {
    switch (type.kind) {
      case Type::Kind::kTensor:
        if (type.shape.empty() && dialect_ == Dialect::kPlainScalars) {
          out_ += name(type.dtype);
        } else {
          out_ += fmt::format("tensor<{}, {}>", name(type.dtype),
                              to_string(type.shape));
        }
        return;
      case Type::Kind::kList:
        container("list", type.args);
        out_.pop_back();
        out_ += type.list_length == kUnknownDim
                    ? ", ?>"
                    : fmt::format(", {}>", type.list_length);
        return;
      case Type::Kind::kTuple:
        return container("tuple", type.args);
      case Type::Kind::kDict:
        return container("dict", type.args);
      case Type::Kind::kState:
        return container("state", type.args);
      case Type::Kind::kTensorBuffer:
        out_ += fmt::format("tensor_buffer<{}, shape={}", name(type.dtype),
                            to_string(type.shape));
        for (const auto& [key, vector] : type.layout) {
          out_ += fmt::format(", {}={}", key, to_string(vector));
        }
        out_ += '>';
        return;
    }
  }

 private:
  void container(std::string_view word, const std::vector<Type>& args) {
    out_ += word;
    out_ += '<';
    separated(args, [this](const Type& arg) { type(arg); });
    out_ += '>';
  }

  // Items with ", " between them.
  template <typename List, typename Print>
  void separated(const List& items, Print print_item) {
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_ += ", ";
      first = false;
      print_item(item);
    }
  }

  void function(const Function& function) {
    out_ += kFunctionIndent;
    out_ += fmt::format("func {}", function.name);
    if (!function.opset.empty()) out_ += fmt::format("<{}>", function.opset);
    parameters(function.body.inputs);
    if (!function.attributes.empty()) {
      out_ += ' ';
      attributes(function.attributes);
    }
    out_ += ' ';
    body(function.body);
    out_ += ";\n";
  }

  void parameters(const std::vector<Parameter>& parameters) {
    out_ += '(';
    separated(parameters, [this](const Parameter& parameter) {
      variable(parameter.var);
      if (!parameter.attributes.empty()) {
        out_ += ' ';
        attributes(parameter.attributes);
      }
    });
    out_ += ')';
  }

  void variable(const Var& var) {
    type(var.type);
    out_ += ' ';
    out_ += var.name;
  }

  void body(const Block& block) {
    out_ += "{\n";
    for (const Operation& op : block.operations) operation(op);
    out_ += kReturnIndent;
    out_ += "} -> (";
    separated(block.outputs, [this](const std::string& name) { out_ += name; });
    out_ += ')';
  }

  void operation(const Operation& op) {
    out_ += kStatementIndent;
    separated(op.outputs, [this](const Var& output) { variable(output); });
    if (!op.outputs.empty()) out_ += " = ";
    out_ += op.op;
    if (!op.opset.empty()) out_ += fmt::format("<{}>", op.opset);
    out_ += '(';
    separated(sorted(op.inputs), [this](const Named<Argument>* input) {
      out_ += input->first;
      out_ += " = ";
      argument(input->second);
    });
    out_ += ')';
    if (!op.attributes.empty()) attributes(op.attributes);
    for (const Block& block : op.blocks) {
      out_ += '\n';
      out_ += kStatementIndent;
      if (!block.label.empty()) {
        out_ += block.label;
        out_ += ' ';
      }
      if (!block.inputs.empty()) {
        parameters(block.inputs);
        out_ += ' ';
      }
      body(block);
    }
    out_ += ";\n";
  }

  void argument(const Argument& argument_value) {
    if (const auto* ref = std::get_if<Ref>(&argument_value.bound)) {
      out_ += ref->name;
    } else if (const auto* value = std::get_if<Value>(&argument_value.bound)) {
      typed_value(*value);
    } else {
      out_ += '(';
      separated(std::get<Arguments>(argument_value.bound),
                [this](const Argument& item) { argument(item); });
      out_ += ')';
    }
  }

  void attributes(const std::vector<Named<Value>>& attributes) {
    out_ += '[';
    separated(sorted(attributes), [this](const Named<Value>* attribute) {
      out_ += attribute->first;
      out_ += " = ";
      typed_value(attribute->second);
    });
    out_ += ']';
  }

  void typed_value(const Value& value) {
    type(value.type);
    out_ += '(';
    if (const auto* blob = std::get_if<BlobRef>(&value.data)) {
      out_ += "BLOBFILE(path = ";
      typed_value(string_value(blob->path));
      out_ += ", offset = ";
      type(scalar(DataType::kUint64));
      out_ += fmt::format("({}))", blob->offset);
    } else {
      literal(value, FloatStyle::kHex);
    }
    out_ += ')';
  }

  // Floats inside dictionaries are decimals, as the compiler writes them.
  void literal(const Value& value, FloatStyle style) {
    if (const auto* data = std::get_if<Value::Bytes>(&value.data)) {
      const size_t size = bytes(value.type.dtype);
      nested(value.type.shape, data->size() / std::max<size_t>(size, 1),
             [&](size_t i) {
               print_element(value.type.dtype, data->data() + i * size, style,
                             out_);
             });
    } else if (const auto* strings = std::get_if<Value::Strings>(&value.data)) {
      nested(value.type.shape, strings->size(),
             [&](size_t i) { string((*strings)[i]); });
    } else if (const auto* items = std::get_if<Value::Items>(&value.data)) {
      container_literal(value.type.kind, *items, style);
    } else {
      typed_value(value);
    }
  }

  void container_literal(Type::Kind kind, const Value::Items& items,
                         FloatStyle style) {
    if (kind == Type::Kind::kDict) {
      out_ += '{';
      for (size_t i = 0; i + 1 < items.size(); i += 2) {
        out_ += i == 0 ? "{" : ", {";
        literal(items[i], FloatStyle::kDecimal);
        out_ += ", ";
        literal(items[i + 1], FloatStyle::kDecimal);
        out_ += '}';
      }
      out_ += '}';
      return;
    }
    const bool is_list = kind == Type::Kind::kList;
    out_ += is_list ? '[' : '(';
    separated(items, [&](const Value& item) { literal(item, style); });
    out_ += is_list ? ']' : ')';
  }

  // Elements in brackets nested to the rank; none around a scalar. A tensor
  // with a dimension of 0 is printed as [].
  template <typename PrintElement>
  void nested(const Shape& shape, size_t count, PrintElement print_one) {
    if (count == 0) {
      if (!shape.empty()) out_ += "[]";
      return;
    }
    const size_t rank = shape.size();
    // Elements below each bracket level.
    std::vector<size_t> strides(rank, 1);
    size_t below = 1;
    for (size_t i = rank; i-- > 0;) {
      below *= static_cast<size_t>(std::max<int64_t>(shape[i], 1));
      strides[i] = below;
    }
    for (size_t at = 0; at < count; ++at) {
      if (at > 0) out_ += ", ";
      for (size_t i = 0; i < rank; ++i) {
        if (at % strides[i] == 0) out_ += '[';
      }
      print_one(at);
      for (size_t i = 0; i < rank; ++i) {
        if ((at + 1) % strides[i] == 0) out_ += ']';
      }
    }
  }

  void string(const std::string& text) {
    out_ += '"';
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (c == '\n') {
        out_ += "\\n";
      } else if (c == '\t') {
        out_ += "\\t";
      } else if (c == '\r') {
        out_ += "\\r";
      } else if (byte < 0x20 || byte == 0x7F) {
        out_ += fmt::format("\\x{:02X}", byte);
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  Dialect dialect_;
  std::string out_;
};

}  // namespace

std::string print(const Program& program) {
  Printer printer(program.dialect);
  printer.program(program);
  return printer.take();
}

std::string print(const Type& type, Dialect dialect) {
  Printer printer(dialect);
  printer.type(type);
  return printer.take();
}

}  // namespace aneroid::mil
