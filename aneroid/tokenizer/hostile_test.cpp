// Damaged and hostile tokenizer files: each is refused with a reason, none
// crashes.
#include <cmath>

#include <gtest/gtest.h>
#include <sentencepiece_trainer.h>

#include "aneroid/base/random.h"
#include "aneroid/tokenizer/bpe_model.h"
#include "aneroid/tokenizer/formats.h"
#include "aneroid/tokenizer/llama2c.h"
#include "aneroid/tokenizer/sentencepiece_check.h"
#include "aneroid/tokenizer/test_support.h"

namespace aneroid::tokenizer {
namespace {

template <typename T>
void put(std::string& bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

class Hostile : public TemporaryFolderTest {
 protected:
  void SetUp() override {
    TemporaryFolderTest::SetUp();
    model_.merges = {"he", " t", " the"};
    model_.characters = {" ", "e", "h", "t", "\xC3\xA9"};
    EXPECT_TRUE(save_bpe(model_, folder_ / "good.json"));
    json_ = read_file(folder_ / "good.json").value();
    EXPECT_TRUE(
        save_llama2c(*make_tokenizer(model_).value(), folder_ / "good.bin"));
    bin_ = read_file(folder_ / "good.bin").value();
  }

  void expect_refusal(const std::string& bytes, const std::string& why) const {
    const std::string message = refusal(bytes);
    EXPECT_NE(message.find(why), std::string::npos) << message;
  }

  // Loads files with a few bytes changed, cut or doubled; what loads must
  // encode and decode.
  // In memory: thousands of files take long.
  static void mutate(decltype(parse_llama2c) parse, const std::string& good,
                     int rounds, uint64_t seed) {
    Random random(seed);
    int loaded_count = 0;
    for (int round = 0; round < rounds; ++round) {
      std::string bytes = good;
      for (uint64_t n = 1 + random.below(4); n > 0 && !bytes.empty(); --n) {
        const size_t at = random.below(bytes.size());
        switch (random.below(5)) {
          case 0:
            bytes[at] = static_cast<char>(random.next());
            break;
          case 1:
            bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
            break;
          case 2:
            bytes.erase(at, 1 + random.below(8));
            break;
          case 3:
            bytes.insert(at, bytes.substr(random.below(bytes.size()), 9));
            break;
          default:
            if (random.below(8) == 0) bytes.resize(at);
        }
      }
      const auto loaded = parse(bytes, "mutant");
      if (!loaded) {
        EXPECT_EQ(loaded.error().label, "tokenizer");
        EXPECT_FALSE(loaded.error().message.empty());
        continue;
      }
      ++loaded_count;
      const auto ids = (*loaded)->encode("the h\xC3\xA9 <s>\n", false, false);
      EXPECT_TRUE(!ids || is_utf8((*loaded)->decode(*ids)));
    }
    EXPECT_GT(loaded_count, 0);
    EXPECT_LT(loaded_count, rounds);
  }

  // A small model with the character map that SentencePiece makes by default.
  std::string trained_model(const std::string& options) const {
    std::string text;
    for (int i = 0; i < 50; ++i) text += "the theory of the thing I think\n";
    std::string model;
    const auto status = sentencepiece::SentencePieceTrainer::Train(
        "--model_prefix= --vocab_size=290 --model_type=bpe "
        "--byte_fallback=true --minloglevel=2 --input=" +
            write("text", text).string() + " " + options,
        nullptr, &model);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return model;
  }

  BpeModel model_;
  std::string json_;
  std::string bin_;
};

TEST_F(Hostile, FilesOfNoKnownKind) {
  expect_refusal("", "is empty");
  expect_refusal("hello", "is no tokenizer known here");
  EXPECT_EQ(load_tokenizer(folder_ / "absent").error().label, "file");
  EXPECT_EQ(load_tokenizer(folder_).error().label, "file");
}

TEST_F(Hostile, Llama2c) {
  const size_t first = 4;  // the first piece: score, length, "<unk>"
  std::string bytes = bin_;
  put<int32_t>(bytes, 0, 0);
  expect_refusal(bytes, "states a longest piece of 0 bytes");
  put<int32_t>(bytes, 0, 60000);
  expect_refusal(bytes, "states a longest piece of 60000 bytes");
  for (const int32_t length : {-1, 0, 1 << 30}) {
    bytes = bin_;
    put<int32_t>(bytes, first + 4, length);
    expect_refusal(bytes, "piece 0 at byte 4 has " + std::to_string(length));
  }
  bytes = bin_;
  put<float>(bytes, first, std::nanf(""));
  expect_refusal(bytes, "a score that is no number");
  bytes = bin_;
  bytes[first + 8] = '\xFF';
  expect_refusal(bytes, "piece 0 at byte 4 is not UTF-8");
  bytes = bin_;
  bytes[bytes.find("<0x41>") + 4] = '2';
  expect_refusal(bytes, "must be the byte piece <0x41>");
  expect_refusal(bin_.substr(0, bin_.size() - 1), "is cut off");
  expect_refusal(bin_ + "abc", "is cut off");
  expect_refusal(bin_.substr(0, first + 8 + 5), "has 1 pieces");
}

TEST_F(Hostile, Llama2cWithTooManyPieces) {
  std::string bytes = bin_;
  std::string piece(9, 'x');
  put<float>(piece, 0, -1);
  put<int32_t>(piece, 4, 1);
  while (bytes.size() < kMostPieces * piece.size()) bytes += piece;
  bytes.resize(bin_.size());
  for (size_t i = 0; i < kMostPieces; ++i) bytes += piece;
  expect_refusal(bytes, "is more than the 1048576 pieces read");
}

TEST_F(Hostile, AneroidBpe) {
  expect_refusal("{", "is not JSON");
  expect_refusal("{}", "is JSON but no tokenizer");
  expect_refusal(R"({"model": {"type": "BPE"}})", "Hugging Face");
  const auto with = [](const std::string& merges, const std::string& characters,
                       const std::string& version = "1") {
    return R"({"format": "aneroid-bpe", "version": )" + version +
           R"(, "merges": )" + merges + R"(, "characters": )" + characters +
           "}";
  };
  expect_refusal(with("[]", "[]", "2"), "has version 2");
  expect_refusal(with("[]", "[]", "[1]"), "has version [1]");
  expect_refusal(with("{}", "[]"), "no list \"merges\"");
  expect_refusal(with("[]", "7"), "no list \"characters\"");
  expect_refusal(with("[1]", "[]"), "merges[0] is number, not text");
  expect_refusal(with("[]", R"(["a", ""])"), "characters[1] has 0 bytes");
  expect_refusal(with("[]", R"(["a", "a"])"), "characters[1] repeats");
  expect_refusal(with("[]", R"(["ab"])"), "more than one character");
  expect_refusal(with(R"(["ab"])", R"(["a"])"), "merges[0] has \"b\"");
  expect_refusal(with(R"(["a"])", R"(["a"])"), "merges[0] repeats");
  expect_refusal(with("[\"" + std::string(257, 'a') + "\"]", R"(["a"])"),
                 "merges[0] has 257 bytes");
  const std::string deep = std::string(1 << 20, '[');
  expect_refusal(R"({"version":)" + deep, "is not JSON");
  expect_refusal(R"({"version":)" + deep + std::string(deep.size(), ']') + "}",
                 "nests deeper than 64");
}

TEST_F(Hostile, ModelsThatCannotBeSaved) {
  BpeModel model = model_;
  model.merges.emplace_back("\xFF");
  EXPECT_FALSE(make_tokenizer(model));
  EXPECT_FALSE(save_bpe(model, folder_ / "new.json"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "new.json"));
  model = model_;
  model.merges.resize(kMostPieces);
  EXPECT_NE(make_tokenizer(model).error().message.find("at most 1048576"),
            std::string::npos);
  EXPECT_EQ(save_bpe(model_, folder_ / "no" / "such").error().label, "file");
}

TEST_F(Hostile, MutatedFiles) {
  mutate(parse_llama2c, bin_, 4000, 1);
  mutate(parse_aneroid_bpe, json_, 4000, 2);
}

TEST_F(Hostile, SentencePiece) {
  const std::string good = trained_model("");
  EXPECT_EQ(find_character_map_damage(good), "");
  const auto loaded = load_tokenizer(write("good.model", good));
  ASSERT_TRUE(loaded) << to_string(loaded.error());
  // Full-width letters normalise, so the map is in use.
  EXPECT_EQ((*loaded)->encode("\xEF\xBD\x94he", false, false).value(),
            (*loaded)->encode("the", false, false).value());

  expect_refusal(good.substr(0, good.size() / 2), "cut off");
  expect_refusal("\n\x05", "cannot be found");
  expect_refusal(std::string("\n\x02\x0A\x00", 4), "does not load");
}

TEST_F(Hostile, SentencePieceWithoutBos) {
  const std::string bytes = trained_model("--bos_id=-1 --eos_id=1");
  const auto tokenizer = load_tokenizer(write("model", bytes)).value();
  EXPECT_EQ(tokenizer->bos_id(), -1);
  EXPECT_EQ(tokenizer->eos_id(), 1);
  EXPECT_TRUE(tokenizer->encode("the", false, true));
  const auto refused = tokenizer->encode("the", true, false);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("has no BOS token"),
            std::string::npos);
  const Status saved = save_llama2c(*tokenizer, folder_ / "tokenizer.bin");
  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().message.find("another layout"), std::string::npos);
}

TEST_F(Hostile, SentencePieceWithADamagedCharacterMap) {
  const std::string good = trained_model("");
  const size_t name = good.find("nmt_nfkc");
  ASSERT_NE(name, std::string::npos);
  const size_t map = name + 8;
  Random random(4);
  int refused = 0;
  for (int round = 0; round < 200; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 20; ++i) {
      bytes[map + random.below(round % 2 == 0 ? 3000 : 200000)] =
          static_cast<char>(random.next());
    }
    const auto loaded = parse_sentencepiece(bytes, "mutant");
    if (!loaded) {
      ++refused;
      continue;
    }
    std::string text;
    for (uint32_t c = 0x20; c < 0x800; c += 3) {
      if (c < 0x80) {
        text += static_cast<char>(c);
      } else {
        text += static_cast<char>(0xC0 | c >> 6);
        text += static_cast<char>(0x80 | (c & 0x3F));
      }
    }
    if (const auto ids = (*loaded)->encode(text, false, false)) {
      (*loaded)->decode(*ids);
    }
  }
  EXPECT_GT(refused, 50);
}

}  // namespace
}  // namespace aneroid::tokenizer
