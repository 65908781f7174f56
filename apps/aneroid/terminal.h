// What the user's terminal can do.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace aneroid::cli {

bool is_terminal(std::FILE* stream);

// Columns: of the terminal, else $COLUMNS, else 80; at least 40.
size_t terminal_width(std::FILE* stream);

// A terminal, $TERM is not "dumb" and $NO_COLOR is unset or empty
// (no-color.org).
bool has_colours(std::FILE* stream);

enum class Style { kBold, kDim, kRed, kGreen, kYellow, kCyan };
// The text in the style when the stream has colours, else the text alone.
std::string styled(std::FILE* stream, Style style, std::string_view text);

}  // namespace aneroid::cli
