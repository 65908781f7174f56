#include "apps/aneroid/stories.h"

#include <iterator>

#include "aneroid/data/documents.h"
#include "apps/aneroid/embedded_stories.h"

namespace aneroid::cli {

std::vector<std::string> built_in_stories() {
  std::vector<std::string> stories;
  for (const EmbeddedFile& file : embedded_stories()) {
    // Cannot fail on the text that the build put in; the tests read it all.
    auto part = data::split_documents(file.content, file.name).value();
    std::move(part.begin(), part.end(), std::back_inserter(stories));
  }
  return stories;
}

}  // namespace aneroid::cli
