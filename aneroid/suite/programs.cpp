#include "aneroid/suite/programs.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "aneroid/base/half.h"
#include "aneroid/base/random.h"
#include "aneroid/blob/blob.h"
#include "aneroid/mil/builder.h"
#include "aneroid/suite/layer.h"
#include "aneroid/target/timing.h"

namespace aneroid::suite {
namespace {

using mil::Builder;
using mil::Var;

constexpr double kInt8Scale = 0.125;  // of weights and activations, published
constexpr int64_t kMostElements = int64_t{1} << 31;

Status check_sizes(std::initializer_list<int64_t> sizes) {
  double product = 1;
  for (const int64_t size : sizes) {
    if (size < 1) {
      return input_error("suite.program", "",
                         fmt::format("a size is {}, below 1", size));
    }
    product *= static_cast<double>(size);
  }
  if (product > static_cast<double>(kMostElements)) {
    return input_error("suite.program", "",
                       fmt::format("a tensor of {:.3g} elements, above {}",
                                   product, kMostElements));
  }
  return {};
}

mil::Value half(double value) {
  return mil::float_value(DataType::kFp16, value);
}

// Writes constants with their files: the same file number, the same weights.
class WeightWriter {
 public:
  WeightWriter(Builder& builder, Stored stored)
      : builder_(builder), stored_(stored) {}

  // `inner` products are summed by the op that reads them.
  Var write(int64_t number, const Shape& shape, int64_t inner) {
    const std::string hint = fmt::format("w{}", number);
    const std::string path = fmt::format("@model_path/weights/{}.bin", hint);
    // A sum of products has the variance of what went in.
    const double limit = std::sqrt(3.0 / static_cast<double>(inner));
    switch (stored_) {
      case Stored::kFp16:
        add({path, DataType::kFp16, *element_count(shape), limit});
        return builder_.weight(hint, mil::tensor(DataType::kFp16, shape), path);
      case Stored::kPalette4:
        add({path, DataType::kUint4, *element_count(shape), 15});
        return palette(path, shape, limit, hint);
      case Stored::kInt8:
      case Stored::kW8A8:
        break;
    }
    add({path, DataType::kInt8, *element_count(shape), 1});
    const double scale = stored_ == Stored::kW8A8 ? kInt8Scale : limit;
    return builder_.op(
        "constexpr_affine_dequantize",
        {{"quantized_data",
          mil::blob_value(mil::tensor(DataType::kInt8, shape), path, 64)},
         {"scale", half(scale)},
         {"zero_point",
          mil::Value{mil::scalar(DataType::kInt8), mil::Value::Bytes(1)}},
         {"axis", mil::int_value(0)}},
        hint);
  }

  std::vector<WeightFile> take() { return std::move(files_); }

 private:
  void add(WeightFile file) {
    if (std::ranges::find(files_, file.path, &WeightFile::path) ==
        files_.end()) {
      files_.push_back(std::move(file));
    }
  }
  Var palette(const std::string& path, const Shape& shape, double limit,
              const std::string& hint) {
    constexpr int kEntries = 16;
    Shape lut_shape(shape.size(), 1);
    lut_shape.insert(lut_shape.end(), {kEntries, 1});
    mil::Value::Bytes lut(2 * kEntries);
    for (int i = 0; i < kEntries; ++i) {
      const Half entry = to_half_even(limit * (2.0 * i / (kEntries - 1) - 1));
      std::memcpy(&lut[2 * static_cast<size_t>(i)], &entry, sizeof entry);
    }
    return builder_.op(
        "constexpr_lut_to_dense",
        {{"indices",
          mil::blob_value(mil::tensor(DataType::kUint4, shape), path, 64)},
         {"lut",
          mil::Value{mil::tensor(DataType::kFp16, lut_shape), std::move(lut)}}},
        hint);
  }

  Builder& builder_;
  Stored stored_;
  std::vector<WeightFile> files_;
};

Var int8_round_trip(Builder& b, const Var& x) {
  const Var q = b.op("quantize", {{"input", x},
                                  {"scale", half(kInt8Scale)},
                                  {"output_dtype", mil::string_value("int8")}});
  return b.op("dequantize", {{"input", q}, {"scale", half(kInt8Scale)}});
}

using Programs = Result<std::vector<TestProgram>>;

Programs finish(std::string name, Builder& builder, const Var& result,
                std::vector<WeightFile> weights) {
  std::vector<TestProgram> list(1);
  list[0].name = std::move(name);
  ANEROID_ASSIGN(list[0].program, builder.finish({{"out", result}}));
  list[0].weights = std::move(weights);
  return list;
}

Programs build(const ConvChain& chain) {
  const int64_t hidden = chain.hidden > 0 ? chain.hidden : chain.channels;
  ANEROID_TRY(check_sizes({hidden, chain.channels}));
  ANEROID_TRY(check_sizes(
      {std::max(hidden, chain.channels), chain.height, chain.width}));
  if (chain.depth < 1) {
    return input_error("suite.program", "",
                       fmt::format("a chain of {} ops", chain.depth));
  }
  Builder b;
  WeightWriter weights(b, chain.stored);
  Var x = b.input("in",
                  mil::tensor(DataType::kFp16,
                              {1, chain.channels, chain.height, chain.width}));
  for (int64_t i = 0; i < chain.depth; ++i) {
    if (chain.stored == Stored::kW8A8) x = int8_round_trip(b, x);
    const bool odd = i % 2 == 1;
    const int64_t from = odd ? hidden : chain.channels;
    const int64_t to = odd ? chain.channels : hidden;
    const int64_t number = !chain.shared              ? i
                           : hidden == chain.channels ? 0
                                                      : i % 2;
    x = b.conv1x1(x, weights.write(number, {to, from, 1, 1}, from));
  }
  return finish("conv", b, x, weights.take());
}

Programs build(const Product& product) {
  ANEROID_TRY(check_sizes({product.rows, product.inner}));
  ANEROID_TRY(check_sizes({product.inner, product.columns}));
  ANEROID_TRY(check_sizes({product.rows, product.columns}));
  Builder b;
  WeightWriter weights(b, product.stored);
  const auto input = [&](const char* name, int64_t rows, int64_t columns) {
    return b.input(name, mil::tensor(DataType::kFp16, {1, 1, rows, columns}));
  };
  const Var a = input("a", product.rows, product.inner);
  const Var second =
      product.runtime ? input("b", product.inner, product.columns)
                      : weights.write(0, {1, 1, product.inner, product.columns},
                                      product.inner);
  const Var out = b.matmul(a, second);
  return finish("matmul", b, out, weights.take());
}

Programs build(const Stream& stream) {
  ANEROID_TRY(check_sizes({stream.channels, stream.height, stream.width}));
  Builder b;
  const Var in = b.input(
      "in", mil::tensor(DataType::kFp16,
                        {1, stream.channels, stream.height, stream.width}));
  return finish("relu", b, b.op("relu", {{"x", in}}), {});
}

Programs build(const Layer& layer) { return layer_programs(layer); }

// Random elements as in memory. A block of a prime length is repeated, so that
// large files are made quickly and no two rows are alike.
std::vector<std::byte> elements(const WeightFile& file, uint64_t seed) {
  constexpr size_t kBlock = 65521;
  const size_t size = static_cast<size_t>(bytes(file.dtype));
  const size_t count = static_cast<size_t>(file.elements);
  const size_t block = std::min(kBlock, count);
  std::vector<std::byte> result(count * size);
  Random random(seed);
  for (size_t i = 0; i < block; ++i) {
    if (file.dtype == DataType::kFp16) {
      const Half value =
          to_half_even(file.limit * (2.0 * random.uniform() - 1.0));
      std::memcpy(&result[i * size], &value, sizeof value);
    } else {
      const auto most = static_cast<uint64_t>(file.limit);
      const bool is_signed = file.dtype == DataType::kInt8;
      const uint64_t value = random.below((is_signed ? 2 : 1) * most + 1);
      result[i] = static_cast<std::byte>(value - (is_signed ? most : 0));
    }
  }
  for (size_t done = block * size; done < result.size();) {
    const size_t more = std::min(block * size, result.size() - done);
    std::memcpy(&result[done], result.data(), more);
    done += more;
  }
  return result;
}

}  // namespace

Result<std::vector<TestProgram>> programs(const Recipe& recipe) {
  return std::visit([](const auto& sizes) { return build(sizes); }, recipe);
}

std::map<std::string, std::vector<std::byte>> weight_files(
    const TestProgram& program) {
  std::map<std::string, std::vector<std::byte>> files = program.tables;
  uint64_t seed = 0;
  for (const WeightFile& file : program.weights) {
    files[file.path] = blob::single_blob(file.dtype, elements(file, ++seed));
  }
  return files;
}

double flops(const TestProgram& program) {
  double sum = 0;
  for (const target::Work& work : target::program_work(program.program).works) {
    if (work.unit == target::Unit::kArray) {
      sum += 2 * target::multiplications(work);
    }
  }
  return sum;
}

double weight_bytes(const TestProgram& program) {
  double sum = 0;
  for (const WeightFile& file : program.weights) {
    sum += static_cast<double>(file.elements) * bits(file.dtype) / 8;
  }
  return sum;
}

double surface_bytes(const TestProgram& program) {
  return target::program_work(program.program).io_bytes;
}

}  // namespace aneroid::suite
