#include "aneroid/runtime/runtime.h"

#include <gtest/gtest.h>

namespace aneroid::runtime {
namespace {

TEST(OpenDevice, EmulatorTellsChipAndNumerics) {
  cpu::ThreadPool pool(1);
  const auto device =
      open_device("emulator", {.chip = "m1", .numerics = "reference"}, pool);
  ASSERT_TRUE(device) << to_string(device.error());
  EXPECT_EQ((*device)->info().chip, "m1");
  EXPECT_EQ((*device)->info().numerics, "reference");
  EXPECT_FALSE((*device)->info().is_chip);
}

TEST(OpenDevice, RefusesUnknownNames) {
  cpu::ThreadPool pool(1);
  const auto device = open_device("gpu", {}, pool);
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().kind, ErrorKind::kUsage);
  EXPECT_FALSE(open_device("emulator", {.chip = "m99"}, pool));
  EXPECT_FALSE(open_device("emulator", {.numerics = "double"}, pool));
}

TEST(OpenDevice, AppleSaysWhyItIsNotAvailable) {
  cpu::ThreadPool pool(1);
  const auto device = open_device("apple", {}, pool);
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().kind, ErrorKind::kDevice);
  EXPECT_NE(device.error().message.find("not available, because"),
            std::string::npos);
  EXPECT_TRUE(open_device("auto", {}, pool));
}

}  // namespace
}  // namespace aneroid::runtime
