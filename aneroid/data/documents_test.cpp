#include "aneroid/data/documents.h"

#include <gtest/gtest.h>

#include "aneroid/base/file.h"
#include "aneroid/data/test_support.h"

namespace aneroid::data {
namespace {

using Documents = std::vector<std::string>;

TEST(SplitDocuments, AtEachSeparator) {
  EXPECT_EQ(
      split_documents("One.\n\nStill one.\n<|endoftext|>\nTwo.\n", "t").value(),
      (Documents{"One.\n\nStill one.", "Two."}));
  EXPECT_EQ(split_documents("<|endoftext|>a<|endoftext|> \r\n\t<|endoftext|>"
                            "<|endoftext|>b<|endoftext|>",
                            "t")
                .value(),
            (Documents{"a", "b"}));
}

TEST(SplitDocuments, ATextWithoutSeparatorStaysAsItIs) {
  const std::string text = "  Once.\n\n\nTwice. <|endoftex|> \n";
  EXPECT_EQ(split_documents(text, "t").value(), Documents{text});
}

TEST(SplitDocuments, RefusesNoTextAndNoUtf8) {
  for (const char* text : {"", " \n\t\r\n", "<|endoftext|>\n<|endoftext|>"}) {
    const auto refused = split_documents(text, "stories.txt");
    ASSERT_FALSE(refused);
    EXPECT_EQ(to_string(refused.error()),
              "stories.txt: error [text]: holds no text; a document of some "
              "words is needed");
  }
  const auto refused = split_documents("ab\x80", "stories.txt");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("byte 0x80 at offset 2"),
            std::string::npos);
}

TEST(SplitDocuments, TheStorySamples) {
  const auto folder = shared_data() / "stories";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << "skipped: no shared data";
  }
  const std::string five =
      read_file(folder / "tinystories-sample-endoftext.txt").value();
  EXPECT_EQ(split_documents(five, "five").value().size(), 5);
  const std::string head =
      read_file(folder / "tinystories-v1-train-head.txt").value();
  EXPECT_TRUE(split_documents(head, "head").value() == Documents{head});
}

}  // namespace
}  // namespace aneroid::data
