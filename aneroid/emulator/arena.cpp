#include "aneroid/emulator/arena.h"

#include <algorithm>

namespace aneroid::emulator {
namespace {

constexpr size_t kAlignment = 64;

struct Life {
  int buffer = 0;
  int first = -1;
  int last = -1;
  size_t bytes = 0;
};

template <typename... F>
struct Overload : F... {
  using F::operator()...;
};
template <typename... F>
Overload(F...) -> Overload<F...>;

}  // namespace

std::vector<int> buffers_of(const Step& step) {
  std::vector<int> ids;
  std::visit(Overload{
                 [&](const FusedStep& s) {
                   for (const FusedPort& p : s.loads) ids.push_back(p.buffer);
                   for (const FusedPort& p : s.stores) ids.push_back(p.buffer);
                 },
                 [&](const GemmStep& s) {
                   ids = {s.a_buffer, s.b_buffer, s.c_buffer};
                   if (s.bias_buffer >= 0) ids.push_back(s.bias_buffer);
                 },
                 [&](const ColumnReduceStep& s) {
                   ids = {s.in.buffer, s.out.buffer};
                 },
                 [&](const PatchStep& s) {
                   ids = {s.in.buffer, s.out_buffer};
                 },
                 [&](const InterpretStep& s) {
                   for (const auto& p : s.inputs) ids.push_back(p.view.buffer);
                   for (const auto& p : s.outputs) {
                     ids.push_back(p.view.buffer);
                   }
                 },
             },
             step.work);
  return ids;
}

void allocate_arena(Plan& plan) {
  std::vector<Life> lives(plan.buffers.size());
  for (size_t i = 0; i < lives.size(); ++i) {
    lives[i].buffer = static_cast<int>(i);
    lives[i].bytes =
        (plan.buffers[i].bytes() + kAlignment - 1) / kAlignment * kAlignment;
  }
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    for (const int id : buffers_of(plan.steps[s])) {
      Life& life = lives[static_cast<size_t>(id)];
      if (life.first < 0) life.first = static_cast<int>(s);
      life.last = static_cast<int>(s);
    }
  }
  std::erase_if(lives, [&](const Life& life) {
    return life.first < 0 ||
           plan.buffers[static_cast<size_t>(life.buffer)].place !=
               Buffer::Place::kArena;
  });
  // Large buffers first, each at the lowest gap among those alive with it.
  std::stable_sort(
      lives.begin(), lives.end(),
      [](const Life& a, const Life& b) { return a.bytes > b.bytes; });
  std::vector<Life> placed;
  for (const Life& life : lives) {
    std::vector<std::pair<size_t, size_t>> taken;  // offset, end
    for (const Life& other : placed) {
      if (other.first <= life.last && life.first <= other.last) {
        const size_t offset =
            plan.buffers[static_cast<size_t>(other.buffer)].arena_offset;
        taken.emplace_back(offset, offset + other.bytes);
      }
    }
    std::sort(taken.begin(), taken.end());
    size_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (offset + life.bytes <= begin) break;
      offset = std::max(offset, end);
    }
    plan.buffers[static_cast<size_t>(life.buffer)].arena_offset = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, offset + life.bytes);
    placed.push_back(life);
  }
}

}  // namespace aneroid::emulator
