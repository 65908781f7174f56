// Type inference of one operation: what an InferFunction may ask, and the
// functions that the op table names. Private to this folder.
//
// Dimensions that cannot be known yet are kUnknownDim; a result whose rank
// cannot be known has the shape {kVariadicDim}. Functions see operations whose
// inputs have passed the checks of InputDef, and inputs of known rank.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/mil/ir.h"
#include "aneroid/mil/ops.h"

namespace aneroid::mil {

class InferContext {
 public:
  InferContext(const Operation& operation, const TypeLookup& type,
               const ConstantLookup& constant)
      : operation_(operation), type_(type), constant_(constant) {}

  const Operation& operation() const { return operation_; }

  // Whether the operand is given, as an input or (const, constexpr) as an
  // attribute.
  bool has(std::string_view operand) const;
  // Type of an operand; null when it is absent or a tuple, or when the name it
  // refers to is not defined.
  const Type* type(std::string_view operand) const;
  const Shape& shape(std::string_view operand) const;
  DataType dtype(std::string_view operand) const;
  // Types of the elements of a variadic operand (of one that is a plain name:
  // that one). Null elements are undefined names.
  std::vector<const Type*> types(std::string_view operand) const;

  // The value of an operand; null when absent or not known.
  const Value* constant(std::string_view operand) const;
  // Elements of an integer or bool operand; nullopt when absent or not known.
  std::optional<std::vector<int64_t>> ints(std::string_view operand) const;
  // The first element; nullopt when given but not known.
  std::optional<int64_t> int_or(std::string_view operand,
                                int64_t otherwise) const;
  std::string string_or(std::string_view operand,
                        std::string_view otherwise) const;

 private:
  // Operands of const and constexpr ops may be attributes.
  const Value* attribute(std::string_view operand) const;
  const Type* type_of(const Argument& argument) const;

  const Operation& operation_;
  const TypeLookup& type_;
  const ConstantLookup& constant_;
};

using Types = std::vector<Type>;

// Whether each input that must be constant is: a literal, or a name for which
// `is_constant` holds. Error: mil.const.
Status check_constants(
    const Operation& operation,
    const std::function<bool(std::string_view name)>& is_constant);

// Why a value cannot be a constant: the count of its elements is not that of
// its type.
std::optional<std::string> value_problem(const Value& value);

// Errors with the labels of verifier.h and no place.
tl::unexpected<Diagnostic> shape_error(std::string message);
tl::unexpected<Diagnostic> type_error(std::string message);

// axis in [-rank, rank) to [0, rank).
Result<int64_t> normalize_axis(int64_t axis, size_t rank,
                               std::string_view what);
// The same for each of a list; an error when one is given twice.
Result<std::vector<int64_t>> normalize_axes(std::vector<int64_t> axes,
                                            size_t rank, std::string_view what);
// Elements of an operand that has one per dimension of x, of which there are
// `rank`; nullopt when they are not known. Error when the count differs.
using MaybeInts = std::optional<std::vector<int64_t>>;
Result<MaybeInts> per_dimension(const InferContext& op, std::string_view name,
                                size_t rank);
// NumPy broadcast. '?' against 1 gives '?', against n > 1 gives n.
Result<Shape> broadcast(const Shape& x, const Shape& y);
// a == b, where an unknown dimension agrees with any.
bool compatible(int64_t a, int64_t b);
bool compatible(const Shape& a, const Shape& b);
// Whether a declared type may stand for an inferred one.
bool compatible(const Type& declared, const Type& inferred);

// infer_elementwise.cpp
Result<Types> infer_same_as_x(const InferContext& op);
Result<Types> infer_along_axis(const InferContext& op);
Result<Types> infer_binary(const InferContext& op);
Result<Types> infer_comparison(const InferContext& op);
Result<Types> infer_select(const InferContext& op);
Result<Types> infer_cast(const InferContext& op);
Result<Types> infer_reduce(const InferContext& op);
Result<Types> infer_reduce_arg(const InferContext& op);
Result<Types> infer_layer_norm(const InferContext& op);
Result<Types> infer_channel_norm(const InferContext& op);

// infer_linear.cpp
Result<Types> infer_matmul(const InferContext& op);
Result<Types> infer_linear(const InferContext& op);
Result<Types> infer_conv(const InferContext& op);
Result<Types> infer_conv_transpose(const InferContext& op);
Result<Types> infer_pool(const InferContext& op);
Result<Types> infer_attention(const InferContext& op);
Result<Types> infer_lstm(const InferContext& op);

// infer_shape.cpp
Result<Types> infer_reshape(const InferContext& op);
Result<Types> infer_transpose(const InferContext& op);
Result<Types> infer_expand_dims(const InferContext& op);
Result<Types> infer_squeeze(const InferContext& op);
Result<Types> infer_concat(const InferContext& op);
Result<Types> infer_stack(const InferContext& op);
Result<Types> infer_split(const InferContext& op);
Result<Types> infer_tile(const InferContext& op);
Result<Types> infer_pad(const InferContext& op);
Result<Types> infer_gather(const InferContext& op);
Result<Types> infer_gather_along_axis(const InferContext& op);
Result<Types> infer_fill(const InferContext& op);
Result<Types> infer_shape_of(const InferContext& op);
Result<Types> infer_range(const InferContext& op);
Result<Types> infer_topk(const InferContext& op);

// infer_slice.cpp
Result<Types> infer_slice_by_size(const InferContext& op);
Result<Types> infer_slice_by_index(const InferContext& op);
Result<Types> infer_slice_update(const InferContext& op);

// infer_constexpr.cpp
Result<Types> infer_const(const InferContext& op);
Result<Types> infer_quantize(const InferContext& op);
Result<Types> infer_dequantize(const InferContext& op);
Result<Types> infer_affine_dequantize(const InferContext& op);
Result<Types> infer_blockwise_shift_scale(const InferContext& op);
Result<Types> infer_lut_to_dense(const InferContext& op);
Result<Types> infer_sparse_to_dense(const InferContext& op);
Result<Types> infer_constexpr_cast(const InferContext& op);
Result<Types> infer_read_state(const InferContext& op);
Result<Types> infer_write_state(const InferContext& op);
Result<Types> infer_from_buffer(const InferContext& op);
Result<Types> infer_to_buffer(const InferContext& op);

}  // namespace aneroid::mil
