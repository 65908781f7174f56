// The vocabulary: one row per op, in alphabetical order.
#include "aneroid/target/op_verdicts.h"

#include <algorithm>
#include <array>

namespace aneroid::target {
namespace {

using enum OpVerdict;

// Conditions that ops share, and the rules that enforce them.
constexpr std::string_view kSymbolic = "never measured";
constexpr std::string_view kElementwise =
    "fp16; raw programs on M1 broadcast only over the height of [1, C, S] "
    "(C057)";
constexpr std::string_view kNoLowering =
    "no lowering to the engine was ever seen";
constexpr std::string_view kTextureUnchecked =
    "texture unit, generation 14 (C063); values were not compared";
constexpr std::string_view kHost =
    "control flow, sizes that depend on data, or random numbers";
constexpr std::string_view kTable =
    "a table of 33 knots, interpolated; sin and cos from generation 15 (C062)";
constexpr std::string_view kPool =
    "max_pool up to 8 wide (C039); avg_pool 14 wide was accepted";
constexpr std::string_view kNorm =
    "local_response_norm from 16 channels on E5 (C066); layer_norm not with "
    "enumerated shapes (C101)";
constexpr std::string_view kShuffle =
    "the blocks must divide the batch or the channels (C066)";
constexpr std::string_view kCast =
    "between fp16 and fp32; an integer leg goes to the CPU (C071)";
constexpr std::string_view kConcat =
    "through Core ML and E5; contested in raw programs on M4 (C050)";
constexpr std::string_view kBaked = "baked when compiled (C082)";
constexpr std::string_view kCompressed =
    "folded when compiled, or streamed compressed where the chip can (C080)";
constexpr std::string_view kBlockwise =
    "right on M5 through E5; block-wise int4 goes to the CPU on M6 (C076); one "
    "scale per channel is safe";
constexpr std::string_view kUnchecked = "compiles; values were not compared";
constexpr std::string_view kConv =
    "kernels as C033, C034 and C035 say, strides as C036; runtime weights with "
    "one batch";
constexpr std::string_view kStaticShapes = "shapes known when compiling";
constexpr std::string_view kState =
    "states of a width divisible by 32 (C025); not alone through E5";
constexpr std::string_view kSlice =
    "begin and size known when compiling (C071); M1 and M2 clamp what begins "
    "inside the width (N15)";
constexpr std::string_view kCropResize =
    "texture unit, generation 14 (C063); not offered by Core ML";
constexpr std::string_view kQuantize =
    "8-bit, one scale or one per channel, not along the summed axis (C077)";
constexpr std::string_view kEinsum =
    "becomes transposes and a matmul, for the patterns converters know";
constexpr std::string_view kActivation =
    "from a table, saturating at its ends; silu is its own table";
constexpr std::string_view kCompare =
    "fp16 operands; the bool must be used on the engine (C071)";
constexpr std::string_view kExp2 = "from a table of 2^(i/32)";
constexpr std::string_view kView =
    "free when only ones move, else a copy; rank up to 5 (C030)";
constexpr std::string_view kFoldedAway = "folded when compiled";
constexpr std::string_view kDivision =
    "a reciprocal from a table, then a multiplication";
constexpr std::string_view kGather =
    "constant indices become slices (C075); indices computed at run time go to "
    "the CPU in gather (C071)";
constexpr std::string_view kGelu =
    "all modes, which must be given in raw programs (C004); exact and tanh "
    "share a table";
constexpr std::string_view kGeluEngine =
    "a form of gelu inside E5, not a MIL op";
constexpr std::string_view kRecurrent =
    "unroll the loop, or write it as convolutions";
constexpr std::string_view kIdentity =
    "native through Core ML; refused alone through E5; removed in raw programs "
    "(C005)";
constexpr std::string_view kLinear = "runs as a 1x1 convolution";
constexpr std::string_view kLogicalAnd =
    "native through Core ML, refused through E5";
constexpr std::string_view kLogical =
    "refused through E5; through Core ML judged as logical_and, unmeasured";
constexpr std::string_view kMatmul =
    "sums over up to 32768 (C041); raw: flags as named constants (C003)";
constexpr std::string_view kNms =
    "compiles through E5, values not compared; at most 2048 boxes (C070); on "
    "the CPU in Core ML";
constexpr std::string_view kPad =
    "zeros, reflect and replicate; other constants not before A17 Pro and M4 "
    "(C070)";
constexpr std::string_view kPow =
    "exp of log, unless the exponent is a constant with a form of its own";
constexpr std::string_view kSoftplus =
    "softplus is 0 above about 10.4; write relu(x) + log(1 + exp(-|x|))";
constexpr std::string_view kRange =
    "a constant range is folded by E5; on the CPU in Core ML";
constexpr std::string_view kArg = "the integer result goes to the CPU (C071)";
constexpr std::string_view kComposed =
    "composed of reduce_sum, sqrt, log and exp; the naive log-sum-exp "
    "overflows";
constexpr std::string_view kReduce =
    "reduce_sum adds in fp16: integers are exact up to 2048";
constexpr std::string_view kCpu = "on the CPU";
constexpr std::string_view kTexture =
    "texture unit, generation 14 (C063); through Core ML judged as affine, "
    "unmeasured";
constexpr std::string_view kResize = "only a factor of 2 on old chips (C040)";
constexpr std::string_view kPlain = "any axis";
constexpr std::string_view kAttention =
    "Core ML keeps it on the engine from about 2 million elements; masks as "
    "C060, lengths as C061";
constexpr std::string_view kScatter =
    "on the CPU; writing a slice of a state is the documented exception";
constexpr std::string_view kSelect =
    "the condition comes from a comparison; integer branches go to the CPU "
    "(C071)";
constexpr std::string_view kShape =
    "folded by Core ML when shapes are known; else the CPU";
constexpr std::string_view kSoftmax =
    "any axis; contested lengths in raw programs (C045)";
constexpr std::string_view kTile =
    "native, but never in raw programs on M3 (C058)";
constexpr std::string_view kTopk =
    "slow (milliseconds); not compiled directly for M4 (C044); k of 3 and 4 "
    "fail through E5 (C065)";

// Who measured; docs/spec/engine.md says what they are.
constexpr std::string_view kBothSweeps = "ANEForge, M6 study";
constexpr std::string_view kE5Sweep = "ANEForge";
constexpr std::string_view kBothAndM1 = "ANEForge, M6 study, ane-train";
constexpr std::string_view kBothAndOld = "ANEForge, M6 study, Hollemans";

constexpr double kNoError = -1;

// Columns: op, opsets, overall, raw, coreml, e5, error on e5, condition,
// source.
constexpr std::array kEntries = {
    OpEntry{"_const_symbolic", "ios15", kUnknown, kUnknown, kUnknown, kUnknown,
            kNoError, kSymbolic, "none"},
    OpEntry{"abs", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kElementwise, kBothAndM1},
    OpEntry{"acos", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kNoLowering, kBothSweeps},
    OpEntry{"add", "ios15", kNative, kNative, kNative, kNative, 0.00033,
            kElementwise, kBothAndM1},
    OpEntry{"affine", "ios15", kUnknown, kUnknown, kNative, kNative, kNoError,
            kTextureUnchecked, kE5Sweep},
    OpEntry{"argsort", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
    OpEntry{"asin", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kNoLowering, kBothSweeps},
    OpEntry{"atan", "ios15", kNative, kNative, kNative, kNative, 0.019, kTable,
            kBothSweeps},
    OpEntry{"atanh", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kNoLowering, kBothSweeps},
    OpEntry{"avg_pool", "ios15", kNative, kNative, kNative, kNative, 0.00021,
            kPool, "M6 study, Hollemans"},
    OpEntry{"band_part", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
    OpEntry{"batch_norm", "ios15/ios17", kNative, kNative, kNative, kNative,
            0.00037, kNorm, "ANEForge, coremltools"},
    OpEntry{"batch_to_space", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kShuffle, kBothSweeps},
    OpEntry{"cast", "ios15/ios17", kNative, kNative, kNative, kRejected,
            kNoError, kCast, "M6 study, ANEForge"},
    OpEntry{"ceil", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kElementwise, kBothAndM1},
    OpEntry{"clamped_relu", "ios15/ios17", kNative, kNative, kNative, kNative,
            9e-05, kElementwise, kBothAndM1},
    OpEntry{"classify", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
    OpEntry{"clip", "ios15/ios17", kNative, kNative, kNative, kNative, 0.0,
            kElementwise, kBothAndM1},
    OpEntry{"concat", "ios15", kNative, kNative, kNative, kNative, 0.0, kConcat,
            "ANEForge, Orion"},
    OpEntry{"cond", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
    OpEntry{"const", "ios15", kNative, kNative, kNative, kNative, kNoError,
            kBaked, "all sources"},
    OpEntry{"constexpr_affine_dequantize", "ios16", kNative, kNative, kNative,
            kNative, 0.0005, kCompressed, kBothSweeps},
    OpEntry{"constexpr_blockwise_shift_scale", "ios18", kNative, kNative,
            kNative, kNative, 0.00038, kBlockwise, kBothSweeps},
    OpEntry{"constexpr_cast", "ios16/ios18", kNative, kNative, kNative, kNative,
            0.0, kCompressed, kBothSweeps},
    OpEntry{"constexpr_lut_to_dense", "ios16/ios18", kNative, kNative, kNative,
            kNative, 0.0, kCompressed, kBothSweeps},
    OpEntry{"constexpr_lut_to_sparse", "ios18", kNative, kNative, kNative,
            kNative, kNoError, kUnchecked, kE5Sweep},
    OpEntry{"constexpr_sparse_blockwise_shift_scale", "ios18", kNative, kNative,
            kNative, kNative, kNoError, kUnchecked, kE5Sweep},
    OpEntry{"constexpr_sparse_to_dense", "ios16/ios18", kNative, kNative,
            kNative, kNative, 0.0, kCompressed, kBothSweeps},
    OpEntry{"conv", "ios15/ios17", kNative, kNative, kNative, kNative, 0.00028,
            kConv, "M6 study, ANEForge, Orion"},
    OpEntry{"conv_quantized", "ios15", kRejected, kRejected, kRejected,
            kRejected, kNoError, kHost, kBothAndOld},
    OpEntry{"conv_transpose", "ios15/ios17", kNative, kNative, kNative, kNative,
            0.00025, kStaticShapes, kBothSweeps},
    OpEntry{"coreml_update_state", "engine", kNative, kUnknown, kNative,
            kUnknown, kNoError, kState, "coremltools, ANEForge"},
    OpEntry{"cos", "ios15", kNative, kNative, kNative, kNative, 0.00056, kTable,
            kBothSweeps},
    OpEntry{"cosh", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kNoLowering, kBothSweeps},
    OpEntry{"crop", "ios15", kNative, kNative, kNative, kNative, 0.0, kSlice,
            kBothSweeps},
    OpEntry{"crop_resize", "ios15/ios16/ios17", kRejected, kRejected, kRejected,
            kRejected, kNoError, kCropResize, kBothSweeps},
    OpEntry{"cumsum", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
    OpEntry{"depth_to_space", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kShuffle, kBothSweeps},
    OpEntry{"dequantize", "ios17", kNative, kNative, kNative, kNative, 0.00027,
            kQuantize, "ANEForge, M6 study, LLM study"},
    OpEntry{"einsum", "ios15", kDecomposed, kUnknown, kDecomposed, kDecomposed,
            0.0002, kEinsum, kE5Sweep},
    OpEntry{"elu", "ios15/ios17", kNative, kNative, kNative, kNative, 0.0051,
            kActivation, kBothSweeps},
    OpEntry{"equal", "ios15", kNative, kNative, kNative, kNative, kNoError,
            kCompare, kE5Sweep},
    OpEntry{"erf", "ios15", kNative, kNative, kNative, kNative, 0.0007, kTable,
            kBothSweeps},
    OpEntry{"exp", "ios15", kNative, kNative, kNative, kNative, 0.00047, kTable,
            kBothSweeps},
    OpEntry{"exp2", "ios15", kNative, kNative, kNative, kNative, 0.00048, kExp2,
            kE5Sweep},
    OpEntry{"expand_dims", "ios15/ios17", kNative, kNative, kNative, kNative,
            0.0, kView, kBothSweeps},
    OpEntry{"fill", "ios15", kDecomposed, kFolded, kFolded, kFolded, 0.00034,
            kFoldedAway, kE5Sweep},
    OpEntry{"fill_like", "ios16", kDecomposed, kFolded, kFolded, kFolded,
            0.00029, kFoldedAway, kE5Sweep},
    OpEntry{"flatten2d", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kView, kBothSweeps},
    OpEntry{"floor", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kElementwise, kBothAndM1},
    OpEntry{"floor_div", "ios15", kDecomposed, kDecomposed, kDecomposed,
            kDecomposed, 0.0, kDivision, kBothSweeps},
    OpEntry{"gather", "ios15/ios16/ios17", kRejected, kNative, kNative,
            kRejected, kNoError, kGather, kBothAndOld},
    OpEntry{"gather_along_axis", "ios15/ios16/ios17", kRejected, kNative,
            kNative, kRejected, kNoError, kGather, kBothAndOld},
    OpEntry{"gather_nd", "ios15/ios16/ios17", kRejected, kNative, kNative,
            kRejected, kNoError, kGather, kBothAndOld},
    OpEntry{"gelu", "ios15", kNative, kNative, kNative, kNative, kNoError,
            kGelu, "ANEForge, M6 study, Orion"},
    OpEntry{"gelu_exact", "engine", kNative, kUnknown, kUnknown, kNative,
            0.0024, kGeluEngine, kE5Sweep},
    OpEntry{"gelu_sigmoid_approx", "engine", kNative, kUnknown, kUnknown,
            kNative, kNoError, kGeluEngine, kE5Sweep},
    OpEntry{"gelu_tanh_approx", "engine", kNative, kUnknown, kUnknown, kNative,
            kNoError, kGeluEngine, kE5Sweep},
    OpEntry{"greater", "ios15", kNative, kNative, kNative, kNative, kNoError,
            kCompare, kE5Sweep},
    OpEntry{"greater_equal", "ios15", kNative, kNative, kNative, kNative,
            kNoError, kCompare, kE5Sweep},
    OpEntry{"gru", "ios15/ios17/ios18", kRejected, kRejected, kRejected,
            kRejected, kNoError, kRecurrent, kBothAndOld},
    OpEntry{"identity", "ios15", kNative, kNative, kNative, kRejected, kNoError,
            kIdentity, "M6 study, ANEForge"},
    OpEntry{"instance_norm", "ios15/ios17", kNative, kNative, kNative, kNative,
            0.00076, kNorm, "ANEForge, coremltools"},
    OpEntry{"inverse", "ios15/ios17", kNative, kNative, kNative, kNative,
            0.00028, kTable, kBothSweeps},
    OpEntry{"l2_norm", "ios15/ios17", kNative, kNative, kNative, kNative,
            kNoError, kNorm, "ANEForge, coremltools"},
    OpEntry{"l2_pool", "ios15", kNative, kNative, kNative, kNative, 0.00041,
            kPool, "M6 study, Hollemans"},
    OpEntry{"layer_norm", "ios15/ios17", kNative, kNative, kNative, kNative,
            0.00039, kNorm, "ANEForge, coremltools"},
    OpEntry{"leaky_relu", "ios15/ios17", kNative, kNative, kNative, kNative,
            1e-05, kElementwise, kBothAndM1},
    OpEntry{"less", "ios15", kNative, kNative, kNative, kNative, kNoError,
            kCompare, kE5Sweep},
    OpEntry{"less_equal", "ios15", kNative, kNative, kNative, kNative, kNoError,
            kCompare, kE5Sweep},
    OpEntry{"linear", "ios15/ios17", kNative, kNative, kNative, kNative, 0.0003,
            kLinear, kBothSweeps},
    OpEntry{"linear_activation", "ios15/ios17", kNative, kNative, kNative,
            kNative, 9e-05, kActivation, kBothSweeps},
    OpEntry{"list_gather", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
    OpEntry{"list_length", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
    OpEntry{"list_read", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
    OpEntry{"list_scatter", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
    OpEntry{"list_write", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
    OpEntry{"local_response_norm", "ios15/ios17", kNative, kNative, kNative,
            kNative, 0.00014, kNorm, "ANEForge, coremltools"},
    OpEntry{"log", "ios15/ios17", kNative, kNative, kNative, kNative, 0.0008,
            kTable, kBothSweeps},
    OpEntry{"logical_and", "ios15", kNative, kNative, kNative, kRejected,
            kNoError, kLogicalAnd, "M6 study, ANEForge"},
    OpEntry{"logical_not", "ios15", kNative, kNative, kNative, kNative,
            kNoError, kCompare, kE5Sweep},
    OpEntry{"logical_or", "ios15", kUnknown, kUnknown, kNative, kRejected,
            kNoError, kLogical, kE5Sweep},
    OpEntry{"logical_xor", "ios15", kUnknown, kUnknown, kNative, kRejected,
            kNoError, kLogical, kE5Sweep},
    OpEntry{"lstm", "ios15/ios17", kRejected, kRejected, kRejected, kRejected,
            kNoError, kRecurrent, kBothAndOld},
    OpEntry{"make_list", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
    OpEntry{"matmul", "ios15/ios17", kNative, kNative, kNative, kNative, 0.0003,
            kMatmul, "M6 study, ANEForge, Orion, ane-train"},
    OpEntry{"max_pool", "ios15", kNative, kNative, kNative, kNative, 0.0, kPool,
            "M6 study, Hollemans"},
    OpEntry{"maximum", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kElementwise, kBothAndM1},
    OpEntry{"minimum", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kElementwise, kBothAndM1},
    OpEntry{"mod", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kNoLowering, kBothSweeps},
    OpEntry{"mul", "ios15", kNative, kNative, kNative, kNative, 0.00017,
            kElementwise, kBothAndM1},
    OpEntry{"non_maximum_suppression", "ios15/ios17", kRejected, kRejected,
            kRejected, kNative, kNoError, kNms, kE5Sweep},
    OpEntry{"non_zero", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
    OpEntry{"not_equal", "ios15", kNative, kNative, kNative, kNative, kNoError,
            kCompare, kE5Sweep},
    OpEntry{"one_hot", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
    OpEntry{"pad", "ios15", kNative, kNative, kNative, kNative, 0.00021, kPad,
            kBothAndOld},
    OpEntry{"pixel_shuffle", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kShuffle, kBothSweeps},
    OpEntry{"pixel_unshuffle", "ios16", kNative, kNative, kNative, kNative, 0.0,
            kShuffle, kBothSweeps},
    OpEntry{"pow", "ios15", kDecomposed, kDecomposed, kDecomposed, kDecomposed,
            0.00018, kPow, "ANEForge, ane-train"},
    OpEntry{"prelu", "ios15/ios17", kNative, kNative, kNative, kNative,
            kNoError, kSoftplus, "ANEForge, coremltools"},
    OpEntry{"quantize", "ios17", kNative, kNative, kNative, kNative, 0.00027,
            kQuantize, "ANEForge, M6 study, LLM study"},
    OpEntry{"random_bernoulli", "ios15", kRejected, kRejected, kRejected,
            kRejected, kNoError, kHost, kBothAndOld},
    OpEntry{"random_categorical", "ios15", kRejected, kRejected, kRejected,
            kRejected, kNoError, kHost, kBothAndOld},
    OpEntry{"random_normal", "ios15", kRejected, kRejected, kRejected,
            kRejected, kNoError, kHost, kBothAndOld},
    OpEntry{"random_uniform", "ios15", kRejected, kRejected, kRejected,
            kRejected, kNoError, kHost, kBothAndOld},
    OpEntry{"range_1d", "ios15", kRejected, kRejected, kRejected, kFolded,
            0.00025, kRange, kBothSweeps},
    OpEntry{"read_state", "ios18", kNative, kUnknown, kNative, kRejected,
            kNoError, kState, "coremltools, ANEForge"},
    OpEntry{"real_div", "ios15", kDecomposed, kDecomposed, kDecomposed,
            kDecomposed, 0.00017, kDivision, kBothSweeps},
    OpEntry{"reduce_argmax", "ios15/ios17", kRejected, kRejected, kRejected,
            kRejected, kNoError, kArg, kBothSweeps},
    OpEntry{"reduce_argmin", "ios15/ios17", kRejected, kRejected, kRejected,
            kRejected, kNoError, kArg, kBothSweeps},
    OpEntry{"reduce_l1_norm", "ios15", kDecomposed, kDecomposed, kDecomposed,
            kDecomposed, 0.00071, kComposed, "ANEForge, coremltools"},
    OpEntry{"reduce_l2_norm", "ios15", kDecomposed, kDecomposed, kDecomposed,
            kDecomposed, 0.00051, kComposed, "ANEForge, coremltools"},
    OpEntry{"reduce_log_sum", "ios15", kDecomposed, kDecomposed, kDecomposed,
            kDecomposed, 0.00091, kComposed, "ANEForge, coremltools"},
    OpEntry{"reduce_log_sum_exp", "ios15", kDecomposed, kDecomposed,
            kDecomposed, kDecomposed, 0.00077, kComposed,
            "ANEForge, coremltools"},
    OpEntry{"reduce_max", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kReduce, kBothSweeps},
    OpEntry{"reduce_mean", "ios15", kNative, kNative, kNative, kNative, 0.0008,
            kReduce, kBothSweeps},
    OpEntry{"reduce_min", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kReduce, kBothSweeps},
    OpEntry{"reduce_prod", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kCpu, kBothSweeps},
    OpEntry{"reduce_sum", "ios15", kNative, kNative, kNative, kNative, 0.0008,
            kReduce, kBothSweeps},
    OpEntry{"reduce_sum_square", "ios15", kDecomposed, kDecomposed, kDecomposed,
            kDecomposed, 0.00054, kComposed, "ANEForge, coremltools"},
    OpEntry{"relu", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kElementwise, kBothAndM1},
    OpEntry{"relu6", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kElementwise, kBothAndM1},
    OpEntry{"resample", "ios15/ios16/ios17", kUnknown, kUnknown, kNative,
            kUnknown, kNoError, kTexture, kE5Sweep},
    OpEntry{"reshape", "ios15/ios17", kNative, kNative, kNative, kNative, 0.0,
            kView, kBothSweeps},
    OpEntry{"reshape_like", "ios16/ios17", kRejected, kRejected, kRejected,
            kRejected, kNoError, kHost, kBothAndOld},
    OpEntry{"resize", "ios17", kNative, kNative, kNative, kNative, kNoError,
            kResize, "ANEForge, Hollemans"},
    OpEntry{"resize_bilinear", "ios15", kNative, kNative, kNative, kNative,
            kNoError, kResize, "ANEForge, Hollemans"},
    OpEntry{"resize_nearest_neighbor", "ios15", kNative, kNative, kNative,
            kNative, 0.0, kResize, "ANEForge, Hollemans"},
    OpEntry{"reverse", "ios15/ios17", kNative, kNative, kNative, kNative, 0.0,
            kPlain, kE5Sweep},
    OpEntry{"reverse_sequence", "ios15/ios17", kRejected, kRejected, kRejected,
            kRejected, kNoError, kHost, kBothAndOld},
    OpEntry{"rnn", "ios15/ios17", kRejected, kRejected, kRejected, kRejected,
            kNoError, kRecurrent, kBothAndOld},
    OpEntry{"round", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kElementwise, kBothAndM1},
    OpEntry{"rsqrt", "ios15/ios17", kNative, kNative, kNative, kNative, 0.00104,
            kTable, kBothSweeps},
    OpEntry{"scaled_dot_product_attention", "ios18", kNative, kNative, kNative,
            kNative, 0.00027, kAttention, "M6 study, Orion, ANEForge"},
    OpEntry{"scaled_tanh", "ios15/ios17", kNative, kNative, kNative, kNative,
            0.0017, kActivation, kBothSweeps},
    OpEntry{"scatter", "ios15/ios17", kRejected, kRejected, kRejected,
            kRejected, kNoError, kScatter, kBothSweeps},
    OpEntry{"scatter_along_axis", "ios15/ios17", kRejected, kRejected,
            kRejected, kRejected, kNoError, kScatter, kBothSweeps},
    OpEntry{"scatter_nd", "ios15/ios17", kRejected, kRejected, kRejected,
            kRejected, kNoError, kScatter, kBothSweeps},
    OpEntry{"select", "ios15", kNative, kNative, kNative, kNative, 0.0, kSelect,
            kE5Sweep},
    OpEntry{"shape", "ios15", kRejected, kRejected, kFolded, kRejected,
            kNoError, kShape, kBothAndOld},
    OpEntry{"sigmoid", "ios15", kNative, kNative, kNative, kNative, 0.0038,
            kActivation, kBothSweeps},
    OpEntry{"sigmoid_hard", "ios15/ios17", kNative, kNative, kNative, kNative,
            0.00026, kActivation, kBothSweeps},
    OpEntry{"sign", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kElementwise, kBothAndM1},
    OpEntry{"silu", "ios15", kNative, kNative, kNative, kNative, 0.01,
            kActivation, kBothSweeps},
    OpEntry{"sin", "ios15", kNative, kNative, kNative, kNative, 0.0005, kTable,
            kBothSweeps},
    OpEntry{"sinh", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kNoLowering, kBothSweeps},
    OpEntry{"slice_by_index", "ios15/ios17", kNative, kNative, kNative, kNative,
            0.0, kSlice, kBothSweeps},
    OpEntry{"slice_by_size", "ios15/ios17", kNative, kNative, kNative, kNative,
            0.0, kSlice, kBothSweeps},
    OpEntry{"slice_update", "ios18", kRejected, kRejected, kRejected, kRejected,
            kNoError, kScatter, kBothSweeps},
    OpEntry{"sliding_windows", "ios15/ios17", kRejected, kRejected, kRejected,
            kRejected, kNoError, kHost, kBothAndOld},
    OpEntry{"softmax", "ios15", kNative, kNative, kNative, kNative, kNoError,
            kSoftmax, "M6 study, Hollemans"},
    OpEntry{"softplus", "ios15", kNative, kNative, kNative, kNative, 0.00078,
            kSoftplus, "ANEForge, coremltools"},
    OpEntry{"softplus_parametric", "ios15/ios17", kNative, kNative, kNative,
            kNative, kNoError, kSoftplus, "ANEForge, coremltools"},
    OpEntry{"softsign", "ios15", kNative, kNative, kNative, kNative, 0.00076,
            kActivation, kBothSweeps},
    OpEntry{"space_to_batch", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kShuffle, kBothSweeps},
    OpEntry{"space_to_depth", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kShuffle, kBothSweeps},
    OpEntry{"split", "ios15", kNative, kNative, kNative, kNative, 0.0, kSlice,
            kBothSweeps},
    OpEntry{"sqrt", "ios15", kNative, kNative, kNative, kNative, 0.00043,
            kTable, kBothSweeps},
    OpEntry{"square", "ios15", kNative, kNative, kNative, kNative, 8e-05,
            kElementwise, kBothAndM1},
    OpEntry{"squeeze", "ios15/ios17", kNative, kNative, kNative, kNative, 0.0,
            kView, kBothSweeps},
    OpEntry{"stack", "ios15", kNative, kNative, kNative, kNative, 0.0, kConcat,
            "ANEForge, Orion"},
    OpEntry{"sub", "ios15", kNative, kNative, kNative, kNative, 0.0003,
            kElementwise, kBothAndM1},
    OpEntry{"tan", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kNoLowering, kBothSweeps},
    OpEntry{"tanh", "ios15", kNative, kNative, kNative, kNative, 0.0013,
            kActivation, kBothSweeps},
    OpEntry{"threshold", "ios15", kNative, kNative, kNative, kNative, 0.0,
            kElementwise, kBothAndM1},
    OpEntry{"thresholded_relu", "ios15/ios17", kNative, kNative, kNative,
            kNative, 0.0, kElementwise, kBothAndM1},
    OpEntry{"tile", "ios15", kNative, kNative, kNative, kNative, 0.0, kTile,
            "ANEForge, field guide"},
    OpEntry{"topk", "ios15/ios16/ios17", kNative, kNative, kNative, kNative,
            0.0, kTopk, kBothSweeps},
    OpEntry{"transpose", "ios15/ios17", kNative, kNative, kNative, kNative, 0.0,
            kView, kBothSweeps},
    OpEntry{"upsample_bilinear", "ios15/ios16", kNative, kNative, kNative,
            kNative, kNoError, kResize, "ANEForge, Hollemans"},
    OpEntry{"upsample_nearest_neighbor", "ios15", kNative, kNative, kNative,
            kNative, 0.0, kResize, "ANEForge, Hollemans"},
    OpEntry{"while_loop", "ios15", kRejected, kRejected, kRejected, kRejected,
            kNoError, kHost, kBothAndOld},
};

static_assert(std::ranges::is_sorted(kEntries, {}, &OpEntry::op));

}  // namespace

OpVerdict OpEntry::on(Path path) const {
  switch (path) {
    case Path::kRaw:
      return raw;
    case Path::kCoreml:
      return coreml;
    case Path::kE5:
      return e5;
  }
  return kUnknown;
}

std::string_view name(OpVerdict verdict) {
  constexpr std::array<std::string_view, 5> kNames = {
      "unknown", "native", "decomposed", "folded", "rejected"};
  return kNames[static_cast<size_t>(verdict)];
}

std::span<const OpEntry> ops() { return kEntries; }

const OpEntry* find_op(std::string_view name) {
  const auto found = std::ranges::lower_bound(kEntries, name, {}, &OpEntry::op);
  return found != kEntries.end() && found->op == name ? &*found : nullptr;
}

}  // namespace aneroid::target
