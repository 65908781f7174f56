#include "aneroid/emulator/view.h"

#include <gtest/gtest.h>

namespace aneroid::emulator {
namespace {

TEST(ViewTest, ReshapeOfDenseNeedsNoCopy) {
  const View view = dense_view(0, {2, 3, 4});
  const auto flat = reshape_view(view, {6, 4});
  ASSERT_TRUE(flat);
  EXPECT_EQ(flat->strides, (Shape{4, 1}));
  EXPECT_EQ(reshape_view(view, {1, 24, 1})->strides[1], 1);
  EXPECT_EQ(reshape_view(view, {2, 12}), reshape_view(*flat, {2, 12}));
}

TEST(ViewTest, ReshapeAcrossAGapNeedsACopy) {
  const View columns =
      slice_view(dense_view(0, {4, 8}), {0, 2}, {4, 3}, {1, 1});
  EXPECT_FALSE(reshape_view(columns, {12}));
  const auto split = reshape_view(columns, {2, 2, 3});
  ASSERT_TRUE(split);
  EXPECT_EQ(split->strides, (Shape{16, 8, 1}));
  EXPECT_EQ(split->offset, 2);
  const View turned = transpose_view(dense_view(0, {4, 8}), {1, 0});
  EXPECT_FALSE(reshape_view(turned, {32}));
  EXPECT_TRUE(reshape_view(turned, {8, 2, 2}));
}

TEST(ViewTest, ReshapeKeepsUnitDimensions) {
  const auto view = reshape_view(dense_view(0, {1, 5, 1}), {5, 1, 1, 1});
  ASSERT_TRUE(view);
  EXPECT_EQ(view->dims, (Shape{5, 1, 1, 1}));
  EXPECT_EQ(view->strides[0], 1);
}

TEST(ViewTest, SliceStepsAndBroadcastRepeats) {
  const View even = slice_view(dense_view(0, {2, 8}), {0, 1}, {2, 4}, {1, 2});
  EXPECT_EQ(even.offset, 1);
  EXPECT_EQ(even.strides, (Shape{8, 2}));
  const View wide = broadcast_view(dense_view(0, {3, 1}), {2, 3, 4});
  EXPECT_EQ(wide.strides, (Shape{0, 1, 0}));
}

TEST(ViewTest, CoalesceMergesOnlyWhatStepsAsOneEverywhere) {
  Shape dims{2, 1, 3, 4};
  Shape a{12, 7, 4, 1};
  Shape b{12, 7, 4, 2};
  coalesce(dims, {&a, &b});
  EXPECT_EQ(dims, (Shape{6, 4}));
  EXPECT_EQ(a, (Shape{4, 1}));
  EXPECT_EQ(b, (Shape{4, 2}));
}

}  // namespace
}  // namespace aneroid::emulator
