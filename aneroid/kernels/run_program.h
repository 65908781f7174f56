// Runs a kernel program on the interpreter. For the tests of this folder.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "aneroid/interp/interp.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/kernels/plain.h"
#include "aneroid/mil/text.h"

namespace aneroid::kernels {

// The packed surface holding `blocks`, which must be those that the program
// reads. Padding columns of activations and rows below a block are as a caller
// leaves them, zero; the unused columns of a gain block and the blocks of the
// program's partner hold noise that this one may not read.
inline std::vector<double> pack(const KernelProgram& program,
                                const plain::Blocks& blocks) {
  constexpr double kNoise = 1e4;
  std::vector<double> surface(
      static_cast<size_t>(program.rows * program.width));
  const auto at = [&](int64_t row, int64_t column) -> double& {
    return surface[static_cast<size_t>(row * program.width + column)];
  };
  // Those that are read come last: they may lie over others.
  for (const bool read : {false, true}) {
    for (const InputBlock& block : program.inputs) {
      if (block.read != read) continue;
      const auto given = blocks.find(block.name);
      EXPECT_EQ(given != blocks.end(), read) << block.name;
      if (given == blocks.end()) {
        for (int64_t row = 0; row < block.rows; ++row) {
          std::fill_n(&at(row, block.column), block.columns, kNoise);
        }
        continue;
      }
      const plain::Matrix& values = given->second;
      EXPECT_EQ(values.rows, block.rows) << block.name;
      EXPECT_LE(values.columns, block.columns) << block.name;
      const bool is_gain = block.name == "gain";
      for (int64_t row = 0; row < block.rows; ++row) {
        for (int64_t column = 0; column < block.columns; ++column) {
          at(row, block.column + column) = column < values.columns
                                               ? values(row, column)
                                           : is_gain ? kNoise
                                                     : 0.0;
        }
      }
    }
  }
  return surface;
}

// Runs the program and returns its blocks, cut to `sequence` columns. Every
// number of the output, padding included, must be finite.
inline plain::Blocks run(const KernelProgram& program,
                         const plain::Blocks& blocks, int64_t sequence,
                         interp::Rounding rounding = interp::Rounding::kFp32) {
  plain::Blocks out;
  const auto parsed = mil::parse(program.mil_text, program.name);
  if (!parsed) {
    ADD_FAILURE() << to_string(parsed.error());
    return out;
  }
  const std::string input = parsed->function()->body.inputs[0].var.name;
  interp::WeightFiles weights;
  for (const auto& [path, bytes] : program.weights) weights[path] = bytes;
  interp::Options options;
  options.rounding = rounding;
  const auto results = interp::evaluate(*parsed,
                                        {{input,
                                          {DataType::kFp16,
                                           {1, program.rows, 1, program.width},
                                           pack(program, blocks)}}},
                                        weights, options);
  if (!results || results->size() != 1) {
    ADD_FAILURE() << (results ? "not one output" : to_string(results.error()));
    return out;
  }
  const interp::HostTensor& packed = results->begin()->second;
  EXPECT_EQ(packed.shape, (Shape{1, program.channels, 1, program.columns}));
  for (const double value : packed.data) {
    if (!std::isfinite(value)) {
      ADD_FAILURE() << program.name << ": an output is " << value;
      break;
    }
  }
  for (const OutputBlock& block : program.outputs) {
    plain::Matrix& values = out[block.name];
    values = plain::Matrix(block.channels, sequence);
    for (int64_t c = 0; c < block.channels; ++c) {
      for (int64_t t = 0; t < sequence; ++t) {
        values(c, t) = packed.data[static_cast<size_t>(
            (block.channel + c) * program.columns + t)];
      }
    }
  }
  return out;
}

}  // namespace aneroid::kernels
