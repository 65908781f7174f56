// Where Core ML runs an op that the engine takes: a matter of cost (C105).
//
// A graph is cut into segments; a segment on the engine costs 0.125 ms to
// launch, each change of engine 0.125 ms, an output left on the engine
// 0.125 ms, and the cheapest way through the graph wins. So a small model stays
// on the CPU although the engine takes all of it. The times of the ops are
// Core ML's own estimates, of which one is published (a 3x3 convolution of 64
// channels at 32x32: 4.67 us on the engine, 100 us on the CPU); the other rates
// in op_placement.cpp are fitted to published placements on M4. An estimate,
// then, unlike judge().
#pragma once

#include "aneroid/target/op_form.h"

namespace aneroid::target {

// What stands around the op.
enum class Surroundings : uint8_t {
  kAlone,          // the op is the model
  kBetweenLayers,  // two layers with relu before it and two after: 3x3
                   // convolutions of equal width, or linear ones up to rank 3
};

struct Placement {
  bool on_engine = false;  // the op itself
  double engine_us = 0;    // the op's estimated time there
  double cpu_us = 0;
};

// For a form that the engine takes; one that it does not goes to the CPU.
Placement place(const OpForm& form, const Judgement& judgement,
                Surroundings surroundings);

}  // namespace aneroid::target
