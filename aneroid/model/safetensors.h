// The safetensors format: a JSON header that names tensors, then their bytes.
//
//   u64    length of the header, little-endian
//   JSON   {"name": {"dtype": "F32", "shape": [2, 3],
//                    "data_offsets": [begin, end]}, ...,
//           "__metadata__": {"key": "string", ...}}
//   bytes  the tensors, row-major, without gaps, in the order of the offsets
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/dtype.h"
#include "aneroid/base/file.h"

namespace aneroid::model {

// One tensor, borrowing its bytes; they may start at any address, so read
// them with memcpy.
struct TensorView {
  std::string name;
  DataType type = DataType::kFp32;
  Shape shape;
  std::span<const std::byte> bytes;
};

using Metadata = std::map<std::string, std::string>;

// The type's name in the format ("F32"), empty when it has none.
std::string_view safetensors_name(DataType type);

// A file that has been checked completely, except for the values: header
// within 100 MB, every tensor's range inside the file, of the size its shape
// and type say, no overlap, no gap, no byte left over, no name twice.
// Immutable; the views stay valid while the object lives.
class SafetensorsFile {
 public:
  // Maps the file. Errors: "file", "safetensors" (with the tensor and numbers).
  static Result<SafetensorsFile> open(const std::filesystem::path& path);

  // In the order of the bytes.
  const std::vector<TensorView>& tensors() const { return tensors_; }
  const Metadata& metadata() const { return metadata_; }
  // Null when absent.
  const TensorView* find(std::string_view name) const;
  const std::string* find_metadata(const std::string& key) const;

 private:
  Status parse(std::string_view place);

  MappedFile file_;
  std::vector<TensorView> tensors_;
  std::unordered_map<std::string_view, const TensorView*> by_name_;
  Metadata metadata_;
};

// Writes atomically and without holding the data twice. The header is padded
// with spaces so that the data starts at a multiple of 8. Errors: "file";
// "safetensors" when a name repeats or is not UTF-8, a type is not in the
// format, or bytes and shape disagree.
Status write_safetensors(const std::filesystem::path& path,
                         std::span<const TensorView> tensors,
                         const Metadata& metadata);

}  // namespace aneroid::model
