// The programs that published benchmarks time, from their sizes alone.
//
// Every program has fp16 surfaces and the result "out". Weights are files with
// random numbers that neither overflow nor die out over a deep chain; what
// they are makes no difference to the time. Pure functions, thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/mil/ir.h"

namespace aneroid::suite {

// How the weights of an op are stored, and what it reads.
enum class Stored : uint8_t {
  kFp16,
  kInt8,      // int8 with one scale, expanded to fp16: W8A16
  kPalette4,  // 4-bit indices into 16 values
  kW8A8,      // int8, and activations quantised to int8 before each op
};

// 1x1 convolutions one after another over [1, channels, height, width]. With
// `hidden`, they alternate between channels -> hidden and hidden -> channels.
struct ConvChain {
  int64_t channels = 0;
  int64_t height = 1;
  int64_t width = 0;
  int64_t depth = 1;
  bool shared = false;  // every convolution reads the same weights
  Stored stored = Stored::kFp16;
  int64_t hidden = 0;
};

// [rows, inner] x [inner, columns].
struct Product {
  int64_t rows = 0;
  int64_t inner = 0;
  int64_t columns = 0;
  // The second operand is an input of the program rather than a constant.
  bool runtime = false;
  Stored stored = Stored::kFp16;  // of a constant
};

// relu over [1, channels, height, width].
struct Stream {
  int64_t channels = 0;
  int64_t height = 1;
  int64_t width = 0;
};

// The engine's part of one transformer layer, forward and backward, with
// weights baked into six programs, as it was first published (no RoPE).
struct Layer {
  int64_t model = 768;
  int64_t hidden = 2048;
  int64_t heads = 12;
  int64_t sequence = 512;
};

using Recipe = std::variant<ConvChain, Product, Stream, Layer>;

// A file of random elements, made by weight_files().
struct WeightFile {
  std::string path;  // "@model_path/weights/w0.bin"
  DataType dtype = DataType::kFp16;
  int64_t elements = 0;
  double limit = 0;  // fp16: uniform in [-limit, limit]; integers: 0, 1, ...
};

struct TestProgram {
  std::string name;  // "fwd_attn"; unique in a recipe
  mil::Program program;
  std::vector<WeightFile> weights;
  // Files whose content matters (masks), by path.
  std::map<std::string, std::vector<std::byte>> tables;
};

// The programs of a recipe in the order of their calls, one call each.
// Error ("suite.program"): sizes that make no program.
Result<std::vector<TestProgram>> programs(const Recipe& recipe);

// The bytes of each file by its path, tables included; the same on every
// machine.
std::map<std::string, std::vector<std::byte>> weight_files(
    const TestProgram& program);

// Floating-point operations of the products (two per multiplication), and the
// bytes of constant weights as stored, each file once.
double flops(const TestProgram& program);
double weight_bytes(const TestProgram& program);
// Of inputs and outputs.
double surface_bytes(const TestProgram& program);

// How the publication counts a layer: twice the projections for the forward
// pass and for the gradients of activations, and five attention products of
// the backward pass. The two of the forward pass are left out, so this is less
// than the sum of flops().
double published_flops(const Layer& layer);

}  // namespace aneroid::suite
