// Runs one op on given tensors and compares with the expected result.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/interp/interp.h"
#include "aneroid/mil/ir.h"

namespace aneroid::interp {

using Tensors = std::vector<mil::Named<HostTensor>>;
using Constants = std::vector<mil::Named<mil::Value>>;

inline constexpr double kInf = std::numeric_limits<double>::infinity();

inline HostTensor fp32(Shape shape, std::vector<double> data) {
  return {DataType::kFp32, std::move(shape), std::move(data)};
}
inline HostTensor fp16(Shape shape, std::vector<double> data) {
  return {DataType::kFp16, std::move(shape), std::move(data)};
}
inline HostTensor int32(Shape shape, std::vector<double> data) {
  return {DataType::kInt32, std::move(shape), std::move(data)};
}
inline HostTensor boolean(Shape shape, std::vector<double> data) {
  return {DataType::kBool, std::move(shape), std::move(data)};
}

// 0, 1, 2, ... of a shape.
inline HostTensor iota(Shape shape) {
  HostTensor tensor = fp32(std::move(shape), {});
  const int64_t count = element_count(tensor.shape).value();
  for (int64_t i = 0; i < count; ++i) {
    tensor.data.push_back(static_cast<double>(i));
  }
  return tensor;
}

inline Result<std::vector<HostTensor>> run_op(
    const std::string& op, const Tensors& tensors, const Constants& constants,
    const std::vector<mil::Type>& results, const Options& options = {}) {
  mil::Operation operation;
  operation.op = op;
  mil::Arguments tuple;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with("values")) {
      tuple.push_back(mil::ref(name));
    } else {
      operation.inputs.emplace_back(name, mil::ref(name));
    }
  }
  if (!tuple.empty()) {
    operation.inputs.emplace_back("values", mil::Argument{tuple});
  }
  for (const auto& [name, value] : constants) {
    operation.inputs.emplace_back(name, mil::Argument{value});
  }
  for (const mil::Type& type : results) {
    operation.outputs.push_back({"result", type});
  }
  const mil::Function function;
  const Lookup lookup = [&tensors](std::string_view wanted) {
    for (const auto& [name, tensor] : tensors) {
      if (name == wanted) return &tensor;
    }
    return static_cast<const HostTensor*>(nullptr);
  };
  return evaluate_op(operation, mil::Symbols(function), lookup, {}, options);
}

// One result with the shape and type of `expected`.
inline Result<HostTensor> run_one(const std::string& op, const Tensors& tensors,
                                  const Constants& constants, DataType dtype,
                                  const Shape& shape,
                                  const Options& options = {}) {
  ANEROID_ASSIGN(auto results, run_op(op, tensors, constants,
                                      {mil::tensor(dtype, shape)}, options));
  return std::move(results.front());
}

inline void expect_near(const HostTensor& actual, const HostTensor& expected,
                        double tolerance = 1e-6) {
  ASSERT_EQ(actual.dtype, expected.dtype);
  ASSERT_EQ(actual.shape, expected.shape);
  ASSERT_EQ(actual.data.size(), expected.data.size());
  for (size_t i = 0; i < expected.data.size(); ++i) {
    if (std::isnan(expected.data[i])) {
      EXPECT_TRUE(std::isnan(actual.data[i])) << "element " << i;
    } else if (std::isinf(expected.data[i])) {
      EXPECT_EQ(actual.data[i], expected.data[i]) << "element " << i;
    } else {
      EXPECT_NEAR(actual.data[i], expected.data[i], tolerance)
          << "element " << i;
    }
  }
}

inline void expect_op(const std::string& op, const Tensors& tensors,
                      const Constants& constants, const HostTensor& expected,
                      double tolerance = 1e-6, const Options& options = {}) {
  SCOPED_TRACE(op);
  const auto actual =
      run_one(op, tensors, constants, expected.dtype, expected.shape, options);
  ASSERT_TRUE(actual) << to_string(actual.error());
  expect_near(*actual, expected, tolerance);
}

// The op must fail with a message that contains `part`.
inline void expect_refusal(const std::string& op, const Tensors& tensors,
                           const Constants& constants, const std::string& part,
                           size_t results = 1) {
  SCOPED_TRACE(op);
  const auto actual =
      run_op(op, tensors, constants,
             std::vector(results, mil::tensor(DataType::kFp32, {})));
  ASSERT_FALSE(actual);
  EXPECT_EQ(actual.error().label, "interp");
  EXPECT_NE(actual.error().place.find(op), std::string::npos);
  EXPECT_NE(actual.error().message.find(part), std::string::npos)
      << actual.error().message;
}

}  // namespace aneroid::interp
