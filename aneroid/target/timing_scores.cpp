// What `aneroid bench timing --table` says about the public table, by timing
// class; timing_test recomputes it where the table is at hand.
#include <array>

#include "aneroid/target/timing.h"

namespace aneroid::target {
namespace {

constexpr std::array kScores = {
    Basis{"m1", "conv", 2, 0.110, 0.135},
    Basis{"m1", "matmul", 6, 0.072, 0.227},
    Basis{"m1", "elementwise", 2, 0.120, 0.134},
    Basis{"m1", "all", 10, 0.099, 0.219},
    Basis{"m3", "conv", 40, 0.118, 0.335},
    Basis{"m3", "elementwise", 1, 0.183, 0.183},
    Basis{"m3", "all", 41, 0.119, 0.331},
    Basis{"m4", "conv", 34, 0.031, 0.187},
    Basis{"m4", "matmul", 14, 0.130, 0.337},
    Basis{"m4", "elementwise", 3, 0.110, 0.156},
    Basis{"m4", "all", 51, 0.062, 0.292},
    Basis{"m5", "conv", 29, 0.042, 0.096},
    Basis{"m5", "matmul", 56, 0.026, 0.156},
    Basis{"m5", "elementwise", 28, 0.033, 0.116},
    Basis{"m5", "all", 113, 0.034, 0.131},
    Basis{"m6", "conv", 378, 0.037, 0.155},
    Basis{"m6", "matmul", 3, 0.129, 0.231},
    Basis{"m6", "elementwise", 22, 0.065, 0.657},
    Basis{"m6", "all", 403, 0.039, 0.166},
};

}  // namespace

std::span<const Basis> scores() { return kScores; }

}  // namespace aneroid::target
