#include "aneroid/mil/infer.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "aneroid/mil/text.h"

namespace aneroid::mil {
namespace {

tl::unexpected<Diagnostic> input_problem(std::string message) {
  return input_error("mil.input", "", std::move(message));
}

bool accepts(TypeClass types, const Type& type) {
  if (types == TypeClass::kAny) return true;
  if (type.kind != Type::Kind::kTensor) return false;
  const DataType dtype = type.dtype;
  const bool is_fp = dtype == DataType::kFp16 || dtype == DataType::kFp32;
  switch (types) {
    case TypeClass::kFloat:
      return is_fp;
    case TypeClass::kFloatOrInt:
      return is_fp || dtype == DataType::kInt32;
    case TypeClass::kBool:
      return dtype == DataType::kBool;
    case TypeClass::kInt:
      return is_integer(dtype);
    case TypeClass::kString:
      return dtype == DataType::kString;
    case TypeClass::kQuantized:
      return dtype == DataType::kInt8 || dtype == DataType::kUint8 ||
             dtype == DataType::kInt4 || dtype == DataType::kUint4;
    case TypeClass::kAny:
      return true;
  }
  return false;
}

std::string_view describe(TypeClass types) {
  switch (types) {
    case TypeClass::kFloat:
      return "fp16 or fp32";
    case TypeClass::kFloatOrInt:
      return "fp16, fp32 or int32";
    case TypeClass::kBool:
      return "bool";
    case TypeClass::kInt:
      return "an integer type";
    case TypeClass::kString:
      return "string";
    case TypeClass::kQuantized:
      return "int8, uint8, int4 or uint4";
    case TypeClass::kAny:
      break;
  }
  return "any type";
}

// Names are known, given once, and none that is required is missing.
Status check_names(const OpDef& op, const InferContext& context) {
  const auto& inputs = context.operation().inputs;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string& name = inputs[i].first;
    const bool known =
        std::any_of(op.inputs.begin(), op.inputs.end(),
                    [&](const InputDef& def) { return def.name == name; });
    if (!known) {
      std::string names;
      for (const InputDef& def : op.inputs) {
        names += (names.empty() ? "" : ", ") + std::string(def.name);
      }
      return input_problem(fmt::format(
          "{} has no input '{}'; its inputs are {}", op.name, name, names));
    }
    for (size_t j = 0; j < i; ++j) {
      if (inputs[j].first == name) {
        return input_problem(
            fmt::format("{} is given '{}' twice", op.name, name));
      }
    }
  }
  for (const InputDef& def : op.inputs) {
    if (!def.optional && !context.has(def.name)) {
      return input_problem(
          fmt::format("{} needs the input '{}'", op.name, def.name));
    }
  }
  return {};
}

struct Bound {
  std::string_view input;
  const Type* type;
};

// Element types are allowed, and equal where the table says so.
Status check_types(const OpDef& op, const InferContext& context) {
  std::array<Bound, 256> letters{};
  for (const InputDef& def : op.inputs) {
    if (!context.has(def.name)) continue;
    const std::vector<const Type*> types = context.types(def.name);
    if (def.variadic && types.empty()) {
      return input_problem(fmt::format("{} needs at least one value in '{}'",
                                       op.name, def.name));
    }
    if (!def.variadic && context.type(def.name) == nullptr &&
        types.size() != 1) {
      return input_problem(fmt::format("{} takes one value as '{}', not {}",
                                       op.name, def.name, types.size()));
    }
    for (const Type* type : types) {
      if (type == nullptr) {
        return input_error("mil.ssa", "",
                           fmt::format("the name given to {} as '{}' is not "
                                       "defined",
                                       op.name, def.name));
      }
      if (!accepts(def.types, *type)) {
        return type_error(fmt::format("{} takes {} as '{}', not {}", op.name,
                                      describe(def.types), def.name,
                                      print(*type)));
      }
      if (def.same_as == 0) continue;
      Bound& first = letters[static_cast<unsigned char>(def.same_as)];
      if (first.type == nullptr) {
        first = {def.name, type};
      } else if (first.type->dtype != type->dtype) {
        return type_error(fmt::format(
            "{}: '{}' is {} but '{}' is {}; element types must be equal: "
            "insert a cast",
            op.name, first.input, name(first.type->dtype), def.name,
            name(type->dtype)));
      }
    }
  }
  return {};
}

bool has_unknown_rank(const Type& type) {
  return std::find(type.shape.begin(), type.shape.end(), kVariadicDim) !=
         type.shape.end();
}

bool any_unknown_rank(const OpDef& op, const InferContext& context) {
  for (const InputDef& def : op.inputs) {
    for (const Type* type : context.types(def.name)) {
      if (type != nullptr && has_unknown_rank(*type)) return true;
    }
  }
  return false;
}

}  // namespace

const Value* InferContext::attribute(std::string_view operand) const {
  return operation_.is_constant() ? operation_.attribute(operand) : nullptr;
}

bool InferContext::has(std::string_view operand) const {
  return operation_.input(operand) != nullptr || attribute(operand) != nullptr;
}

const Type* InferContext::type_of(const Argument& argument) const {
  if (const auto* ref = std::get_if<Ref>(&argument.bound)) {
    return type_(ref->name);
  }
  const auto* value = std::get_if<Value>(&argument.bound);
  return value == nullptr ? nullptr : &value->type;
}

const Type* InferContext::type(std::string_view operand) const {
  if (const Argument* argument = operation_.input(operand)) {
    return type_of(*argument);
  }
  const Value* value = attribute(operand);
  return value == nullptr ? nullptr : &value->type;
}

const Shape& InferContext::shape(std::string_view operand) const {
  static const Shape kNone;
  const Type* found = type(operand);
  return found == nullptr ? kNone : found->shape;
}

DataType InferContext::dtype(std::string_view operand) const {
  const Type* found = type(operand);
  return found == nullptr ? DataType::kFp32 : found->dtype;
}

std::vector<const Type*> InferContext::types(std::string_view operand) const {
  const Argument* argument = operation_.input(operand);
  if (argument == nullptr) {
    if (!has(operand)) return {};
    return {type(operand)};
  }
  const auto* items = std::get_if<Arguments>(&argument->bound);
  if (items == nullptr) return {type_of(*argument)};
  std::vector<const Type*> types;
  types.reserve(items->size());
  for (const Argument& item : *items) types.push_back(type_of(item));
  return types;
}

const Value* InferContext::constant(std::string_view operand) const {
  if (operation_.input(operand) != nullptr) {
    return constant_(operation_, operand);
  }
  return attribute(operand);
}

std::optional<std::vector<int64_t>> InferContext::ints(
    std::string_view operand) const {
  const Value* value = constant(operand);
  if (value == nullptr || !std::holds_alternative<Value::Bytes>(value->data)) {
    return std::nullopt;
  }
  return as_ints(*value);
}

std::optional<int64_t> InferContext::int_or(std::string_view operand,
                                            int64_t otherwise) const {
  if (!has(operand)) return otherwise;
  const auto values = ints(operand);
  if (!values || values->empty()) return std::nullopt;
  return values->front();
}

std::string InferContext::string_or(std::string_view operand,
                                    std::string_view otherwise) const {
  const Value* value = constant(operand);
  const auto* strings =
      value == nullptr ? nullptr : std::get_if<Value::Strings>(&value->data);
  return std::string(strings == nullptr || strings->empty() ? otherwise
                                                            : strings->front());
}

tl::unexpected<Diagnostic> shape_error(std::string message) {
  return input_error("mil.shape", "", std::move(message));
}

tl::unexpected<Diagnostic> type_error(std::string message) {
  return input_error("mil.type", "", std::move(message));
}

Result<int64_t> normalize_axis(int64_t axis, size_t rank,
                               std::string_view what) {
  const auto size = static_cast<int64_t>(rank);
  if (axis < -size || axis >= size) {
    return shape_error(fmt::format("{} {} is outside [{}, {}) of rank {}", what,
                                   axis, -size, size, size));
  }
  return axis < 0 ? axis + size : axis;
}

Result<std::vector<int64_t>> normalize_axes(std::vector<int64_t> axes,
                                            size_t rank,
                                            std::string_view what) {
  std::vector<bool> seen(rank);
  for (int64_t& axis : axes) {
    ANEROID_ASSIGN(axis, normalize_axis(axis, rank, what));
    if (seen[static_cast<size_t>(axis)]) {
      return shape_error(fmt::format("{} {} is given twice", what, axis));
    }
    seen[static_cast<size_t>(axis)] = true;
  }
  return axes;
}

Result<MaybeInts> per_dimension(const InferContext& op, std::string_view name,
                                size_t rank) {
  MaybeInts values = op.ints(name);
  if (values && values->size() != rank) {
    return shape_error(fmt::format("{} has {} elements, x has rank {}", name,
                                   values->size(), rank));
  }
  return values;
}

Result<Shape> broadcast(const Shape& x, const Shape& y) {
  const Shape& longer = x.size() < y.size() ? y : x;
  const Shape& shorter = x.size() < y.size() ? x : y;
  Shape result = longer;
  const size_t offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    int64_t& a = result[offset + i];
    const int64_t b = shorter[i];
    if (a == 1 || (a == kUnknownDim && b != 1)) {
      a = b;
    } else if (b != 1 && b != kUnknownDim && a != b) {
      return shape_error(fmt::format(
          "{} and {} do not broadcast: {} against {} in dimension {}",
          to_string(x), to_string(y), a, b, offset + i));
    }
  }
  return result;
}

bool compatible(int64_t a, int64_t b) {
  return a == b || a == kUnknownDim || b == kUnknownDim;
}

bool compatible(const Shape& a, const Shape& b) {
  const auto variadic = [](const Shape& shape) {
    return std::find(shape.begin(), shape.end(), kVariadicDim) != shape.end();
  };
  if (variadic(a) || variadic(b)) return true;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](int64_t x, int64_t y) { return compatible(x, y); });
}

bool compatible(const Type& declared, const Type& inferred) {
  if (declared.kind != inferred.kind) return false;
  switch (declared.kind) {
    case Type::Kind::kTensor:
    case Type::Kind::kTensorBuffer:
      return declared.dtype == inferred.dtype &&
             compatible(declared.shape, inferred.shape);
    default:
      return compatible(declared.list_length, inferred.list_length) &&
             std::equal(
                 declared.args.begin(), declared.args.end(),
                 inferred.args.begin(), inferred.args.end(),
                 [](const Type& a, const Type& b) { return compatible(a, b); });
  }
}

std::optional<std::string> value_problem(const Value& value) {
  if (value.type.kind != Type::Kind::kTensor) return std::nullopt;
  const auto count = element_count(value.type.shape);
  if (!count) {
    return fmt::format("a constant cannot have the shape {}",
                       to_string(value.type.shape));
  }
  // Elements given, and whether the bytes are whole elements.
  size_t given = static_cast<size_t>(*count);
  bool whole = true;
  if (const auto* data = std::get_if<Value::Bytes>(&value.data)) {
    const size_t size = std::max<size_t>(bytes(value.type.dtype), 1);
    given = data->size() / size;
    whole = data->size() % size == 0;
  } else if (const auto* strings = std::get_if<Value::Strings>(&value.data)) {
    given = strings->size();
  }
  if (whole && given == static_cast<size_t>(*count)) return std::nullopt;
  return fmt::format("{}{} elements are given for {}", given,
                     whole ? "" : " and a part", print(value.type));
}

Status check_constants(
    const Operation& operation,
    const std::function<bool(std::string_view name)>& is_constant) {
  const OpDef* op = find_op(operation.op);
  if (op == nullptr) return {};
  for (const InputDef& def : op->inputs) {
    const Argument* argument =
        def.constant ? operation.input(def.name) : nullptr;
    if (argument == nullptr || std::holds_alternative<Value>(argument->bound)) {
      continue;
    }
    const auto* ref = std::get_if<Ref>(&argument->bound);
    if (ref == nullptr || !is_constant(ref->name)) {
      return input_error(
          "mil.const", "",
          fmt::format("input '{}' of {} must be a constant{}; give it the "
                      "name of a const operation",
                      def.name, op->name,
                      ref == nullptr ? "" : ", '" + ref->name + "' is not"));
    }
  }
  return {};
}

Result<Types> infer_types(const Operation& operation, const TypeLookup& type,
                          const ConstantLookup& constant) {
  const OpDef* op = find_op(operation.op);
  if (op == nullptr) {
    return input_error("mil.op", "",
                       fmt::format("unknown operation '{}'", operation.op));
  }
  const InferContext context(operation, type, constant);
  ANEROID_TRY(check_names(*op, context));
  ANEROID_TRY(check_types(*op, context));
  if (any_unknown_rank(*op, context)) {
    // Nothing can be said; what is declared stands.
    Types declared;
    for (const Var& output : operation.outputs) declared.push_back(output.type);
    return declared;
  }
  return op->infer(context);
}

Result<Types> infer_types(const Operation& operation, const Symbols& symbols) {
  return infer_types(
      operation,
      [&symbols](std::string_view name) { return symbols.type(name); },
      [&symbols](const Operation& op, std::string_view input) {
        return symbols.constant(op, input);
      });
}

}  // namespace aneroid::mil
