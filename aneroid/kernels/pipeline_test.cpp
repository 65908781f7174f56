// The programs as programs: legal text, packed surfaces, limits and errors.
#include "aneroid/kernels/pipeline.h"

#include <limits>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "aneroid/kernels/sizes.h"
#include "aneroid/kernels/test_support.h"
#include "aneroid/mil/ir.h"
#include "aneroid/mil/text.h"
#include "aneroid/mil/verifier.h"

namespace aneroid::kernels {
namespace {

std::vector<const KernelProgram*> all(const DynamicPipeline& p) {
  return {&p.attn_fwd,       &p.ffn_fwd,        &p.ffn_bwd, &p.attn_bwd,
          &p.final_norm_fwd, &p.final_norm_bwd, &p.cls_fwd, &p.cls_bwd};
}

model::ModelConfig stories110m() {
  model::ModelConfig config = make_config(768, 2048, 12, 12, 64);
  config.vocab_size = 32000;
  return config;
}

struct Request {
  const char* name;
  model::ModelConfig config;
  int64_t sequence;
};

class Pipeline : public testing::TestWithParam<Request> {
 protected:
  void SetUp() override {
    auto made = dynamic_pipeline(GetParam().config, GetParam().sequence);
    ASSERT_TRUE(made) << to_string(made.error());
    pipeline_ = std::move(*made);
  }
  DynamicPipeline pipeline_;
};

TEST_P(Pipeline, TextParsesVerifiesAndRoundTrips) {
  for (const KernelProgram* kernel : all(pipeline_)) {
    SCOPED_TRACE(kernel->name);
    const auto program = mil::parse(kernel->mil_text, kernel->name);
    ASSERT_TRUE(program) << to_string(program.error());
    for (const Diagnostic& finding : mil::verify(*program, kernel->name)) {
      ADD_FAILURE() << to_string(finding);
    }
    EXPECT_EQ(mil::print(*program), kernel->mil_text);
  }
}

TEST_P(Pipeline, IsDeterministic) {
  const auto again = dynamic_pipeline(GetParam().config, GetParam().sequence);
  ASSERT_TRUE(again);
  const auto first = all(pipeline_);
  const auto second = all(*again);
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i]->mil_text, second[i]->mil_text);
    EXPECT_EQ(first[i]->weights, second[i]->weights);
  }
}

// Blocks lie side by side from multiples of 32 and fill the surface; one may
// lie over its neighbour if no program reads both.
TEST_P(Pipeline, SurfacesArePackedWithoutOverlap) {
  for (const KernelProgram* kernel : all(pipeline_)) {
    SCOPED_TRACE(kernel->name);
    int64_t column = 0;
    int64_t rows = 0;
    const InputBlock* previous = nullptr;
    for (const InputBlock& block : kernel->inputs) {
      if (previous != nullptr && block.column == previous->column) {
        EXPECT_EQ(block.columns, previous->columns) << block.name;
        EXPECT_FALSE(block.read && previous->read) << block.name;
      } else {
        EXPECT_EQ(block.column, column) << block.name;
        column += padded_columns(block.columns);
      }
      EXPECT_GT(block.columns, 0) << block.name;
      EXPECT_EQ(&kernel->input(block.name), &block);
      rows = std::max(rows, block.rows);
      previous = &block;
    }
    EXPECT_EQ(kernel->width, column);
    EXPECT_EQ(kernel->width % 32, 0);
    EXPECT_EQ(kernel->rows, rows);
    int64_t channel = 0;
    for (const OutputBlock& block : kernel->outputs) {
      EXPECT_EQ(block.channel, channel) << block.name;
      EXPECT_EQ(&kernel->output(block.name), &block);
      channel += block.channels;
    }
    EXPECT_EQ(kernel->channels, channel);
    EXPECT_EQ(kernel->columns, padded_columns(GetParam().sequence));
  }
}

// A forward program and its gradient find everything in the same place, and
// between them read all of it.
TEST_P(Pipeline, PartnersShareASurface) {
  std::map<std::string, const KernelProgram*> first;
  std::map<std::string, int> programs;
  for (const KernelProgram* kernel : all(pipeline_)) {
    SCOPED_TRACE(kernel->name);
    ++programs[kernel->surface];
    const KernelProgram* partner =
        first.try_emplace(kernel->surface, kernel).first->second;
    ASSERT_EQ(kernel->inputs.size(), partner->inputs.size());
    EXPECT_EQ(kernel->rows, partner->rows);
    EXPECT_EQ(kernel->width, partner->width);
    for (size_t i = 0; i < kernel->inputs.size(); ++i) {
      const InputBlock& a = kernel->inputs[i];
      const InputBlock& b = partner->inputs[i];
      EXPECT_EQ(a.name, b.name);
      EXPECT_EQ(a.rows, b.rows);
      EXPECT_EQ(a.column, b.column);
      EXPECT_EQ(a.columns, b.columns);
      if (kernel != partner) {
        EXPECT_TRUE(a.read || b.read) << a.name;
      }
    }
  }
  EXPECT_EQ(programs.size(), 4U);
  for (const auto& [surface, count] : programs) EXPECT_EQ(count, 2) << surface;
}

// What the raw path asks of a program, as far as the text shows it.
TEST_P(Pipeline, TextSuitsTheEngine) {
  const std::set<std::string> suspect = {"var", "diff", "mean", "std", "eps",
                                         "x",   "y",    "mul",  "add", "rsqrt",
                                         "c",   "C"};  // rule C006
  for (const KernelProgram* kernel : all(pipeline_)) {
    SCOPED_TRACE(kernel->name);
    const auto program = mil::parse(kernel->mil_text, kernel->name);
    ASSERT_TRUE(program);
    EXPECT_NE(kernel->mil_text.find("buildInfo"), std::string::npos);  // C001
    const mil::Function& function = *program->function();
    ASSERT_EQ(function.body.inputs.size(), 1U);  // C002, C013
    ASSERT_EQ(function.body.outputs.size(), 1U);
    EXPECT_FALSE(suspect.contains(function.body.inputs[0].var.name));
    EXPECT_EQ(
        function.body.inputs[0].var.type,
        mil::tensor(DataType::kFp16, {1, kernel->rows, 1, kernel->width}));
    std::set<std::string> files;
    int layers = 0;
    for (const mil::Operation& operation : function.body.operations) {
      const mil::Var& result = operation.outputs.at(0);
      EXPECT_FALSE(suspect.contains(result.name)) << result.name;
      EXPECT_LE(result.type.shape.size(), 5U) << result.name;  // C030
      for (const int64_t dim : result.type.shape) {
        EXPECT_LE(dim, kMaxDimension) << result.name;  // C031
      }
      if (operation.op == "const") {
        const auto* blob =
            std::get_if<mil::BlobRef>(&operation.attribute("val")->data);
        if (blob != nullptr) {
          EXPECT_EQ(blob->offset, 64U);  // C010
          files.insert(blob->path);
        }
        continue;
      }
      ++layers;
      for (const auto& [name, argument] : operation.inputs) {
        EXPECT_FALSE(std::holds_alternative<mil::Value>(argument.bound))
            << operation.op << " " << name << " is an inline literal";  // C003
      }
      // Each is refused or wrong on some chip: C052, C053, C058, C112, N12.
      for (const char* op :
           {"rsqrt", "sqrt", "reduce_mean", "tile", "silu", "real_div"}) {
        EXPECT_NE(operation.op, op);
      }
      EXPECT_NE(result.type.dtype, DataType::kFp32) << result.name;
    }
    EXPECT_LT(layers, 200);  // C092
    std::set<std::string> given;
    for (const auto& [path, bytes] : kernel->weights) given.insert(path);
    EXPECT_EQ(files, given);
    // The last op of a program must do something (C005).
    EXPECT_NE(function.body.operations.back().op, "const");
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Pipeline,
    testing::Values(Request{"stories110m", stories110m(), 256},
                    Request{"stories260k", make_config(64, 172, 8, 4, 8), 40},
                    Request{"gqa4", make_config(64, 96, 8, 2, 8), 7},
                    Request{"odd", make_config(44, 50, 3, 1, 6), 33}),
    [](const auto& request) { return std::string(request.param.name); });

TEST(PipelineLayout, BlocksAreAsDocumented) {
  const auto p = dynamic_pipeline(stories110m(), 256);
  ASSERT_TRUE(p);
  EXPECT_EQ(p->attn_fwd.rows, 768);
  EXPECT_EQ(p->attn_fwd.width, 5 * 256 + 32 + 4 * 768);
  EXPECT_EQ(p->attn_fwd.channels, 6 * 768);
  EXPECT_EQ(p->attn_fwd.input("wk").column, 5 * 256 + 32 + 768);
  EXPECT_EQ(p->attn_fwd.output("q").channel, 2 * 768);
  EXPECT_EQ(p->ffn_fwd.channels, 2 * 768 + 3 * 2048);
  EXPECT_EQ(p->ffn_bwd.rows, 2048);
  EXPECT_EQ(p->ffn_bwd.width, 4 * 256 + 32 + 3 * 768);
  EXPECT_EQ(p->final_norm_bwd.width, 2 * 256 + 32);
  EXPECT_EQ(p->cls_fwd.channels, 8000);
  EXPECT_EQ(p->cls_bwd.rows, 8000);
  EXPECT_EQ(p->cls_bwd.width, 256 + 768);
  EXPECT_EQ(p->tiles.count, 4);
}

TEST(PipelineLayout, UnevenBlocksStartAtMultiplesOf32) {
  const auto kernel = ffn_forward(make_config(64, 172, 8, 4, 8), 40);
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->input("x2").rows, 64);
  EXPECT_EQ(kernel->input("h1").rows, 172);
  EXPECT_EQ(kernel->input("w3").column, 4 * 64 + 32 + 64);
  EXPECT_EQ(kernel->columns, 64);
}

TEST(PipelineDeathTest, UnknownBlocksAreBugs) {
  const auto kernel = final_norm_forward(make_config(64, 64, 2, 2, 16), 32);
  ASSERT_TRUE(kernel);
  EXPECT_DEATH(static_cast<void>(kernel->input("wq")), "");
  EXPECT_DEATH(static_cast<void>(kernel->output("wq")), "");
}

TEST(PaddedColumns, AreTheNextMultipleOf32) {
  EXPECT_EQ(padded_columns(1), 32);
  EXPECT_EQ(padded_columns(32), 32);
  EXPECT_EQ(padded_columns(33), 64);
}

TEST(VocabularyTilesTest, KnownSizes) {
  const struct {
    int64_t vocab, count, size;
  } rows[] = {{1, 1, 32},      {512, 1, 512},    {8192, 1, 8192},
              {8193, 2, 4128}, {32000, 4, 8000}, {151936, 19, 8000},
              {0, 0, 0},       {-5, 0, 0}};
  for (const auto& row : rows) {
    const VocabularyTiles tiles = vocabulary_tiles(row.vocab);
    EXPECT_EQ(tiles.count, row.count) << row.vocab;
    EXPECT_EQ(tiles.size, row.size) << row.vocab;
  }
}

TEST(VocabularyTilesTest, CoverTheVocabularyWithoutAnEmptyTile) {
  for (int64_t vocab = 1; vocab < 2'000'000; vocab += 977) {
    const VocabularyTiles tiles = vocabulary_tiles(vocab);
    EXPECT_GE(tiles.count * tiles.size, vocab);
    EXPECT_LT((tiles.count - 1) * tiles.size, vocab);
    EXPECT_LE(tiles.size, 8192);
    EXPECT_EQ(tiles.size % 32, 0);
  }
}

// --- Errors -----------------------------------------------------------------

void expect_error(const model::ModelConfig& config, int64_t sequence,
                  const std::string& label, const std::string& text) {
  const auto result = dynamic_pipeline(config, sequence);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().label, label);
  EXPECT_EQ(result.error().kind, ErrorKind::kInput);
  EXPECT_NE(result.error().message.find(text), std::string::npos)
      << to_string(result.error());
}

TEST(Errors, SequenceOutOfRange) {
  const model::ModelConfig config = make_config(64, 96, 4, 4, 16);
  expect_error(config, 0, "kernel", "sequence length 0 is outside 1..512");
  expect_error(config, -3, "kernel", "sequence length -3");
  expect_error(config, 513, "kernel", "the model has 512 positions");
  constexpr auto kHuge = std::numeric_limits<int64_t>::max();
  expect_error(config, kHuge, "kernel", "outside 1..512");
  expect_error(config, std::numeric_limits<int64_t>::min(), "kernel",
               "outside");
  model::ModelConfig long_context = config;
  long_context.max_position_embeddings = 131072;
  expect_error(long_context, 4097, "kernel", "a kernel at most 4096");
}

TEST(Errors, EpsilonThatHalfPrecisionCannotHold) {
  model::ModelConfig config = make_config(64, 96, 4, 4, 16);
  config.rms_norm_eps = 1e-9;
  expect_error(config, 32, "kernel", "rms_norm_eps 1e-09 rounds to zero");
  config.rms_norm_eps = 1e-7;
  EXPECT_TRUE(dynamic_pipeline(config, 32));
}

TEST(Errors, SumsOverTooManyTerms) {
  expect_error(make_config(32784, 96, 4, 4, 16), 32, "kernel",
               "hidden_size is 32784");
  expect_error(make_config(64, 40000, 4, 4, 16), 32, "kernel",
               "intermediate_size is 40000");
  expect_error(make_config(64, 96, 1000, 1, 64), 32, "kernel",
               "num_attention_heads * head_dim is 64000");
  expect_error(make_config(64, 96, 128, 1, 2), 512, "kernel",
               "group size * padded sequence is 65536");
}

TEST(Errors, SurfacesTooLarge) {
  expect_error(make_config(22000, 64, 4, 4, 16), 32, "kernel",
               "input width would be");
  expect_error(make_config(64, 96, 1000, 1000, 20), 32, "kernel",
               "output channels would be 80128");
}

TEST(Errors, BadConfigsAreTheConfigsErrors) {
  model::ModelConfig config = make_config(64, 96, 4, 3, 16);
  expect_error(config, 32, "config", "num_attention_heads");
}

}  // namespace
}  // namespace aneroid::kernels
