// The 320 stories inside the program, so that training needs no download.
#pragma once

#include <string>
#include <vector>

namespace aneroid::cli {

// One string a story, without the separators of the files.
std::vector<std::string> built_in_stories();

}  // namespace aneroid::cli
