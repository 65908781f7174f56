// The static plan an emulated executable runs: buffers, and steps over views
// of them. Made once by the planner; nothing here allocates while running
// (interpreted steps excepted).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "aneroid/base/dtype.h"
#include "aneroid/cpu/gemm.h"
#include "aneroid/emulator/view.h"
#include "aneroid/mil/ir.h"

namespace aneroid::emulator {

// How numbers are kept between operations (design D3).
enum class Numerics : uint8_t {
  kReference,  // fp32 storage, sums in fp64
  kFast,       // fp16 storage rounded as the engine rounds, sums in fp32
  kExact,      // fp16 storage, the engine's own arithmetic (numerics/)
};

struct Buffer {
  enum class Place : uint8_t { kInput, kOutput, kArena, kConstant };
  Place place = Place::kArena;
  cpu::Storage storage = cpu::Storage::kHalf;
  int64_t elements = 0;
  size_t port = 0;                  // kInput, kOutput
  size_t arena_offset = 0;          // kArena, bytes
  std::vector<std::byte> constant;  // kConstant

  size_t bytes() const;
};

// Element-wise operations and reductions along a row.
enum class Code : uint8_t {
  kCopy,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMax,
  kMin,
  kPow,
  kSqrt,
  kExp,
  kAbs,
  kSquare,
  kSigmoid,
  kSilu,
  kTanh,
  kRelu,
  kErf,
  kCropTransfer,  // see silent.h
  // Exact numerics only; elsewhere interpreted.
  kExp2,
  kLog,
  kRsqrt,
  kInverse,
  kGelu,
  kSin,
  kCos,
  kRowSum,
  kRowMean,
  kRowMax,
  kRowSoftmax,
};

// Magnitudes above it do not survive Code::kCropTransfer.
inline constexpr float kCropLimit = 65504.0F / 16;

// A value inside a fused step: a register, or a number known when compiling.
struct Source {
  int reg = -1;  // -1: the immediate
  float immediate = 0.0F;
};

struct FusedOp {
  Code code = Code::kCopy;
  int dst = 0;
  Source a;
  Source b;            // binary codes only
  bool round = false;  // to fp16, as an fp16-typed result in fast numerics
  bool row = false;    // the result is one value per row
};

// Memory behind a register: `rows` of `columns` elements.
struct FusedPort {
  int reg = 0;
  int buffer = 0;
  int64_t offset = 0;
  Shape row_dims;  // product = rows of the step
  Shape row_strides;
  int64_t column_stride = 1;
  bool row = false;  // one value per row
};

// A chain of element-wise operations evaluated row by row in registers that
// stay in the first-level cache: one pass over memory for the whole chain.
struct FusedStep {
  int64_t rows = 0;
  int64_t columns = 0;
  int registers = 0;
  bool row_reduction = false;  // rows must not be cut into chunks
  // Of the plan, or -1. While it holds, columns from cpu::triangle_columns() of
  // a row on are not evaluated, and stored as zeros.
  int claim = -1;
  std::vector<FusedPort> loads;
  std::vector<FusedOp> ops;
  std::vector<FusedPort> stores;
};

// What a causal mask lets a product leave out, by claims of the plan: things
// that a run finds true of its numbers, or does not. See causal.h.
struct CausalProduct {
  cpu::GemmTriangle triangle;
  int needs = -1;    // a claim on which it depends
  int decides = -1;  // the claim that this product was left incomplete,
  double limit = 0;  // which it is if no element can be larger than this
};

// C[m, n] = A[m, k] B[k, n], `batch.count` times, for each outer offset.
struct GemmStep {
  cpu::GemmShape shape;
  cpu::GemmBatch batch;
  int a_buffer = 0, b_buffer = 0, c_buffer = 0;
  int64_t a_offset = 0, b_offset = 0, c_offset = 0;
  int64_t a_row = 0, a_col = 0, b_row = 0, b_col = 0, c_row = 0, c_col = 0;
  // The accumulators' initial values, one per row of C; exact numerics only.
  int bias_buffer = -1;
  int64_t bias_offset = 0, bias_row = 0;
  // W8A8, exact numerics only: both operands hold int8 numbers, and their sum
  // is multiplied by this. 0: not.
  double integer_scale = 0.0;
  CausalProduct causal;
};

// out[o, i] = reduction over r of in[o, r, i] where i is not the last axis
// of the reduction: sums down columns.
struct ColumnReduceStep {
  Code code = Code::kRowSum;
  bool round = false;
  View in;   // [outer, reduced, inner]
  View out;  // [outer, inner]
};

// Patches of a 2-D convolution laid out as a matrix: out[c*kh*kw, oh*ow].
struct PatchStep {
  View in;  // [C, H, W]
  int out_buffer = 0;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1;
  int64_t pad_top = 0, pad_left = 0, dilation_h = 1, dilation_w = 1;
  int64_t out_h = 0, out_w = 0;
};

// An operation without a fast plan, evaluated by interp. Slow and allocating.
struct InterpretStep {
  std::shared_ptr<const mil::Program> program;  // one op, constants included
  struct Port {
    std::string name;
    DataType dtype = DataType::kFp16;
    View view;
  };
  std::vector<Port> inputs;
  std::vector<Port> outputs;
};

struct Step {
  std::string op;  // for messages and time tables: "matmul", "mul+add+softmax"
  std::variant<FusedStep, GemmStep, ColumnReduceStep, PatchStep, InterpretStep>
      work;
};

struct Plan {
  std::string name;  // of the program, for traces
  Numerics numerics = Numerics::kFast;
  std::vector<Buffer> buffers;
  std::vector<Step> steps;
  size_t arena_bytes = 0;
  size_t fused_scratch_floats = 0;  // per worker
  int claims = 0;
};

}  // namespace aneroid::emulator
