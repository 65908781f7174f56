// How long the engine takes: a prediction from published figures, never a
// measurement. docs/spec/timing.md has the formulas, the sources, and how far
// predictions are from what was measured.
//
// A call costs its path's overhead, the surfaces it moves, and the sum of its
// ops; an op costs the slowest of arithmetic, weights and activations. Times
// are in microseconds, rates in GB/s = 1e3 bytes per microsecond. All
// functions are pure and thread-safe.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/mil/ir.h"
#include "aneroid/target/target.h"

namespace aneroid::target {

// ---- What an op costs ------------------------------------------------------

// Which part of the engine does an op.
enum class Unit : uint8_t {
  kArray,        // multiply-accumulate array: conv, linear, matmul
  kElementwise,  // the planar engine: arithmetic, activations, reductions
  kMovement,     // DMA alone: transpose, concat, slice
  kAttention,    // scaled_dot_product_attention as one op
  kNone,         // costs nothing: a view, a constant, fused into another op
};

// Where the weights of an array op come from.
enum class Weights : uint8_t {
  kStreamed,  // constants of its own, read from memory
  kShared,    // the array op before used the same ones: kept if they fit
  kRuntime,   // computed, or an input of the program
};

struct Work {
  std::string op;
  Unit unit = Unit::kArray;
  int64_t batch = 1;

  // kArray: every output pixel costs kernel x in_channels / groups x
  // out_channels multiplications. A matmul [M, K] x [K, N] is a 1x1
  // convolution from K to N channels over M pixels.
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t in_pixels = 0;
  int64_t out_pixels = 0;
  int64_t kernel_height = 1;
  int64_t kernel_width = 1;
  int64_t groups = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  Weights weights = Weights::kStreamed;
  double weight_bits = 16;        // as stored
  bool palette = false;           // stored as indices into a table
  double density = 1.0;           // share of weights that are not zero
  bool int8_activations = false;  // with 8-bit weights: W8A8

  // kElementwise: elements of the result, and tensors read. kMovement:
  // elements moved. kAttention: elements of the query.
  double elements = 0;
  int operands = 1;
};

double multiplications(const Work& work);
double stored_weight_bytes(const Work& work);

// ---- What a chip does ------------------------------------------------------

// The parameters of one class of chips: chips.json says each one's value,
// timing.md its meaning and where it comes from.
struct TimingParameters {
  std::string_view id;
  double clock_ghz = 0;
  double efficiency = 0;      // share of 4096 products per cycle reached
  double weight_gbs = 0;      // constant weights from memory
  double palette_gbs = 0;     // palettised weights, counted when expanded
  double activation_gbs = 0;  // operand store to the array, per engine
  double io_gbs = 0;          // surfaces of a call
  double copy_gbs = 0;        // the same when the caller copies them too
  double layer_us = 0;        // every array op
  double int8_rate = 1;       // W8A8 over fp16
  double submit_us = 0;       // submission to end of an empty task
  // An empty call as its caller sees it, per path, at best.
  std::array<double, 3> call_us{};  // by Path
  double typical_us = 0;            // median over best
  // Those of the above that were fitted to the public table, by their names in
  // chips.json; the others are published or assumed.
  std::span<const std::string_view> fitted;
};

// Constants of the model, shared by all chips, that were fitted too.
int fitted_constants();

std::span<const TimingParameters> timing_classes();
// The parameters for a chip, its own clock and weight bandwidth in place.
// Error ("timing", no): the engine is not open to programs.
Result<TimingParameters> timing_parameters(const Chip& chip);

// ---- Prediction ------------------------------------------------------------

struct OpTime {
  std::string op;
  double microseconds = 0;
  // "compute", "weights", "activations", "elementwise", "movement",
  // "attention", "-"
  std::string_view bound;
};

// How good predictions of this sort were on public measurements.
struct Basis {
  std::string_view timing_class;  // "m4"; "" when there is no basis
  std::string_view kind;          // "conv", "matmul", "elementwise", "all"
  int rows = 0;
  double median = 0;  // |ln(predicted / measured)|
  double p90 = 0;
};
// "model error: median 3 %, p90 21 % (34 conv rows of m4)", or "no basis".
std::string to_string(const Basis& basis);
// Scores of the public table, a row per timing class and kind.
std::span<const Basis> scores();

struct TimingOptions {
  Path path = Path::kRaw;
  int engines = 0;             // 0: as the compiler chooses, by op
  bool typical = true;         // the median call rather than the best
  bool caller_copies = false;  // surfaces are copied by the caller as well
  double io_bytes = 0;         // inputs and outputs of the program
};

struct Prediction {
  double microseconds = 0;          // the call, as its caller sees it
  double task_microseconds = 0;     // of which the engine: submission to end
  double io_microseconds = 0;       // of which moving surfaces
  double host_microseconds = 0;     // of which the rest
  std::optional<double> energy_mj;  // of the engine; where power is known
  std::vector<OpTime> ops;
  Basis basis;
};

// Error ("timing", no): the engine is not open to programs.
Result<Prediction> predict(const mil::Program& program, const Chip& chip,
                           const TimingOptions& options = {});
Result<Prediction> predict(std::span<const Work> works, const Chip& chip,
                           const TimingOptions& options = {});
// The same with other parameters, as fitting needs.
Prediction predict(std::span<const Work> works, const Chip& chip,
                   const TimingParameters& parameters,
                   const TimingOptions& options);

// One op by itself, in the middle of a program.
OpTime op_time(const Work& work, const TimingParameters& parameters,
               int engines);
// How many engines the compiler gives an op of a chip with several.
int engines_for(const Work& work, const Chip& chip);

// An op by its MIL name that reads or writes so many elements; nullopt when it
// is not known, works on the array, or costs nothing.
std::optional<Work> op_work(std::string_view op, double elements);

// The ops of a program's main function in order, and the bytes of its inputs
// and outputs. Sizes that are not known count as 1. Weights are shared when two
// array ops in a row read one constant.
struct ProgramWork {
  std::vector<Work> works;
  double io_bytes = 0;
};
ProgramWork program_work(const mil::Program& program);

}  // namespace aneroid::target
