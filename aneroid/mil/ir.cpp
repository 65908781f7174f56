#include "aneroid/mil/ir.h"

#include <algorithm>

#include "aneroid/mil/element.h"

namespace aneroid::mil {
namespace {

template <typename T>
const T* find_named(const std::vector<Named<T>>& list, std::string_view name) {
  const auto found =
      std::find_if(list.begin(), list.end(),
                   [name](const Named<T>& item) { return item.first == name; });
  return found == list.end() ? nullptr : &found->second;
}

// The elements of a numeric constant as numbers of type T.
template <typename T, typename Decode>
std::vector<T> decode_elements(const Value& value, Decode decode) {
  const auto* data = std::get_if<Value::Bytes>(&value.data);
  const size_t size = bytes(value.type.dtype);
  if (data == nullptr || value.type.kind != Type::Kind::kTensor || size == 0) {
    return {};
  }
  std::vector<T> numbers;
  numbers.reserve(data->size() / size);
  for (size_t at = 0; at + size <= data->size(); at += size) {
    numbers.push_back(decode(value.type.dtype, data->data() + at));
  }
  return numbers;
}

}  // namespace

bool is_scalar(const Type& type) {
  return type.kind == Type::Kind::kTensor && type.shape.empty();
}

Value bool_value(bool value) {
  return {scalar(DataType::kBool), Value::Bytes{std::byte{value}}};
}

Value string_value(std::string value) {
  return {scalar(DataType::kString), Value::Strings{std::move(value)}};
}

Value int_value(int32_t value) {
  Value::Bytes data;
  append_int(DataType::kInt32, value, data);
  return {scalar(DataType::kInt32), std::move(data)};
}

Value float_value(DataType dtype, double value) {
  Value::Bytes data;
  append_double(dtype, value, data);
  return {scalar(dtype), std::move(data)};
}

Value ints_value(const std::vector<int64_t>& values) {
  Value::Bytes data;
  for (const int64_t value : values) {
    append_int(DataType::kInt32, value, data);
  }
  return {tensor(DataType::kInt32, {static_cast<int64_t>(values.size())}),
          std::move(data)};
}

Value bools_value(const std::vector<bool>& values) {
  Value::Bytes data;
  for (const bool value : values) data.push_back(std::byte{value});
  return {tensor(DataType::kBool, {static_cast<int64_t>(values.size())}),
          std::move(data)};
}

Value blob_value(Type type, std::string path, uint64_t offset) {
  return {std::move(type), BlobRef{std::move(path), offset}};
}

std::vector<int64_t> as_ints(const Value& value) {
  return decode_elements<int64_t>(value, element_as_int);
}

std::vector<double> as_doubles(const Value& value) {
  return decode_elements<double>(value, element_as_double);
}

const Argument* Operation::input(std::string_view name) const {
  return find_named(inputs, name);
}

const Value* Operation::attribute(std::string_view name) const {
  return find_named(attributes, name);
}

bool Operation::is_constant() const {
  return op == "const" || op.starts_with("constexpr_");
}

const Function* Program::function(std::string_view name) const {
  const auto found =
      std::find_if(functions.begin(), functions.end(),
                   [name](const Function& f) { return f.name == name; });
  return found == functions.end() ? nullptr : &*found;
}

}  // namespace aneroid::mil
