// Large blocks of memory straight from the system.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace aneroid {

// Wishes for large pages where `size` bytes at `data` are still untouched, and
// for the rest of the system pages that they begin and end in. Without them
// everything works, a little slower.
void advise_large_pages(void* data, size_t size);

// Room for `count` elements, in large pages where the system has them.
template <typename T>
void reserve_in_large_pages(std::vector<T>& values, size_t count) {
  values.reserve(count);
  advise_large_pages(values.data(), count * sizeof(T));
}

// Page-aligned, zero, and backed by memory only where touched; in large pages
// where the system has them. Movable.
class ZeroedMemory {
 public:
  ZeroedMemory() = default;
  // data() is null afterwards when the system refuses; nothing is thrown.
  explicit ZeroedMemory(size_t size);
  ~ZeroedMemory();
  ZeroedMemory(ZeroedMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  ZeroedMemory& operator=(ZeroedMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  // The memory as elements of a trivial type.
  template <typename T>
  std::span<T> as() const {
    return {reinterpret_cast<T*>(data_), size_ / sizeof(T)};
  }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;  // as asked for
};

}  // namespace aneroid
