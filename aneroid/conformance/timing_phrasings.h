// What the readers of program descriptions share. Private to this folder.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/conformance/timing_rows.h"
#include "aneroid/conformance/timing_text.h"

namespace aneroid::conformance {

using Sizes = std::vector<int64_t>;
using Programs = Result<std::vector<DescribedProgram>>;

inline constexpr int64_t kMaxDepth = 4096;

tl::unexpected<Diagnostic> unread(const TimingRow& row, std::string reason);

// The numbers of the first pattern that occurs; see timing_text.h.
std::optional<Sizes> first_of(std::string_view text,
                              std::span<const std::string_view> patterns);
bool any_word(std::string_view text, std::span<const std::string_view> words);

// a x b, but at most 1e12: far from overflow, far above any chip.
int64_t times(int64_t a, int64_t b);
double product_of(const Sizes& sizes);
// Of fp16 elements.
double bytes_of(double elements);

// How weights and activations are stored, from the column `dtype`. e5rt
// expands 8-bit weights when it compiles.
void read_dtype(const TimingRow& row, target::Work& work);
// Layers of a chain, 1 when it is none.
int64_t read_depth(const TimingRow& row);
// 0 when not said.
int read_engines(const TimingRow& row);
DescribedProgram repeated(const std::vector<target::Work>& task, int64_t depth);

// timing_read_array.cpp
Programs read_conv(const TimingRow& row);
Programs read_matmul(const TimingRow& row);
Programs read_mlp_pairs(const TimingRow& row);
Programs read_known_mlp(const TimingRow& row);
// A product [rows, depth] x [depth, columns].
target::Work matrix_product(int64_t rows, int64_t depth, int64_t columns);

// timing_read_elementwise.cpp
Programs read_attention(const TimingRow& row);
Programs read_elementwise(const TimingRow& row);
Programs read_sum_then_convs(const TimingRow& row);
Programs read_matvec_by_hand(const TimingRow& row);

}  // namespace aneroid::conformance
