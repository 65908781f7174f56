// The attention programs of both pipelines, computed whole and without what
// their causal mask makes zero: the same bits.
#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/base/random.h"
#include "aneroid/blob/blob.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/emulator/emulator.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/kernels/static_pipeline.h"
#include "aneroid/model/config.h"

namespace aneroid {
namespace {

using Files = std::map<std::string, std::vector<std::byte>>;

model::ModelConfig config_of(int64_t heads, int64_t kv_heads) {
  model::ModelConfig config;
  config.name = "masked";
  config.head_dim = 16;
  config.hidden_size = heads * config.head_dim;
  config.intermediate_size = 64;
  config.num_hidden_layers = 1;
  config.num_attention_heads = heads;
  config.num_key_value_heads = kv_heads;
  config.vocab_size = 50;
  config.max_position_embeddings = 512;
  return config;
}

std::vector<Half> normals(int64_t count, uint64_t seed, double deviation) {
  Random random(seed);
  std::vector<Half> values(static_cast<size_t>(count));
  for (Half& value : values) value = to_half_away(deviation * random.normal());
  return values;
}

// Inputs of all magnitudes, so that scores are tiny, ordinary, and too large.
void expect_same(const std::string& name, const std::string& text,
                 const Files& files, int expected_claims) {
  SCOPED_TRACE(name);
  cpu::ThreadPool pool(2);
  const device::WeightMap weights(files.begin(), files.end());
  std::map<double, std::vector<std::byte>> results;
  for (const bool leave_out : {true, false}) {
    emulator::EmulatorOptions options;
    options.leave_out_masked = leave_out;
    options.pool = &pool;
    auto device = emulator::make_emulator(options).value();
    auto executable = device->compile({name, text, weights});
    ASSERT_TRUE(executable) << to_string(executable.error());
    const emulator::Plan& plan = *emulator::plan_of(**executable);
    EXPECT_EQ(plan.claims, leave_out ? expected_claims : 0);
    const device::Signature& signature = (*executable)->signature();
    ASSERT_EQ(signature.inputs.size(), 1U);
    ASSERT_EQ(signature.outputs.size(), 1U);
    const int64_t elements = *element_count(signature.inputs[0].shape);
    auto in = device->allocate(DataType::kFp16, elements).value();
    auto out = device
                   ->allocate(DataType::kFp16,
                              *element_count(signature.outputs[0].shape))
                   .value();
    device::Surface* ins[] = {in.get()};
    device::Surface* outs[] = {out.get()};
    for (const double deviation : {0.02, 0.3, 1.0, 5.0, 300.0}) {
      const auto values = normals(elements, 5, deviation);
      std::ranges::copy(std::as_bytes(std::span(values)), in->bytes().begin());
      const auto status = (*executable)->run(ins, outs);
      ASSERT_TRUE(status) << to_string(status.error());
      std::vector<std::byte> bytes(out->bytes().begin(), out->bytes().end());
      if (leave_out) {
        results[deviation] = std::move(bytes);
      } else {
        EXPECT_EQ(results[deviation], bytes) << "deviation " << deviation;
      }
    }
  }
}

TEST(MaskedTest, DynamicPipeline) {
  for (const int64_t sequence : {30, 96, 256}) {
    for (const int64_t kv_heads : {1, 2, 4}) {
      const model::ModelConfig config = config_of(4, kv_heads);
      const auto forward = kernels::attention_forward(config, sequence).value();
      expect_same(forward.name, forward.mil_text, forward.weights, 1);
      const auto backward =
          kernels::attention_backward(config, sequence).value();
      expect_same(backward.name, backward.mil_text, backward.weights, 2);
    }
  }
}

TEST(MaskedTest, StaticPipeline) {
  const model::ModelConfig config = config_of(4, 4);  // every matrix is square
  const int64_t size = config.hidden_size;
  for (const int64_t sequence : {64, 256}) {
    const kernels::StaticLayer layer =
        kernels::static_layer(config, sequence).value();
    const auto check = [&](const kernels::StaticProgram& program, int claims) {
      Files files = program.tables;
      for (const kernels::BakedWeight& weight : program.baked) {
        const bool gain = weight.role.find("norm") != std::string::npos;
        const auto values = normals(gain ? size : size * size, 9, 0.125);
        blob::Writer writer;
        ASSERT_TRUE(
            writer.append(DataType::kFp16, std::as_bytes(std::span(values))));
        files[weight.path] = writer.finish();
      }
      expect_same(program.name, program.mil_text, files, claims);
    };
    check(layer.fwd_attn, 1);
    check(layer.sdpa_bwd1, 1);  // P and dP leave it whole
    check(layer.sdpa_bwd2, 0);  // nothing says that P is triangular
  }
}

}  // namespace
}  // namespace aneroid
