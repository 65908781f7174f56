#include "aneroid/emulator/causal.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/base/random.h"
#include "aneroid/blob/blob.h"
#include "aneroid/emulator/emulator.h"
#include "aneroid/emulator/run.h"
#include "aneroid/emulator/test_support.h"
#include "aneroid/mil/builder.h"
#include "aneroid/mil/text.h"

namespace aneroid::emulator {
namespace {

using mil::Builder;
using mil::Var;
using Of = cpu::GemmTriangle::Of;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Sizes {
  int64_t sequence = 64;
  int64_t kv_heads = 2;
  int64_t group = 1;  // query heads per key/value head
  int64_t head_dim = 16;
  int64_t heads() const { return kv_heads * group; }
};

using Mask = std::function<float(int64_t row, int64_t column)>;
float causal(int64_t row, int64_t column) {
  return column > row ? -30000.0F : 0.0F;
}

// What a program may give away besides its results.
struct Extras {
  bool scores = false;
  bool probabilities = false;
  bool dp = false;
  bool ds = false;
};

// Attention and its gradients, as programs of kernels/ write them.
std::string attention(const Sizes& n, const Extras& extras) {
  const int64_t s = n.sequence;
  const int64_t rows = n.group * s;
  const Shape query{1, n.heads() * n.head_dim, 1, s};
  const Shape key{1, n.kv_heads * n.head_dim, 1, s};
  Builder b;
  const auto stacked = [&](const Var& x) {
    const Var heads = b.reshape(x, {1, n.heads(), n.head_dim, s});
    return b.reshape(b.transpose(heads, {0, 1, 3, 2}),
                     {1, n.kv_heads, rows, n.head_dim});
  };
  const auto unstacked = [&](const Var& x) {
    const Var heads = b.reshape(x, {1, n.heads(), s, n.head_dim});
    return b.reshape(b.transpose(heads, {0, 1, 3, 2}), query);
  };
  const auto split = [&](const Var& x) {
    return b.reshape(x, {1, n.kv_heads, n.head_dim, s});
  };
  const auto squares = [&](const Var& x) {
    return b.reshape(x, {1, n.heads() * s, 1, s});
  };
  const Var q = stacked(b.input("q", fp16(query)));
  const Var k = split(b.input("k", fp16(key)));
  const Var v = split(b.input("v", fp16(key)));
  const Var da = stacked(b.input("da", fp16(query)));
  const Var mask = b.weight("mask", fp16({1, 1, s, s}), "@model_path/mask.bin");
  const Var scale = b.fp16(1.0 / std::sqrt(static_cast<double>(n.head_dim)));

  const Var raw = b.matmul(q, k);
  const Var scores = b.reshape(raw, {1, n.heads(), s, s});
  const Var p = b.reshape(b.softmax(b.add(b.mul(scores, scale), mask), -1),
                          {1, n.kv_heads, rows, s});
  const Var a = unstacked(b.matmul(p, b.mul(v, b.fp16(64.0)), false, true));
  const Var dv = b.reshape(b.matmul(da, p, true), key);
  const Var dp = b.matmul(da, v);
  const Var mean = b.reduce_sum(b.mul(p, dp), {-1});
  const Var ds = b.mul(b.mul(p, b.sub(dp, mean)), scale);
  const Var dq = unstacked(b.matmul(ds, k, false, true));
  const Var dk = b.reshape(b.matmul(q, ds, true), key);
  std::vector<mil::Named<Var>> outputs = {
      {"a", a}, {"dk", dk}, {"dq", dq}, {"dv", dv}};
  if (extras.scores) outputs.push_back({"x_scores", squares(raw)});
  if (extras.probabilities) outputs.push_back({"x_p", squares(p)});
  if (extras.dp) outputs.push_back({"x_dp", squares(dp)});
  if (extras.ds) outputs.push_back({"x_ds", squares(ds)});
  return mil::print(b.finish(outputs).value());
}

using Halves = std::vector<Half>;

Halves normals(int64_t count, uint64_t seed, double deviation = 1.0) {
  Random random(seed);
  Halves values(static_cast<size_t>(count));
  for (Half& value : values) value = to_half_away(deviation * random.normal());
  return values;
}

// The same program twice: planned with and without what is under test.
class Pair {
 public:
  explicit Pair(const Sizes& sizes, const Extras& extras = {},
                const Mask& mask = causal, Numerics numerics = Numerics::kFast)
      : sizes_(sizes) {
    Halves values;
    for (int64_t i = 0; i < sizes.sequence; ++i) {
      for (int64_t j = 0; j < sizes.sequence; ++j) {
        values.push_back(to_half_even(static_cast<double>(mask(i, j))));
      }
    }
    blob::Writer writer;
    EXPECT_TRUE(
        writer.append(DataType::kFp16, std::as_bytes(std::span(values))));
    const std::vector<std::byte> file = writer.finish();
    const std::string text = attention(sizes, extras);
    for (const bool leave_out : {true, false}) {
      EmulatorOptions options;
      options.numerics = numerics;
      options.leave_out_masked = leave_out;
      options.pool = &pool_;
      auto device = make_emulator(options).value();
      auto compiled = device->compile(
          {"attention", text, {{"@model_path/mask.bin", file}}});
      if (!compiled) {
        ADD_FAILURE() << to_string(compiled.error());
        continue;
      }
      (leave_out ? less_ : whole_) = std::move(*compiled);
    }
  }

  const Plan& plan() const { return *plan_of(*less_); }
  const Plan& whole_plan() const { return *plan_of(*whole_); }

  // The claims that held; the results must be the same bits either way.
  std::vector<bool> run(const Halves& q, const Halves& k, const Halves& v,
                        const Halves& da) {
    const std::vector<Halves> inputs = {da, k, q, v};  // alphabetical
    WorkingMemory memory;
    const std::vector<Halves> want = run(*whole_, inputs, memory);
    EXPECT_TRUE(memory.claims.empty());
    const std::vector<Halves> got = run(*less_, inputs, memory);
    for (size_t i = 0; i < want.size(); ++i) {
      size_t differing = 0;
      for (size_t j = 0; j < want[i].size(); ++j) {
        differing += got[i][j] == want[i][j] ? 0 : 1;
      }
      EXPECT_EQ(differing, 0U) << "of " << want[i].size() << " in output "
                               << less_->signature().outputs[i].name;
    }
    return memory.claims;
  }

  Halves query(uint64_t seed, double deviation = 1.0) const {
    return normals(sizes_.heads() * sizes_.head_dim * sizes_.sequence, seed,
                   deviation);
  }
  Halves key(uint64_t seed, double deviation = 1.0) const {
    return normals(sizes_.kv_heads * sizes_.head_dim * sizes_.sequence, seed,
                   deviation);
  }

 private:
  std::vector<Halves> run(const device::Executable& executable,
                          std::vector<Halves> inputs, WorkingMemory& memory) {
    const Plan& plan = *plan_of(executable);
    // Noise where memory is not written, as runs of other programs leave it.
    memory.fit(plan, pool_.threads());
    std::memset(memory.arena.get(), 0x7E, memory.arena_bytes);
    std::vector<Halves> outputs;
    for (const device::PortInfo& port : executable.signature().outputs) {
      outputs.emplace_back(static_cast<size_t>(*element_count(port.shape)));
    }
    std::vector<std::byte*> buffers;
    for (const Buffer& buffer : plan.buffers) {
      switch (buffer.place) {
        case Buffer::Place::kInput:
          buffers.push_back(
              reinterpret_cast<std::byte*>(inputs[buffer.port].data()));
          break;
        case Buffer::Place::kOutput:
          buffers.push_back(
              reinterpret_cast<std::byte*>(outputs[buffer.port].data()));
          break;
        case Buffer::Place::kArena:
          buffers.push_back(memory.arena.get() + buffer.arena_offset);
          break;
        case Buffer::Place::kConstant:
          buffers.push_back(const_cast<std::byte*>(buffer.constant.data()));
          break;
      }
    }
    const auto status = run_plan(plan, {memory, buffers, pool_, {}});
    EXPECT_TRUE(status) << to_string(status.error());
    return outputs;
  }

  Sizes sizes_;
  cpu::ThreadPool pool_{2};
  std::unique_ptr<device::Executable> less_;
  std::unique_ptr<device::Executable> whole_;
};

// How many products leave out something of each kind: C, A, B.
std::vector<int> triangles(const Plan& plan) {
  std::vector<int> counts(3, 0);
  for (const Step& step : plan.steps) {
    if (const auto* gemm = std::get_if<GemmStep>(&step.work)) {
      const Of of = gemm->causal.triangle.of;
      if (of != Of::kNone) ++counts[static_cast<size_t>(of) - 1];
    }
  }
  return counts;
}

const std::vector<bool> kAll = {true, true};
const std::vector<bool> kNone = {false, false};
const std::vector<bool> kFirst = {true, false};

TEST(Causal, SameBitsAtEverySize) {
  for (const int64_t sequence : {32, 64, 96, 256}) {
    for (const int64_t group : {1, 2, 4}) {
      SCOPED_TRACE(testing::Message()
                   << "sequence " << sequence << " group " << group);
      Pair pair({.sequence = sequence, .group = group});
      EXPECT_EQ(triangles(pair.whole_plan()), (std::vector<int>{0, 0, 0}));
      // Scores and dP; a and dq; dv and dk.
      EXPECT_EQ(triangles(pair.plan()), (std::vector<int>{2, 2, 2}));
      EXPECT_EQ(
          pair.run(pair.query(1), pair.key(2), pair.key(3), pair.query(4)),
          kAll);
      // Flat and sharp probabilities.
      EXPECT_EQ(pair.run(pair.query(1, 0.01), pair.key(2), pair.key(3),
                         pair.query(4, 1e-4)),
                kAll);
      EXPECT_EQ(pair.run(pair.query(1, 8), pair.key(2, 8), pair.key(3, 4),
                         pair.query(4, 20)),
                kAll);
      // Padded: the last positions are zeros.
      const auto padded = [&](Halves values) {
        for (size_t i = 0; i < values.size(); ++i) {
          const auto at = static_cast<int64_t>(i) % sequence;
          if (at >= sequence * 2 / 3) values[i] = Half{};
        }
        return values;
      };
      EXPECT_EQ(pair.run(padded(pair.query(1)), padded(pair.key(2)),
                         padded(pair.key(3)), padded(pair.query(4))),
                kAll);
    }
  }
}

TEST(Causal, ZerosOfEitherSignAndTinyNumbers) {
  Pair pair({.sequence = 96, .group = 2});
  const auto filled = [](Halves values, uint16_t bits) {
    for (Half& value : values) value = Half{bits};
    return values;
  };
  for (const uint16_t bits :
       std::initializer_list<uint16_t>{0x0000, 0x8000, 0x0001, 0x8001}) {
    EXPECT_EQ(pair.run(filled(pair.query(1), bits), pair.key(2), pair.key(3),
                       pair.query(4)),
              kAll);
    EXPECT_EQ(pair.run(pair.query(1), pair.key(2), filled(pair.key(3), bits),
                       pair.query(4)),
              kAll);
    EXPECT_EQ(pair.run(pair.query(1), filled(pair.key(2), bits), pair.key(3),
                       filled(pair.query(4), bits)),
              kAll);
  }
}

// Numbers for which leaving out would show: nothing is left out then.
TEST(Causal, WhatCannotBeProvenIsComputed) {
  Pair pair({.sequence = 96, .group = 2});
  const Halves q = pair.query(1);
  const Halves k = pair.key(2);
  const Halves v = pair.key(3);
  const Halves da = pair.query(4);
  // Scores that a mask of -30000 does not hide, and infinite ones.
  EXPECT_EQ(pair.run(pair.query(1, 150), pair.key(2, 150), v, da), kNone);
  EXPECT_EQ(pair.run(pair.query(1, 5000), pair.key(2, 5000), v, da), kNone);
  // dP may be infinite, or dP less its mean.
  EXPECT_EQ(pair.run(q, k, pair.key(3, 100), pair.query(4, 100)), kFirst);
  EXPECT_EQ(pair.run(q, k, pair.key(3, 1000), pair.query(4, 1000)), kFirst);
  // 64 v is infinite though v is not.
  EXPECT_EQ(pair.run(q, k, pair.key(3, 2000), pair.query(4, 1e-3)), kAll);
  const auto with = [](Halves values, size_t at, float bad) {
    values[at] = to_half_even(static_cast<double>(bad));
    return values;
  };
  for (const float bad : {kInfinity, -kInfinity, NAN}) {
    for (const size_t at : {size_t{0}, size_t{95}, size_t{100}, k.size() - 1}) {
      SCOPED_TRACE(testing::Message() << bad << " at " << at);
      EXPECT_EQ(pair.run(with(q, at, bad), k, v, da), kNone);
      EXPECT_EQ(pair.run(q, with(k, at, bad), v, da), kNone);
      EXPECT_EQ(pair.run(q, k, with(v, at, bad), da), kFirst);
      EXPECT_EQ(pair.run(q, k, v, with(da, at, bad)), kFirst);
    }
  }
}

TEST(Causal, MasksThatAreNotCausalAreLeftAlone) {
  const Sizes sizes{.sequence = 32};
  const auto check = [&](const char* what, const Mask& mask, int claims) {
    SCOPED_TRACE(what);
    Pair pair(sizes, {}, mask);
    EXPECT_EQ(pair.plan().claims, claims);
    pair.run(pair.query(1), pair.key(2), pair.key(3), pair.query(4));
  };
  check("causal", causal, 2);
  check(
      "lowest", [](auto i, auto j) { return j > i ? -65504.0F : 0.0F; }, 2);
  check(
      "infinite", [](auto i, auto j) { return j > i ? -kInfinity : 0.0F; }, 2);
  check(
      "none", [](auto, auto) { return 0.0F; }, 0);
  check(
      "weak", [](auto i, auto j) { return j > i ? -900.0F : 0.0F; }, 0);
  check(
      "one allowed",
      [](auto i, auto j) { return i == 3 && j == 30 ? 0.0F : causal(i, j); },
      0);
  check(
      "the diagonal forbidden",
      [](auto i, auto j) { return j >= i && i > 0 ? -30000.0F : 0.0F; }, 0);
  check(
      "one more forbidden",
      [](auto i, auto j) {
        return i == 31 && j == 0 ? -30000.0F : causal(i, j);
      },
      0);
  check(
      "window",
      [](auto i, auto j) { return j + 8 < i ? -30000.0F : causal(i, j); }, 0);
  check(
      "transposed", [](auto i, auto j) { return causal(j, i); }, 0);
  check(
      "upwards", [](auto i, auto j) { return -causal(i, j); }, 0);
  check(
      "bias",
      [](auto i, auto j) {
        return j > i ? -30000.0F : -0.25F * static_cast<float>(i - j);
      },
      0);
  check(
      "not a number", [](auto i, auto j) { return j > i ? NAN : 0.0F; }, 0);
}

// Whoever else reads a value gets all of it.
TEST(Causal, ValuesThatOthersReadAreWhole) {
  const auto check = [](const Extras& extras, int claims,
                        const std::vector<int>& kinds) {
    Pair pair({.sequence = 64}, extras);
    EXPECT_EQ(pair.plan().claims, claims);
    EXPECT_EQ(triangles(pair.plan()), kinds);
    pair.run(pair.query(1), pair.key(2), pair.key(3), pair.query(4));
  };
  check({.scores = true}, 0, {0, 0, 0});
  check({.probabilities = true}, 2, {2, 2, 2});
  check({.dp = true}, 1, {1, 1, 1});
  check({.ds = true}, 1, {1, 1, 1});  // its zeros have signs
  check({.probabilities = true, .dp = true}, 1, {1, 1, 1});
}

TEST(Causal, FastNumericsOnly) {
  for (const Numerics numerics : {Numerics::kReference, Numerics::kExact}) {
    const Pair pair({.sequence = 32}, {}, causal, numerics);
    EXPECT_EQ(pair.plan().claims, 0);
  }
}

// Programs for which the bounds matter: other scales, other chains.
TEST(Causal, LimitsFollowFromTheArithmetic) {
  const auto limit_of = [](const std::function<Var(Builder&, const Var&,
                                                   const Var&)>& chain) {
    Builder b;
    const Var x = b.reshape(b.input("x", fp16({1, 64, 1, 32})), {1, 2, 32, 32});
    const Var mask =
        b.weight("mask", fp16({1, 1, 32, 32}), "@model_path/mask.bin");
    const Var y = chain(b, b.matmul(x, x, false, true), mask);
    const auto program =
        b.finish({{"y", b.reshape(b.matmul(b.reshape(y, {1, 2, 32, 32}), x),
                                  {1, 64, 1, 32})}});
    EXPECT_TRUE(program) << to_string(program.error());
    Halves values;
    for (int64_t i = 0; i < 32 * 32; ++i) {
      values.push_back(
          to_half_even(static_cast<double>(causal(i / 32, i % 32))));
    }
    blob::Writer writer;
    EXPECT_TRUE(
        writer.append(DataType::kFp16, std::as_bytes(std::span(values))));
    const std::vector<std::byte> file = writer.finish();
    cpu::ThreadPool pool(1);
    EmulatorOptions options;
    options.pool = &pool;
    auto executable = make_emulator(options).value()->compile(
        {"chain", mil::print(*program), {{"@model_path/mask.bin", file}}});
    EXPECT_TRUE(executable) << to_string(executable.error());
    double limit = 0;
    for (const Step& step : plan_of(**executable)->steps) {
      if (const auto* gemm = std::get_if<GemmStep>(&step.work)) {
        limit = std::max(limit, gemm->causal.limit);
      }
    }
    return limit;
  };
  // The scaled scores must stay below 15000 or so.
  EXPECT_NEAR(limit_of([](Builder& b, const Var& x, const Var& mask) {
                return b.softmax(b.add(b.mul(x, b.fp16(0.125)), mask), -1);
              }),
              65504, 200);
  EXPECT_NEAR(limit_of([](Builder& b, const Var& x, const Var& mask) {
                return b.softmax(b.add(x, mask), -1);
              }),
              65504.0 / 8, 200);
  EXPECT_NEAR(limit_of([](Builder& b, const Var& x, const Var& mask) {
                return b.softmax(b.add(mask, b.mul(b.fp16(-64.0), x)), -1);
              }),
              65504.0 / 512, 2);
  // A constant of constants is one.
  EXPECT_NEAR(limit_of([](Builder& b, const Var& x, const Var& mask) {
                return b.softmax(b.add(x, b.mul(mask, b.fp16(0.5))), -1);
              }),
              65504.0 / 16, 100);
  // No proof for a mask that is subtracted, one after the softmax, and results
  // that are not 0.
  EXPECT_EQ(limit_of([](Builder& b, const Var& x, const Var& mask) {
              return b.softmax(b.sub(x, mask), -1);
            }),
            0);
  EXPECT_EQ(limit_of([](Builder& b, const Var& x, const Var& mask) {
              return b.add(b.softmax(x, -1), mask);
            }),
            0);
  EXPECT_EQ(limit_of([](Builder& b, const Var& x, const Var& mask) {
              const Var p = b.softmax(b.add(x, mask), -1);
              return b.add(p, b.fp16(1.0));
            }),
            0);
  EXPECT_EQ(limit_of([](Builder& b, const Var& x, const Var& mask) {
              const Var p = b.softmax(b.add(x, mask), -1);
              return b.mul(p, b.softmax(x, -1));
            }),
            0);
}

}  // namespace
}  // namespace aneroid::emulator
