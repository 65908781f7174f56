#include <algorithm>
#include <chrono>
#include <set>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/tokenizer/bpe_model.h"
#include "aneroid/tokenizer/llama2c.h"
#include "aneroid/tokenizer/test_support.h"

namespace aneroid::tokenizer {
namespace {

using Ids = std::vector<int32_t>;

std::string random_text(Random& random, size_t characters) {
  static const char* const kCharacters[] = {"a",
                                            "b",
                                            "e",
                                            "t",
                                            " ",
                                            "'",
                                            ".",
                                            "7",
                                            "\n",
                                            "\xC3\xA9",
                                            "<",
                                            "\t",
                                            "\xE2\x80\x99",
                                            "\xE6\x97\xA5",
                                            "\xF0\x9F\x98\x80"};
  std::string text;
  while (characters-- > 0) {
    text += kCharacters[random.below(std::size(kCharacters))];
  }
  return text;
}

TEST(TrainBpe, LearnsTheCommonestPairFirst) {
  const std::vector<std::string> texts = {"hug pug hug hugs bun pun hug"};
  const BpeModel model = train_bpe(texts, 280).value();
  ASSERT_GE(model.merges.size(), 3);
  // "ug" 5 times; then " h" 4, " hug" 4.
  EXPECT_EQ(model.merges[0], "ug");
  EXPECT_EQ(model.merges[1], " h");
  EXPECT_EQ(model.merges[2], " hug");
  EXPECT_EQ(model.characters[0], " ");
  const auto tokenizer = make_tokenizer(model).value();
  EXPECT_EQ(tokenizer->encode("hug", true, false).value(),
            (Ids{1, BpeModel::kReserved + 2}));
}

TEST(TrainBpe, MergesStayInsideWords) {
  const std::vector<std::string> texts(
      50, "It's 1234 o'clock, \"said\" he.\n\nHe didn't go!\n");
  const BpeModel model = train_bpe(texts, 400).value();
  for (const std::string& piece : model.merges) {
    const std::string inner = piece.substr(piece.find_first_not_of(' '));
    EXPECT_EQ(inner.find(' '), std::string::npos) << piece;
    const bool letters = std::ranges::any_of(
        inner, [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; });
    const bool others = std::ranges::any_of(
        inner, [](char c) { return std::strchr("0123456789,\".!\n", c); });
    EXPECT_FALSE(letters && others) << piece;
  }
  const std::set<std::string> merges(model.merges.begin(), model.merges.end());
  EXPECT_TRUE(merges.contains("'t"));
  EXPECT_TRUE(merges.contains(" didn"));
  EXPECT_TRUE(merges.contains("\n\n"));
  EXPECT_FALSE(merges.contains("12"));
}

TEST(TrainBpe, EveryTextComesBack) {
  Random random(3);
  for (int round = 0; round < 20; ++round) {
    const std::vector<std::string> texts = {random_text(random, 400), "",
                                            random_text(random, 400)};
    BpeTrainOptions options;
    options.character_coverage = random.uniform();
    const BpeModel model =
        train_bpe(texts, 262 + static_cast<int32_t>(random.below(100)), options)
            .value();
    const auto tokenizer = make_tokenizer(model).value();
    for (const std::string& text :
         {texts[0], random_text(random, 200), std::string("\0 \0", 3),
          std::string("\xEF\xBF\xBD\xE2\x96\x81 x"), std::string(" ")}) {
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, true, true).value()),
                text);
    }
  }
}

TEST(TrainBpe, TheSameTextGivesTheSameModel) {
  Random random(5);
  const std::vector<std::string> texts = {random_text(random, 3000)};
  const BpeModel one = train_bpe(texts, 400).value();
  const BpeModel two = train_bpe(texts, 400).value();
  EXPECT_EQ(one.merges, two.merges);
  EXPECT_EQ(one.characters, two.characters);
}

TEST(TrainBpe, StopsWhenTheTextRunsOut) {
  const std::vector<std::string> texts = {"ab ab"};
  const BpeModel model = train_bpe(texts, 32000).value();
  EXPECT_EQ(model.merges, (std::vector<std::string>{" a", " ab"}));
  EXPECT_EQ(model.vocab_size(), BpeModel::kReserved + 2 + 3);
}

TEST(TrainBpe, NoMoreCharactersThanThereIsRoom) {
  const std::vector<std::string> texts = {"abcdef aaa bb"};
  const BpeModel model = train_bpe(texts, BpeModel::kReserved + 2).value();
  EXPECT_EQ(model.characters, (std::vector<std::string>{" ", "a"}));
  EXPECT_TRUE(model.merges.empty());
}

TEST(TrainBpe, AHugeWordDoesNotTakeForever) {
  const std::vector<std::string> texts = {std::string(1 << 20, 'a')};
  const BpeModel model = train_bpe(texts, 400).value();
  for (const std::string& piece : model.merges) EXPECT_LE(piece.size(), 256);
}

TEST(TrainBpe, RefusesWhatItCannotLearnFrom) {
  const std::vector<std::string> good = {"text"};
  const auto message = [](const Result<BpeModel>& result) {
    return result ? "trains" : to_string(result.error());
  };
  EXPECT_NE(message(train_bpe(good, 259)).find("260 to 1048576"),
            std::string::npos);
  EXPECT_FALSE(train_bpe(good, 1 << 21));
  EXPECT_FALSE(train_bpe(good, -1));
  const std::vector<std::string> empty = {"", ""};
  EXPECT_NE(message(train_bpe(empty, 300)).find("2 documents without any text"),
            std::string::npos);
  EXPECT_FALSE(train_bpe({}, 300));
  const std::vector<std::string> bad = {"fine", "no\xFFt"};
  EXPECT_NE(message(train_bpe(bad, 300))
                .find("document 1: error [tokenizer]: is not UTF-8: byte 0xFF "
                      "at offset 2"),
            std::string::npos);
  BpeTrainOptions options;
  options.character_coverage = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(train_bpe(good, 300, options));
  options = {};
  options.min_pair_count = 0;
  EXPECT_FALSE(train_bpe(good, 300, options));
}

using TrainBpeFile = TemporaryFolderTest;

TEST_F(TrainBpeFile, StoriesAreShortAndQuickToLearn) {
  if (!have_shared_data()) GTEST_SKIP() << "skipped: no shared data";
  const std::string text = shared_file("stories/tinystories-v1-train-head.txt");
  struct Case {
    size_t bytes;
    int32_t vocab_size;
    double seconds;
    double bytes_per_token;  // at least
  };
  for (const Case& c :
       {Case{150000, 1024, 20, 2.8}, Case{text.size(), 4096, 100, 3.8}}) {
    const std::vector<std::string> texts = {text.substr(0, c.bytes)};
    const auto start = std::chrono::steady_clock::now();
    const BpeModel model = train_bpe(texts, c.vocab_size).value();
    const std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - start;
    EXPECT_EQ(model.vocab_size(), c.vocab_size);
    EXPECT_LT(seconds.count(), c.seconds);  // sanitizers and all
    const auto tokenizer = make_tokenizer(model).value();
    const Ids ids = tokenizer->encode(text, true, false).value();
    EXPECT_TRUE(tokenizer->decode(ids) == text);
    const double rate =
        static_cast<double>(text.size()) / static_cast<double>(ids.size());
    EXPECT_GT(rate, c.bytes_per_token);
    RecordProperty("seconds_" + std::to_string(c.vocab_size),
                   std::to_string(seconds.count()));
    RecordProperty("bytes_per_token_" + std::to_string(c.vocab_size),
                   std::to_string(rate));

    ASSERT_TRUE(save_bpe(model, folder_ / "tokenizer.json"));
    ASSERT_TRUE(save_llama2c(*tokenizer, folder_ / "tokenizer.bin"));
    for (const char* name : {"tokenizer.json", "tokenizer.bin"}) {
      const auto loaded = load_tokenizer(folder_ / name).value();
      EXPECT_TRUE(loaded->encode(text, true, false).value() == ids) << name;
    }
  }
}

}  // namespace
}  // namespace aneroid::tokenizer
