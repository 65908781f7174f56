// Training on the used ids alone against training of the whole model whose
// other logits are masked, written out here over the same programs.
#include "aneroid/train/vocabulary.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/pipeline/create.h"
#include "aneroid/runtime/runtime.h"
#include "aneroid/train/gradients.h"
#include "aneroid/train/run.h"
#include "aneroid/train/trainer.h"
#include "tests/golden/test_model.h"

namespace aneroid {
namespace {

constexpr int64_t kSequence = 16;
constexpr int32_t kIds[] = {3, 7, 8, 20, 31, 33, 49};

model::ModelConfig tiny_config(bool tied) {
  model::ModelConfig config = aneroid::tiny_config(24, 40, tied);
  config.initializer_range = 0.2;
  return config;
}

train::TrainerOptions options() {
  train::TrainerOptions result;
  result.sequence = kSequence;
  result.schedule.peak = 1e-2;
  result.epsilon = 1e-4;  // keeps rounding from deciding signs
  result.clip_norm = 0.5;
  return result;
}

std::vector<int32_t> tokens(int64_t count) {
  Random random(4);
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) {
    ids.push_back(kIds[random.below(std::size(kIds))]);
  }
  return ids;
}

train::VocabularyMap used_ids(const model::ModelConfig& config) {
  std::vector<bool> used(static_cast<size_t>(config.vocab_size), false);
  for (const int32_t id : kIds) used[static_cast<size_t>(id)] = true;
  return train::VocabularyMap(used);
}

// The whole model, with the logits of unused ids at minus infinity.
class MaskedTraining {
 public:
  MaskedTraining(device::Device& device, cpu::ThreadPool& pool,
                 const model::ModelConfig& config, model::Weights weights)
      : config_(config),
        table_(model::parameter_table(config)),
        map_(used_ids(config)),
        weights_(std::move(weights)),
        gradients_(pool, config, cpu::Accumulate::kDouble),
        pipeline_(
            pipeline::create({}, device, pool, config, kSequence).value()) {
    for (const model::Tensor& tensor : weights_) {
      first_.emplace_back(tensor.data.size(), 0.0);
      second_.emplace_back(tensor.data.size(), 0.0);
    }
  }

  double step(std::span<const int32_t> inputs,
              std::span<const int32_t> targets) {
    const auto& embedding = weights_[static_cast<size_t>(model::find_parameter(
                                         table_, "embed_tokens"))]
                                .data;
    EXPECT_TRUE(pipeline_->stage(weights_));
    EXPECT_TRUE(pipeline_->forward(inputs, embedding.data()));
    const double loss = masked_cross_entropy(targets);
    gradients_.begin(true);
    std::vector<float> dx;
    EXPECT_TRUE(pipeline_->backward(gradients_.sink(), &dx));
    gradients_.finish(inputs, dx);
    adamw();
    return loss;
  }

  const model::Weights& weights() const { return weights_; }

 private:
  float& cell(const std::vector<pipeline::LogitTile>& tiles, int64_t id,
              size_t t) {
    const auto& tile = tiles[static_cast<size_t>(id / pipeline_->tile_size())];
    EXPECT_EQ(tile.storage, cpu::Storage::kFloat);
    auto* values = reinterpret_cast<float*>(tile.data);
    return values[id % pipeline_->tile_size() * tile.row_stride +
                  static_cast<int64_t>(t)];
  }

  double masked_cross_entropy(std::span<const int32_t> targets) {
    const auto logits = pipeline_->logits();
    const auto gradients = pipeline_->logit_gradients();
    const auto count = static_cast<double>(targets.size());
    double loss = 0;
    for (size_t t = 0; t < targets.size(); ++t) {
      double sum = 0;
      for (const int32_t id : kIds) sum += std::exp(cell(logits, id, t));
      loss += std::log(sum) - cell(logits, targets[t], t);
      for (int64_t id = 0; id < config_.vocab_size; ++id) {
        double gradient = 0;
        if (map_.to_compact()[static_cast<size_t>(id)] >= 0) {
          gradient = std::exp(cell(logits, id, t)) / sum -
                     (id == targets[t] ? 1.0 : 0.0);
        }
        cell(gradients, id, t) = static_cast<float>(
            gradient / count * pipeline_->logit_gradient_scale());
      }
    }
    for (auto t = targets.size(); t < static_cast<size_t>(pipeline_->columns());
         ++t) {
      for (int64_t id = 0; id < config_.vocab_size; ++id) {
        cell(gradients, id, t) = 0.0F;
      }
    }
    return loss / count;
  }

  void adamw() {
    const train::TrainerOptions o = options();
    double squares = 0;
    for (size_t p = 0; p < table_.size(); ++p) {
      for (const float g : gradients_[p]) squares += double{g} * g;
    }
    const double scale =
        std::min(1.0, o.clip_norm / (std::sqrt(squares) + 1e-6));
    ++t_;
    const double lr = o.schedule.at(t_ - 1);
    for (size_t p = 0; p < table_.size(); ++p) {
      const double decay = table_[p].decay ? o.weight_decay : 0;
      for (size_t i = 0; i < weights_[p].data.size(); ++i) {
        const double g = gradients_[p][i] * scale;
        double& m = first_[p][i];
        double& v = second_[p][i];
        m = o.beta1 * m + (1 - o.beta1) * g;
        v = o.beta2 * v + (1 - o.beta2) * g * g;
        const double mean = m / (1 - std::pow(o.beta1, t_));
        const double root = std::sqrt(v / (1 - std::pow(o.beta2, t_)));
        float& w = weights_[p].data[i];
        w -= static_cast<float>(lr * (mean / (root + o.epsilon) + decay * w));
      }
    }
  }

  model::ModelConfig config_;
  std::vector<model::ParameterSpec> table_;
  train::VocabularyMap map_;
  model::Weights weights_;
  std::vector<std::vector<double>> first_, second_;
  train::Gradients gradients_;
  std::unique_ptr<pipeline::Pipeline> pipeline_;
  int t_ = 0;
};

class VocabularyTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    runtime::DeviceOptions device;
    device.numerics = "reference";
    device_ = runtime::open_device("emulator", device, pool_).value();
  }

  std::unique_ptr<train::Trainer> trainer(const model::ModelConfig& config,
                                          model::Weights weights,
                                          DataType moments = DataType::kFp32) {
    train::TrainerOptions chosen = options();
    chosen.moments = moments;
    auto made = train::Trainer::create(*device_, pool_, config,
                                       std::move(weights), chosen);
    EXPECT_TRUE(made) << to_string(made.error());
    return std::move(*made);
  }

  void go_both_ways(DataType moments);

  cpu::ThreadPool pool_{2};
  std::unique_ptr<device::Device> device_;
  model::ModelConfig config_ = tiny_config(GetParam());
  model::Weights weights_ = model::initialise(config_, 9);
};

TEST_P(VocabularyTest, EqualsTheWholeModelWithOtherLogitsMasked) {
  const train::VocabularyMap map = used_ids(config_);
  MaskedTraining reference(*device_, pool_, config_, weights_);
  train::WholeVocabulary vocabulary(pool_, config_, map, weights_);
  const auto compact = trainer(vocabulary.map().compact(vocabulary.config()),
                               vocabulary.map().compact(weights_));

  const std::vector<int32_t> ids = tokens(8 * (kSequence + 1));
  telemetry::TimeTable time;
  for (size_t step = 0; step < 8; ++step) {
    const auto window =
        std::span(ids).subspan(step * (kSequence + 1), kSequence + 1);
    const double expected =
        reference.step(window.first(kSequence), window.last(kSequence));
    data::Batch batch{1, kSequence, {}, {}};
    for (size_t t = 0; t < kSequence; ++t) {
      const auto renamed = [&](int32_t id) {
        return map.to_compact()[static_cast<size_t>(id)];
      };
      batch.inputs.push_back(renamed(window[t]));
      batch.targets.push_back(renamed(window[t + 1]));
    }
    const auto report = compact->step(batch, time);
    ASSERT_TRUE(report) << to_string(report.error());
    EXPECT_NEAR(report->loss, expected, 2e-5 * expected) << "step " << step;
    vocabulary.update(compact->last_update(report->learning_rate));
  }

  const auto views = vocabulary.whole(
      compact->weights(), compact->first_moments(), compact->second_moments());
  for (size_t p = 0; p < weights_.size(); ++p) {
    const auto& expected = reference.weights()[p].data;
    ASSERT_EQ(views.weights[p].size(), expected.size());
    double worst = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      worst =
          std::max(worst, std::fabs(double{views.weights[p][i]} - expected[i]));
    }
    EXPECT_LT(worst, 5e-5) << weights_[p].name;
    EXPECT_NE(expected, weights_[p].data) << weights_[p].name;
  }
}

TEST_P(VocabularyTest, BeginsNearTheLogarithmOfTheUsedIds) {
  model::ModelConfig config = config_;
  config.initializer_range = 0.02;
  const auto weights = model::initialise(config, 9);
  const train::WholeVocabulary vocabulary(pool_, config, used_ids(config),
                                          weights);
  const auto compact = trainer(vocabulary.map().compact(vocabulary.config()),
                               vocabulary.map().compact(weights));
  data::Batch batch{1, kSequence, {}, {}};
  for (int32_t t = 0; t < kSequence; ++t) {
    batch.inputs.push_back(t % 7);
    batch.targets.push_back((t + 3) % 7);
  }
  telemetry::TimeTable time;
  EXPECT_NEAR(compact->evaluate(batch, time).value(), std::log(7.0), 0.2);
}

void VocabularyTest::go_both_ways(DataType moments) {
  const std::vector<int32_t> ids = tokens(500);
  const auto shard = std::make_shared<const data::TokenShard>(
      data::TokenShard::from_tokens(ids, config_.vocab_size, "test").value());
  const train::VocabularyMap map = train::VocabularyMap::of(*shard);
  ASSERT_EQ(map.compact(), 7);
  const auto loader = [&](bool renamed) {
    return data::DataLoader::create(
               shard, shard->all(),
               {.sequence = kSequence,
                .seed = 1,
                .renamed = renamed
                               ? std::make_shared<const std::vector<int32_t>>(
                                     map.to_compact())
                               : nullptr})
        .value();
  };
  const auto checkpoint = [&](const train::Trainer& t,
                              const train::WholeVocabulary::Views& views,
                              const data::DataLoader& l) {
    const auto table = model::parameter_table(config_);
    const model::Moments zeros(table, views.first_moments[0].type);
    model::Checkpoint c{config_, weights_, zeros, zeros, {}};
    for (size_t p = 0; p < weights_.size(); ++p) {
      c.weights[p].data.assign(views.weights[p].begin(),
                               views.weights[p].end());
      std::ranges::copy(views.first_moments[p].bytes,
                        c.first_moments.bytes(p).begin());
      std::ranges::copy(views.second_moments[p].bytes,
                        c.second_moments.bytes(p).begin());
    }
    c.state = {{"trainer", train::to_json(t.state())}, {"data", l.state()}};
    return c;
  };
  telemetry::TimeTable time;
  data::Batch batch;
  const auto steps = [&](train::Trainer& t, data::DataLoader& l,
                         train::WholeVocabulary* vocabulary) {
    for (int i = 0; i < 3; ++i) {
      l.next(batch);
      const auto report = t.step(batch, time);
      ASSERT_TRUE(report) << to_string(report.error());
      if (vocabulary == nullptr) continue;
      vocabulary->update(t.last_update(report->learning_rate));
    }
  };

  // Off, then on: the unused rows have moments by then.
  const auto off = trainer(config_, weights_, moments);
  auto off_loader = loader(false);
  steps(*off, off_loader, nullptr);
  const auto from_off = checkpoint(
      *off,
      {model::views(off->weights()), model::views(off->first_moments()),
       model::views(off->second_moments())},
      off_loader);

  train::WholeVocabulary vocabulary(pool_, config_, map, weights_, moments);
  const auto on = trainer(vocabulary.map().compact(vocabulary.config()),
                          vocabulary.map().compact(weights_), moments);
  auto on_loader = loader(true);
  ASSERT_TRUE(train::resume(from_off, *on, on_loader, &vocabulary));
  EXPECT_EQ(on->state().step, 3);
  const auto whole = [&] {
    return checkpoint(*on,
                      vocabulary.whole(on->weights(), on->first_moments(),
                                       on->second_moments()),
                      on_loader);
  };
  const auto same = [](const model::Weights& a, const model::Weights& b) {
    for (size_t p = 0; p < a.size(); ++p) {
      EXPECT_EQ(a[p].data, b[p].data) << a[p].name;
    }
  };
  const auto same_moments = [](const model::Moments& a,
                               const model::Moments& b) {
    for (size_t p = 0; p < a.size(); ++p) {
      EXPECT_TRUE(std::ranges::equal(a.bytes(p), b.bytes(p))) << p;
    }
  };
  const auto untouched = whole();
  same(untouched.weights, from_off.weights);
  same_moments(untouched.first_moments, from_off.first_moments);
  same_moments(untouched.second_moments, from_off.second_moments);
  steps(*on, on_loader, &vocabulary);

  // And off again.
  const auto from_on = whole();
  const auto again = trainer(config_, weights_, moments);
  auto again_loader = loader(false);
  ASSERT_TRUE(train::resume(from_on, *again, again_loader));
  EXPECT_EQ(again->state().step, 6);
  same(again->weights(), from_on.weights);
  same_moments(again->second_moments(), from_on.second_moments);
  steps(*again, again_loader, nullptr);

  // A compact trainer does not take a whole checkpoint for its own.
  EXPECT_FALSE(train::resume(from_on, *on, on_loader));
}

TEST_P(VocabularyTest, CheckpointsGoBothWays) {
  for (const DataType moments : {DataType::kFp32, DataType::kBf16}) {
    SCOPED_TRACE(name(moments));
    go_both_ways(moments);
  }
}

TEST_P(VocabularyTest, ResumingConvertsTheMoments) {
  const std::vector<int32_t> ids = tokens(500);
  const auto shard = std::make_shared<const data::TokenShard>(
      data::TokenShard::from_tokens(ids, config_.vocab_size, "test").value());
  const train::VocabularyMap map = train::VocabularyMap::of(*shard);
  auto loader = data::DataLoader::create(shard, shard->all(),
                                         {.sequence = kSequence, .seed = 1})
                    .value();
  const auto table = model::parameter_table(config_);
  model::Moments moments(table, DataType::kFp32);
  for (size_t p = 0; p < table.size(); ++p) {
    std::ranges::copy(weights_[p].data, moments.values<float>(p));
  }
  train::TrainerState state;
  state.loss_scale = 1;
  const model::Checkpoint checkpoint{
      config_,
      weights_,
      moments,
      moments,
      {{"trainer", train::to_json(state)}, {"data", loader.state()}}};
  const model::Moments rounded =
      model::converted(moments, table, DataType::kBf16);
  train::WholeVocabulary vocabulary(pool_, config_, map, weights_,
                                    DataType::kBf16);
  const auto compact =
      trainer(vocabulary.map().compact(vocabulary.config()),
              vocabulary.map().compact(weights_), DataType::kBf16);
  ASSERT_TRUE(train::resume(checkpoint, *compact, loader, &vocabulary));
  const auto views = vocabulary.whole(
      compact->weights(), compact->first_moments(), compact->second_moments());
  for (size_t p = 0; p < table.size(); ++p) {
    for (const auto& found :
         {views.first_moments[p], views.second_moments[p]}) {
      EXPECT_EQ(found.type, DataType::kBf16);
      EXPECT_TRUE(std::ranges::equal(found.bytes, rounded.bytes(p)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(TiedAndNot, VocabularyTest, testing::Bool(),
                         [](const auto& tied) {
                           return tied.param ? "tied" : "untied";
                         });

}  // namespace
}  // namespace aneroid
