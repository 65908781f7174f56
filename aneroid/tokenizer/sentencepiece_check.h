// Inside the folder: a look at a SentencePiece model before the library has it.
//
// The library checks nearly everything it reads, but follows the offsets of
// the character map (a double-array trie used to normalise text) blindly: a
// damaged map makes it read anywhere. This finds every character map of the
// file and follows all its offsets first.
#pragma once

#include <string>
#include <string_view>

namespace aneroid::tokenizer {

// What is wrong with the character maps of a serialised model, or nothing.
// Other damage is left for the library to report.
std::string find_character_map_damage(std::string_view model);

}  // namespace aneroid::tokenizer
