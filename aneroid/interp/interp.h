// What MIL means: a slow, obvious interpreter, one function per op, that every
// faster path is tested against.
//
// Values are doubles rounded once per op: to fp32 for floating types (fp16
// values keep fp32 precision unless Rounding::kFp16 is asked), to a whole
// number within the type's range for integers (truncating, then saturating;
// NaN becomes 0), to 0 or 1 for bool. Sums are accumulated in double. 64-bit
// integers are exact up to 2^53.
//
// All functions are pure and thread-safe. Errors ("interp", "blob") name the
// op and the numbers; nothing crashes on a program the verifier would refuse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/dtype.h"
#include "aneroid/blob/blob.h"
#include "aneroid/mil/ir.h"

namespace aneroid::interp {

// Row-major; data.size() is the product of the shape, whose dimensions are
// all known. A rank-0 shape holds one element.
struct HostTensor {
  DataType dtype = DataType::kFp32;
  Shape shape;
  std::vector<double> data;
  friend bool operator==(const HostTensor&, const HostTensor&) = default;
};
using TensorMap = std::map<std::string, HostTensor>;

// Path in the text ("@model_path/weights/mask.bin") -> bytes of the file; the
// same type as device::WeightMap.
using WeightFiles = std::map<std::string, std::span<const std::byte>>;

enum class Rounding : uint8_t {
  kFp32,  // fp16-typed values keep fp32 precision and range: "reference"
  kFp16,  // fp16-typed values are rounded half away from zero after each op
};

struct Options {
  Rounding rounding = Rounding::kFp32;
  // Elements alive at one moment, constants included (8 bytes each).
  int64_t max_elements = int64_t{1} << 28;
  std::string function = "main";
  // How weight files are read.
  blob::Tolerance tolerance = blob::Tolerance::kStrict;
  // Called after each op but const, with its results in order.
  std::function<void(const mil::Operation&, std::span<const HostTensor>)> probe;
};

// Runs a function of the program and returns its outputs by name. `inputs`
// must hold each parameter with its exact element type and shape ('?' takes
// any size).
Result<TensorMap> evaluate(const mil::Program& program, const TensorMap& inputs,
                           const WeightFiles& weights,
                           const Options& options = {});

// Finds the value of a name; null when it is not a runtime value, in which
// case the constant that the name stands for is used.
using Lookup = std::function<const HostTensor*(std::string_view name)>;

// Runs one operation: results in the order of operation.outputs.
Result<std::vector<HostTensor>> evaluate_op(const mil::Operation& operation,
                                            const mil::Symbols& symbols,
                                            const Lookup& lookup,
                                            const WeightFiles& weights,
                                            const Options& options = {});

// Materialises a numeric or bool constant: immediate or in a weight file.
// Options::max_elements bounds what a hostile shape can allocate.
Result<HostTensor> constant_tensor(const mil::Value& value,
                                   const WeightFiles& weights,
                                   const Options& options = {});

// Elements of `dtype` in memory order (little-endian, sub-byte types a byte
// each) to doubles. `bytes` holds count * bytes(dtype).
std::vector<double> decode(DataType dtype, std::span<const std::byte> bytes);

// Rounds to what `dtype` can hold, as described at the top.
double conform(double value, DataType dtype, Rounding rounding);

// True when evaluate_op knows the op.
bool knows(std::string_view op);

}  // namespace aneroid::interp
