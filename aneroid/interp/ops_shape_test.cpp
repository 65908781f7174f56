#include <algorithm>

#include "aneroid/base/random.h"
#include "aneroid/interp/test_support.h"

namespace aneroid::interp {
namespace {

using mil::bool_value;
using mil::bools_value;
using mil::float_value;
using mil::int_value;
using mil::ints_value;
using mil::string_value;

TEST(Identity, Copies) {
  expect_op("identity", {{"x", iota({2, 2})}}, {}, iota({2, 2}));
}

TEST(Reshape, KeepsElementsInOrder) {
  const auto check = [](const std::vector<int64_t>& shape, Shape expected) {
    expect_op("reshape", {{"x", iota({2, 3, 4})}},
              {{"shape", ints_value(shape)}}, iota(std::move(expected)));
  };
  check({4, 6}, {4, 6});
  check({-1, 8}, {3, 8});
  check({0, -1, 2}, {2, 6, 2});
  const auto refuse = [](const std::vector<int64_t>& shape,
                         const std::string& part) {
    expect_refusal("reshape", {{"x", iota({2, 3, 4})}},
                   {{"shape", ints_value(shape)}}, part);
  };
  refuse({5, 5}, "24 elements cannot become [5, 5]");
  refuse({-1, -1}, "more than one -1");
  refuse({-1, 7}, "24 elements do not fill [1, 7]");
  refuse({-1, 0}, "do not fill");
  refuse({-2, -12}, "cannot become");
}

TEST(ExpandDimsAndSqueeze, AreInverse) {
  expect_op("expand_dims", {{"x", iota({2, 3})}},
            {{"axes", ints_value({0, -1})}}, iota({1, 2, 3, 1}));
  expect_op("squeeze", {{"x", iota({1, 2, 3, 1})}},
            {{"axes", ints_value({0, -1})}}, iota({2, 3}));
  expect_op("squeeze", {{"x", iota({1, 2, 1})}}, {}, iota({2}));
  expect_refusal("squeeze", {{"x", iota({2, 3})}}, {{"axes", ints_value({1})}},
                 "axis 1 of [2, 3] is 3");
  expect_refusal("expand_dims", {{"x", iota({2})}}, {{"axes", ints_value({5})}},
                 "axis 5");
}

TEST(Transpose, Permutes) {
  expect_op("transpose", {{"x", iota({2, 3})}}, {{"perm", ints_value({1, 0})}},
            fp32({3, 2}, {0, 3, 1, 4, 2, 5}));
  expect_op("transpose", {{"x", iota({1, 2, 2, 2})}},
            {{"perm", ints_value({0, 1, -1, 2})}},
            fp32({1, 2, 2, 2}, {0, 2, 1, 3, 4, 6, 5, 7}));
  expect_refusal("transpose", {{"x", iota({2, 3})}},
                 {{"perm", ints_value({1, 1})}}, "named twice");
  expect_refusal("transpose", {{"x", iota({2, 3})}},
                 {{"perm", ints_value({0})}}, "1 elements");
}

TEST(Transpose, TwiceByTheInverseIsNothing) {
  Random random(2);
  for (int round = 0; round < 20; ++round) {
    std::vector<int64_t> perm = {0, 1, 2, 3};
    for (size_t i = 3; i > 0; --i) {
      std::swap(perm[i], perm[random.below(i + 1)]);
    }
    std::vector<int64_t> inverse(4);
    const HostTensor x = iota({2, 3, 4, 5});
    Shape shape;
    for (size_t i = 0; i < 4; ++i) {
      inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
      shape.push_back(x.shape[static_cast<size_t>(perm[i])]);
    }
    const auto there = run_one("transpose", {{"x", x}},
                               {{"perm", ints_value(perm)}}, x.dtype, shape);
    ASSERT_TRUE(there);
    expect_op("transpose", {{"x", *there}}, {{"perm", ints_value(inverse)}}, x);
  }
}

TEST(SliceBySize, TakesABox) {
  const auto box = [](const std::vector<int64_t>& begin,
                      const std::vector<int64_t>& size) {
    return Constants{{"begin", ints_value(begin)}, {"size", ints_value(size)}};
  };
  const HostTensor x = iota({3, 4});
  expect_op("slice_by_size", {{"x", x}}, box({1, 1}, {2, 2}),
            fp32({2, 2}, {5, 6, 9, 10}));
  expect_op("slice_by_size", {{"x", x}}, box({-1, 0}, {1, -1}),
            fp32({1, 4}, {8, 9, 10, 11}));
  expect_op("slice_by_size", {{"x", x}}, box({3, 0}, {0, 4}), fp32({0, 4}, {}));
  expect_refusal("slice_by_size", {{"x", x}}, box({2, 0}, {2, 1}),
                 "2 elements from 2 leave dimension 0");
  expect_refusal("slice_by_size", {{"x", x}}, box({0, -5}, {1, 1}), "leave");
  expect_refusal("slice_by_size", {{"x", x}}, box({0}, {1, 1}),
                 "begin has 1 elements");
}

TEST(SliceByIndex, FollowsNumpy) {
  const HostTensor x = iota({3, 4});
  const auto indices = [](const std::vector<int64_t>& begin,
                          const std::vector<int64_t>& end,
                          const std::vector<int64_t>& stride) {
    return Constants{{"begin", ints_value(begin)},
                     {"end", ints_value(end)},
                     {"stride", ints_value(stride)}};
  };
  expect_op("slice_by_index", {{"x", x}}, indices({0, 1}, {3, 4}, {2, 2}),
            fp32({2, 2}, {1, 3, 9, 11}));
  expect_op("slice_by_index", {{"x", x}}, indices({-1, -2}, {99, 99}, {1, 1}),
            fp32({1, 2}, {10, 11}));
  expect_op("slice_by_index", {{"x", x}}, indices({2, 3}, {0, 0}, {-1, -2}),
            fp32({2, 2}, {11, 9, 7, 5}));
  expect_op("slice_by_index", {{"x", x}}, indices({2, 0}, {1, 4}, {1, 1}),
            fp32({0, 4}, {}));
  Constants masked = indices({7, 7}, {0, 0}, {1, -1});
  masked.emplace_back("begin_mask", bools_value({true, true}));
  masked.emplace_back("end_mask", bools_value({true, true}));
  expect_op("slice_by_index", {{"x", x}}, masked,
            fp32({3, 4}, {3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8}));
  Constants squeezed = indices({1, -1}, {0, 0}, {1, 1});
  squeezed.emplace_back("squeeze_mask", bools_value({true, true}));
  expect_op("slice_by_index", {{"x", x}}, squeezed, fp32({}, {7}));
  squeezed[0].second = ints_value({3, 0});
  expect_refusal("slice_by_index", {{"x", x}}, squeezed,
                 "index 3 leaves dimension 0");
  expect_refusal("slice_by_index", {{"x", x}}, indices({0, 0}, {1, 1}, {0, 1}),
                 "stride holds 0");
}

TEST(Concat, JoinsAndInterleaves) {
  const HostTensor a = fp32({2, 2}, {1, 2, 3, 4});
  const HostTensor b = fp32({2, 1}, {5, 6});
  const HostTensor c = fp32({2, 2}, {7, 8, 9, 10});
  expect_op("concat", {{"values0", a}, {"values1", b}},
            {{"axis", int_value(-1)}, {"interleave", bool_value(false)}},
            fp32({2, 3}, {1, 2, 5, 3, 4, 6}));
  expect_op("concat", {{"values0", a}, {"values1", c}},
            {{"axis", int_value(0)}}, fp32({4, 2}, {1, 2, 3, 4, 7, 8, 9, 10}));
  expect_op("concat", {{"values0", a}, {"values1", c}},
            {{"axis", int_value(0)}, {"interleave", bool_value(true)}},
            fp32({4, 2}, {1, 2, 7, 8, 3, 4, 9, 10}));
  expect_op("concat", {{"values0", a}, {"values1", c}},
            {{"axis", int_value(1)}, {"interleave", bool_value(true)}},
            fp32({2, 4}, {1, 7, 2, 8, 3, 9, 4, 10}));
  expect_refusal("concat", {{"values0", a}, {"values1", b}},
                 {{"axis", int_value(0)}}, "does not fit beside");
  expect_refusal("concat", {{"values0", a}, {"values1", b}},
                 {{"axis", int_value(1)}, {"interleave", bool_value(true)}},
                 "does not fit beside");
  expect_refusal("concat", {{"values0", a}, {"values1", iota({2})}},
                 {{"axis", int_value(1)}}, "does not fit beside");
}

TEST(Stack, AddsAnAxis) {
  const HostTensor a = fp32({2}, {1, 2});
  const HostTensor b = fp32({2}, {3, 4});
  expect_op("stack", {{"values0", a}, {"values1", b}}, {{"axis", int_value(0)}},
            fp32({2, 2}, {1, 2, 3, 4}));
  expect_op("stack", {{"values0", a}, {"values1", b}},
            {{"axis", int_value(-1)}}, fp32({2, 2}, {1, 3, 2, 4}));
  expect_refusal("stack", {{"values0", a}, {"values1", iota({3})}},
                 {{"axis", int_value(0)}}, "does not fit beside");
}

std::vector<mil::Type> fp32_types(const std::vector<Shape>& shapes) {
  std::vector<mil::Type> types;
  types.reserve(shapes.size());
  for (const Shape& shape : shapes) {
    types.push_back(mil::tensor(DataType::kFp32, shape));
  }
  return types;
}

TEST(Split, CutsEquallyOrBySizes) {
  const HostTensor x = iota({2, 4});
  const auto halves =
      run_op("split", {{"x", x}},
             {{"num_splits", int_value(2)}, {"axis", int_value(1)}},
             fp32_types({{2, 2}, {2, 2}}));
  ASSERT_TRUE(halves);
  expect_near((*halves)[0], fp32({2, 2}, {0, 1, 4, 5}));
  expect_near((*halves)[1], fp32({2, 2}, {2, 3, 6, 7}));
  const auto parts =
      run_op("split", {{"x", x}},
             {{"split_sizes", ints_value({1, 3})}, {"axis", int_value(-1)}},
             fp32_types({{2, 1}, {2, 3}}));
  ASSERT_TRUE(parts);
  expect_near((*parts)[1], fp32({2, 3}, {1, 2, 3, 5, 6, 7}));
  expect_refusal("split", {{"x", x}},
                 {{"num_splits", int_value(3)}, {"axis", int_value(1)}},
                 "3 equal parts", 3);
  expect_refusal("split", {{"x", x}},
                 {{"num_splits", int_value(4)}, {"axis", int_value(1)}},
                 "4 parts for 1 results");
  expect_refusal("split", {{"x", x}},
                 {{"split_sizes", ints_value({1, 1})}, {"axis", int_value(1)}},
                 "add up to 2, not 4", 2);
  expect_refusal("split", {{"x", x}},
                 {{"split_sizes", ints_value({5, -1})}, {"axis", int_value(1)}},
                 "do not add up", 2);
}

TEST(ConcatOfSplit, IsTheWhole) {
  const HostTensor x = iota({2, 6, 3});
  const auto parts =
      run_op("split", {{"x", x}},
             {{"split_sizes", ints_value({1, 2, 3})}, {"axis", int_value(1)}},
             fp32_types({{2, 1, 3}, {2, 2, 3}, {2, 3, 3}}));
  ASSERT_TRUE(parts);
  expect_op("concat",
            {{"values0", (*parts)[0]},
             {"values1", (*parts)[1]},
             {"values2", (*parts)[2]}},
            {{"axis", int_value(1)}}, x);
}

TEST(Tile, Repeats) {
  expect_op("tile", {{"x", fp32({1, 2}, {1, 2})}},
            {{"reps", ints_value({2, 2})}},
            fp32({2, 4}, {1, 2, 1, 2, 1, 2, 1, 2}));
  expect_op("tile", {{"x", iota({2, 2})}}, {{"reps", ints_value({1, 0})}},
            fp32({2, 0}, {}));
  expect_refusal("tile", {{"x", iota({2, 2})}}, {{"reps", ints_value({1, -1})}},
                 "negative");
  expect_refusal("tile", {{"x", iota({2, 2})}},
                 {{"reps", ints_value({2147483647, 2147483647})}},
                 "exceeds the limit");
}

TEST(Pad, HasThreeModes) {
  const HostTensor x = fp32({1, 3}, {1, 2, 3});
  const auto with = [](const char* mode, const std::vector<int64_t>& pads) {
    return Constants{{"mode", string_value(mode)}, {"pad", ints_value(pads)}};
  };
  Constants sevens = with("constant", {1, 0, 0, 2});
  sevens.emplace_back("constant_val", float_value(DataType::kFp32, 7));
  expect_op("pad", {{"x", x}}, sevens,
            fp32({2, 5}, {7, 7, 7, 7, 7, 1, 2, 3, 7, 7}));
  expect_op("pad", {{"x", x}}, with("reflect", {2, 1}),
            fp32({1, 6}, {3, 2, 1, 2, 3, 2}));
  expect_op("pad", {{"x", x}}, with("replicate", {2, 1}),
            fp32({1, 6}, {1, 1, 1, 2, 3, 3}));
  expect_refusal("pad", {{"x", x}}, with("reflect", {3, 0}),
                 "padding of 3 and 0 does not fit");
  expect_refusal("pad", {{"x", x}}, with("constant", {-1, 0}), "padding of -1");
  expect_refusal("pad", {{"x", x}}, with("mirror", {1, 0}), "mode \"mirror\"");
  expect_refusal("pad", {{"x", x}}, with("constant", {1}), "pad has 1");
}

}  // namespace
}  // namespace aneroid::interp
