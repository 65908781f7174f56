#include "aneroid/base/zeroed_memory.h"

#include <cstdint>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

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
constexpr size_t kLargePages = size_t{1} << 20;

}  // namespace

void advise_large_pages(void* data, size_t size) {
#if defined(MADV_HUGEPAGE)
  if (size < kLargePages) return;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const size_t before = reinterpret_cast<uintptr_t>(data) % page;
  (void)madvise(static_cast<std::byte*>(data) - before, size + before,
                MADV_HUGEPAGE);
#else
  (void)data;
  (void)size;
  (void)kLargePages;
#endif
}

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
  advise_large_pages(memory, size);
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
