#include "aneroid/model/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <unordered_set>

#include <fmt/format.h>

#include "aneroid/model/json_text.h"
#include "aneroid/model/tensor_io.h"

namespace aneroid::model {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the format is little-endian, and so are all our hosts");

constexpr std::string_view kLabel = "safetensors";
constexpr const char* kMetadataKey = "__metadata__";
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kMaxRank = 8;

struct TypeName {
  DataType type;
  std::string_view name;
};
constexpr std::array kTypes = {
    TypeName{DataType::kFp64, "F64"},
    TypeName{DataType::kFp32, "F32"},
    TypeName{DataType::kFp16, "F16"},
    TypeName{DataType::kBf16, "BF16"},
    TypeName{DataType::kFp8E4m3fn, "F8_E4M3"},
    TypeName{DataType::kFp8E5m2, "F8_E5M2"},
    TypeName{DataType::kInt64, "I64"},
    TypeName{DataType::kInt32, "I32"},
    TypeName{DataType::kInt16, "I16"},
    TypeName{DataType::kInt8, "I8"},
    TypeName{DataType::kUint64, "U64"},
    TypeName{DataType::kUint32, "U32"},
    TypeName{DataType::kUint16, "U16"},
    TypeName{DataType::kUint8, "U8"},
    TypeName{DataType::kBool, "BOOL"},
};

tl::unexpected<Diagnostic> error(std::string_view place, std::string message) {
  return input_error(std::string(kLabel), std::string(place),
                     std::move(message));
}

std::string tensor_place(std::string_view place, std::string_view name) {
  return fmt::format("{}: tensor {}", place, printable(name));
}

// A JSON integer from 0 to INT64_MAX, or -1.
int64_t natural(const nlohmann::json& value) {
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  if (!value.is_number_unsigned() || value.get<uint64_t>() > kMost) return -1;
  return value.get<int64_t>();
}

// The member when it is an array of non-negative integers.
bool read_naturals(const nlohmann::json& object, const char* key,
                   std::vector<int64_t>& numbers) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_array()) return false;
  for (const nlohmann::json& value : *at) {
    numbers.push_back(natural(value));
    if (numbers.back() < 0) return false;
  }
  return true;
}

// One entry of the header; `data` is everything after the header.
Result<TensorView> read_entry(const std::string& name,
                              const nlohmann::json& entry,
                              std::span<const std::byte> data,
                              const std::string& place) {
  TensorView tensor;
  tensor.name = name;
  if (!entry.is_object()) return error(place, "must be a JSON object");

  const auto type = entry.find("dtype");
  if (type == entry.end() || !type->is_string()) {
    return error(place, "has no dtype");
  }
  const auto& type_name = type->get_ref<const std::string&>();
  const auto* row =
      std::find_if(kTypes.begin(), kTypes.end(),
                   [&](const TypeName& t) { return t.name == type_name; });
  if (row == kTypes.end()) {
    return error(place,
                 fmt::format("has the unknown dtype {}", printable(type_name)));
  }
  tensor.type = row->type;

  if (!read_naturals(entry, "shape", tensor.shape) ||
      tensor.shape.size() > kMaxRank) {
    return error(place, fmt::format("needs a shape of at most {} non-negative "
                                    "integers",
                                    kMaxRank));
  }
  std::vector<int64_t> offsets;
  if (!read_naturals(entry, "data_offsets", offsets) || offsets.size() != 2) {
    return error(place, "needs data_offsets of two non-negative integers");
  }
  const auto begin = static_cast<uint64_t>(offsets[0]);
  const auto end = static_cast<uint64_t>(offsets[1]);
  if (begin > end || end > data.size()) {
    return error(place, fmt::format("has data_offsets [{}, {}], but the file "
                                    "has {} bytes of data",
                                    begin, end, data.size()));
  }
  const auto count = element_count(tensor.shape);
  const uint64_t size = end - begin;
  const uint64_t width = bytes(tensor.type);
  if (!count || size % width != 0 ||
      size / width != static_cast<uint64_t>(*count)) {
    return error(place, fmt::format("has {} bytes, which is not {} of {}", size,
                                    to_string(tensor.shape), type_name));
  }
  tensor.bytes = data.subspan(begin, size);
  return tensor;
}

Status read_metadata(const nlohmann::json& json, std::string_view place,
                     Metadata& metadata) {
  if (!json.is_object()) {
    return error(place, "__metadata__ must be an object of strings");
  }
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) {
      return error(place, fmt::format("__metadata__ {} must be a string, is "
                                      "of type {}",
                                      printable(key), value.type_name()));
    }
    metadata[key] = value.get<std::string>();
  }
  return {};
}

// The tensors, sorted, must follow one another from the first byte to the last.
Status check_layout(const std::vector<TensorView>& tensors,
                    std::span<const std::byte> data, std::string_view place) {
  size_t expected = 0;
  for (const TensorView& tensor : tensors) {
    const auto begin = static_cast<size_t>(tensor.bytes.data() - data.data());
    if (begin != expected) {
      return error(
          tensor_place(place, tensor.name),
          fmt::format("starts at data byte {}, {} the tensor before "
                      "it, which ends at {}",
                      begin, begin < expected ? "inside" : "not right after",
                      expected));
    }
    expected += tensor.bytes.size();
  }
  if (expected != data.size()) {
    return error(place, fmt::format("has {} bytes of data, but its tensors "
                                    "take {}",
                                    data.size(), expected));
  }
  return {};
}

}  // namespace

std::string_view safetensors_name(DataType type) {
  const auto* row =
      std::find_if(kTypes.begin(), kTypes.end(),
                   [&](const TypeName& t) { return t.type == type; });
  return row == kTypes.end() ? std::string_view{} : row->name;
}

Result<SafetensorsFile> SafetensorsFile::open(
    const std::filesystem::path& path) {
  SafetensorsFile file;
  ANEROID_ASSIGN(file.file_, MappedFile::open(path));
  ANEROID_TRY(file.parse(path.string()));
  return file;
}

Status SafetensorsFile::parse(std::string_view place) {
  const std::span<const std::byte> content = file_.bytes();
  uint64_t length = 0;
  if (content.size() < sizeof length) {
    return error(place, fmt::format("has {} bytes; a header needs at least {}",
                                    content.size(), sizeof length));
  }
  std::memcpy(&length, content.data(), sizeof length);
  const size_t rest = content.size() - sizeof length;
  if (length > kMaxHeaderBytes || length > rest) {
    return error(place,
                 fmt::format("announces a header of {} bytes; the limit is {}, "
                             "and {} follow: it is cut short or not a "
                             "safetensors file",
                             length, kMaxHeaderBytes, rest));
  }
  const std::string_view text(
      reinterpret_cast<const char*>(content.data() + sizeof length), length);
  const std::span<const std::byte> data =
      content.subspan(sizeof length + length);

  ANEROID_ASSIGN(
      const nlohmann::json header,
      parse_json_object(text, kLabel, fmt::format("{}: header", place)));
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadataKey) {
      ANEROID_TRY(read_metadata(entry, place, metadata_));
      continue;
    }
    ANEROID_ASSIGN(TensorView tensor,
                   read_entry(name, entry, data, tensor_place(place, name)));
    tensors_.push_back(std::move(tensor));
  }
  // Empty tensors share their start with the next one and come first.
  std::sort(tensors_.begin(), tensors_.end(),
            [](const TensorView& a, const TensorView& b) {
              return std::pair(a.bytes.data(), a.bytes.size()) <
                     std::pair(b.bytes.data(), b.bytes.size());
            });
  ANEROID_TRY(check_layout(tensors_, data, place));
  for (const TensorView& tensor : tensors_) by_name_[tensor.name] = &tensor;
  return {};
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : at->second;
}

const std::string* SafetensorsFile::find_metadata(
    const std::string& key) const {
  const auto at = metadata_.find(key);
  return at == metadata_.end() ? nullptr : &at->second;
}

Status write_safetensors(const std::filesystem::path& path,
                         std::span<const TensorView> tensors,
                         const Metadata& metadata) {
  const std::string place = path.string();
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  for (const auto& [key, value] : metadata) {
    if (!is_utf8(key) || !is_utf8(value)) {
      return error(place,
                   fmt::format("__metadata__ {} is not UTF-8", printable(key)));
    }
    header[kMetadataKey][key] = value;
  }
  std::unordered_set<std::string_view> names = {kMetadataKey};
  uint64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    const std::string here = tensor_place(place, tensor.name);
    if (!is_utf8(tensor.name) || !names.insert(tensor.name).second) {
      return error(here, "needs a name that is UTF-8 and not used before");
    }
    const std::string_view type = safetensors_name(tensor.type);
    if (type.empty()) {
      return error(here, fmt::format("is {}, which the format does not have",
                                     name(tensor.type)));
    }
    const auto count = element_count(tensor.shape);
    const uint64_t size = tensor.bytes.size();
    if (!count || size % bytes(tensor.type) != 0 ||
        size / bytes(tensor.type) != static_cast<uint64_t>(*count)) {
      return error(here, fmt::format("has {} bytes, which is not {} of {}",
                                     size, to_string(tensor.shape), type));
    }
    header[tensor.name] = {{"dtype", type},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + size}}};
    offset += size;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeaderBytes) {
    return error(place, fmt::format("would have a header of {} bytes; the "
                                    "limit is {}",
                                    text.size(), kMaxHeaderBytes));
  }

  const uint64_t length = text.size();
  return write_file_atomically(path, [&](FileSink& sink) {
    sink.write(std::as_bytes(std::span(&length, 1)));
    sink.write(text);
    for (const TensorView& tensor : tensors)
      write_in_pieces(sink, tensor.bytes);
  });
}

}  // namespace aneroid::model
