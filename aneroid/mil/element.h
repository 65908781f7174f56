// One element of a tensor constant: its bytes, its number, its text.
//
// Private to this folder. Numeric types and bool only; elements take
// bytes(dtype) each, little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "aneroid/base/dtype.h"
#include "aneroid/mil/ir.h"

namespace aneroid::mil {

double element_as_double(DataType dtype, const std::byte* element);
// Floats truncate towards zero; NaN gives 0 and what is beyond int64_t
// saturates.
int64_t element_as_int(DataType dtype, const std::byte* element);

// Appends `value`, rounded to nearest even for floats and modulo 2^bits for
// integers.
void append_double(DataType dtype, double value, Value::Bytes& out);
void append_int(DataType dtype, int64_t value, Value::Bytes& out);

enum class NumberError { kMalformed, kOutOfRange };

// Appends the number spelt by `text`: decimal or C99 hex, an optional sign,
// inf/infinity/nan in any case for floats. Floats are rounded once, from the
// exact value of the text, to nearest even; a finite text that would become
// infinite is out of range. Independent of the locale.
std::optional<NumberError> append_number(DataType dtype, std::string_view text,
                                         Value::Bytes& out);

// How a float is spelt: 0x1.8p+1, or 3 with as many digits as it needs.
enum class FloatStyle { kHex, kDecimal };

// Appends the text of an element; append_number gives the same bits back,
// except that every NaN becomes the quiet one.
void print_element(DataType dtype, const std::byte* element, FloatStyle style,
                   std::string& out);

}  // namespace aneroid::mil
