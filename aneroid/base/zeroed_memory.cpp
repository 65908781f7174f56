#include "aneroid/base/zeroed_memory.h"

#include <cstdlib>
#include <sys/mman.h>

// Checked builds take it from the heap, where an access past its end is seen.
#if defined(__SANITIZE_ADDRESS__)
#define ANEROID_HEAP_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ANEROID_HEAP_MEMORY 1
#endif
#endif

namespace aneroid {
namespace {

// Below this a large page would mostly stay empty.
[[maybe_unused]] constexpr size_t kLargePages = size_t{4} << 20;

}  // namespace

ZeroedMemory::ZeroedMemory(size_t size) {
  if (size == 0) return;
#if defined(ANEROID_HEAP_MEMORY)
  // Asked for too much, the checking allocator ends the program.
  constexpr size_t kMost = size_t{1} << 38;
  if (size > kMost) return;
  data_ = static_cast<std::byte*>(std::calloc(size, 1));
#else
  void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
#if defined(MADV_HUGEPAGE)
  // Only advice: without large pages everything works, a little slower.
  if (size >= kLargePages) (void)madvise(memory, size, MADV_HUGEPAGE);
#endif
  data_ = static_cast<std::byte*>(memory);
#endif
  size_ = data_ == nullptr ? 0 : size;
}

ZeroedMemory::~ZeroedMemory() {
  if (data_ == nullptr) return;
#if defined(ANEROID_HEAP_MEMORY)
  std::free(data_);
#else
  munmap(data_, size_);
#endif
}

}  // namespace aneroid
