#include "aneroid/model/used_ids.h"

#include "aneroid/model/checkpoint.h"
#include "aneroid/model/test_support.h"
#include "aneroid/model/weights.h"

namespace aneroid::model {
namespace {

std::vector<bool> some_of_ten() {
  std::vector<bool> used(10, false);
  for (const size_t id : {0, 5, 6, 9}) used[id] = true;
  return used;
}

TEST(UsedIds, AreDigitsOfFourIdsEach) {
  const nlohmann::json json = used_ids_to_json(some_of_ten());
  EXPECT_EQ(json, "864");
  const auto back = used_ids_from_json({{"used_ids", json}}, 10, "x");
  ASSERT_TRUE(back) << to_string(back.error());
  EXPECT_EQ(*back, some_of_ten());
  EXPECT_TRUE(used_ids_from_json({{"step", 3}}, 10, "x").value().empty());
}

TEST(UsedIds, RefusesWhatIsNoneOfIt) {
  for (const nlohmann::json& bad :
       {nlohmann::json("86"), nlohmann::json("8640"), nlohmann::json("8G4"),
        nlohmann::json("000"), nlohmann::json("003"), nlohmann::json(864),
        nlohmann::json()}) {
    expect_error(used_ids_from_json({{"used_ids", bad}}, 10, "file"),
                 "checkpoint", "state.used_ids");
  }
}

class UsedIdsFile : public FolderTest {};

TEST_F(UsedIdsFile, ComeWithTheWeightsOfACheckpoint) {
  const ModelConfig config = tiny_config();
  const Weights weights = initialise(config, 1);
  const Moments moments(parameter_table(config), DataType::kFp32);
  const auto save = [&](const nlohmann::json& state) {
    ASSERT_TRUE(save_checkpoint(
        at("c.safetensors"),
        {config, views(weights), views(moments), views(moments), state}));
  };
  save({{"used_ids", used_ids_to_json(some_of_ten())}});
  EXPECT_EQ(load_model(at("c.safetensors")).value().used_ids, some_of_ten());
  save(nlohmann::json::object());
  EXPECT_TRUE(load_model(at("c.safetensors")).value().used_ids.empty());
  save({{"used_ids", "8"}});
  expect_error(load_model(at("c.safetensors")), "checkpoint", "used_ids");
}

}  // namespace
}  // namespace aneroid::model
