// Between stored tensors and fp32 arrays: conversion, checks, writing. Used
// by every format of this folder.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/bfloat.h"
#include "aneroid/base/diagnostic.h"
#include "aneroid/base/file.h"
#include "aneroid/model/config.h"
#include "aneroid/model/parameters.h"
#include "aneroid/model/safetensors.h"

namespace aneroid::model {

// One array per row of the parameter table, in its order, borrowed.
using WeightViews = std::vector<std::span<const float>>;
WeightViews views(const Weights& weights);

// Error ("weights") names the first NaN or infinity, its place and how many
// there are.
Status check_finite(std::span<const float> values, std::string_view place);
Status check_finite(std::span<const Bfloat> values, std::string_view place);

// As many arrays as the table has rows, each of its row's size, all values
// finite. Error ("weights", at "<place>: tensor <name>").
Status check_views(const std::vector<ParameterSpec>& table,
                   const WeightViews& arrays, std::string_view place);
// The same for tensors: names and shapes must be the table's, too.
Status check_weights(const ModelConfig& config, const Weights& weights,
                     std::string_view place);

// Values of an fp32, fp16 or bf16 tensor as fp32, which is exact. Error
// ("weights") for other types.
Result<std::vector<float>> to_floats(const TensorView& tensor,
                                     std::string_view place);

// The tensor stored as `prefix` + the row's name. Error ("weights"): missing,
// another shape (both are told).
Result<const TensorView*> find_row(const SafetensorsFile& file,
                                   const ParameterSpec& row,
                                   std::string_view prefix,
                                   std::string_view place);

// Every row of the table, stored as `prefix` + its name, converted to fp32.
// Errors as find_row; NaN or infinity.
Result<Weights> read_rows(const SafetensorsFile& file,
                          const std::vector<ParameterSpec>& table,
                          std::string_view prefix, std::string_view place);

// Borrowed fp32 tensors under `prefix` + the table's names.
void append_rows(const std::vector<ParameterSpec>& table,
                 const WeightViews& arrays, std::string_view prefix,
                 std::vector<TensorView>& tensors);

// Hands bytes on in pieces, so that the sink's buffer stays small; stops when
// the sink has failed.
void write_in_pieces(FileSink& sink, std::span<const std::byte> bytes);

}  // namespace aneroid::model
