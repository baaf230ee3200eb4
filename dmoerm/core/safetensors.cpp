#include "dmoerm/core/safetensors.h"

#include <algorithm>
#include <cstring>

#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"

namespace dmoerm {
namespace {

const std::map<std::string, torch::ScalarType>& dtype_names() {
  static const std::map<std::string, torch::ScalarType> names = {
      {"F64", torch::kFloat64},   {"F32", torch::kFloat32}, {"F16", torch::kFloat16},
      {"BF16", torch::kBFloat16}, {"I64", torch::kInt64},   {"I32", torch::kInt32},
      {"I16", torch::kInt16},     {"I8", torch::kInt8},     {"U8", torch::kUInt8},
      {"BOOL", torch::kBool}};
  return names;
}

std::string dtype_name(torch::ScalarType dtype) {
  for (const auto& [name, type] : dtype_names())
    if (type == dtype) return name;
  fail("safetensors", "cannot store tensors of type {}", torch::toString(dtype));
}

constexpr size_t kMaxHeader = 100'000'000;  // the format's own limit

uint64_t read_size(const std::byte* data) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | std::to_integer<uint64_t>(data[i]);
  return value;
}

}  // namespace

SafeTensors::SafeTensors(const fs::path& path) : path_(path), file_(std::make_shared<MappedFile>(path)) {
  const std::string where = path.string();
  const size_t file_size = file_->size();
  if (file_size < 8) fail(where, "not a safetensors file: {} bytes", file_size);
  const uint64_t header_size = read_size(file_->data());
  if (header_size > kMaxHeader || header_size > file_size - 8)
    fail(where, "not a safetensors file, or truncated: header of {} bytes in a file of {}", header_size,
         file_size);
  const Json header =
      parse_json({reinterpret_cast<const char*>(file_->data()) + 8, static_cast<size_t>(header_size)}, where);
  if (!header.is_object()) fail(where, "the safetensors header is {}, expected an object", json_kind(header));

  const size_t data_begin = 8 + header_size, data_size = file_size - data_begin;
  std::vector<std::pair<size_t, size_t>> extents;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) fail(where, "__metadata__ is {}, expected an object", json_kind(value));
      for (const auto& [key, text] : value.items())
        if (text.is_string()) metadata_[key] = text.get<std::string>();
      continue;
    }
    const std::string tensor_where = fmt::format("{}: tensor {}", where, name);
    const auto type_name = json_field<std::string>(value, "dtype", tensor_where);
    const auto dtype = dtype_names().find(type_name);
    if (dtype == dtype_names().end()) fail(tensor_where, "dtype {} is not supported", type_name);
    if (!value.contains("shape") || !value["shape"].is_array())
      fail(tensor_where, "\"shape\" must be a list");
    Entry entry{dtype->second, {}, 0, 0};
    size_t bytes = torch::elementSize(dtype->second);
    for (const Json& size : value["shape"]) {
      if (!size.is_number_unsigned()) fail(tensor_where, "\"shape\" must hold whole numbers, none negative");
      const auto extent = size.get<uint64_t>();
      if (extent != 0 && bytes > data_size / extent + 1)
        fail(tensor_where, "the shape is larger than the file");
      bytes *= extent;
      entry.shape.push_back(static_cast<int64_t>(extent));
    }
    const auto offsets = value.find("data_offsets");
    if (offsets == value.end() || !offsets->is_array() || offsets->size() != 2 ||
        !(*offsets)[0].is_number_unsigned() || !(*offsets)[1].is_number_unsigned())
      fail(tensor_where, "\"data_offsets\" must be two whole numbers");
    const auto begin = (*offsets)[0].get<uint64_t>(), end = (*offsets)[1].get<uint64_t>();
    if (begin > end || end > data_size)
      fail(tensor_where, "bytes {}..{} lie outside the file's {} data bytes (truncated?)", begin, end,
           data_size);
    if (end - begin != bytes) fail(tensor_where, "has {} bytes, its shape needs {}", end - begin, bytes);
    entry.begin = data_begin + begin;
    entry.end = data_begin + end;
    extents.emplace_back(begin, end);
    entries_.emplace(name, std::move(entry));
  }
  std::sort(extents.begin(), extents.end());
  size_t expected = 0;
  for (const auto& [begin, end] : extents) {
    if (begin != expected)
      fail(where, "tensors overlap or leave a gap at data byte {}", std::min(begin, expected));
    expected = end;
  }
  if (expected != data_size) fail(where, "{} bytes of data belong to no tensor", data_size - expected);
}

const SafeTensors::Entry& SafeTensors::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) fail(path_.string(), "there is no tensor {}", name);
  return found->second;
}

std::vector<std::string> SafeTensors::names() const {
  std::vector<std::string> result;
  for (const auto& [name, entry] : entries_) result.push_back(name);
  return result;
}

std::vector<int64_t> SafeTensors::shape(const std::string& name) const {
  return entry(name).shape;
}
torch::ScalarType SafeTensors::dtype(const std::string& name) const {
  return entry(name).dtype;
}

Tensor SafeTensors::tensor(const std::string& name) const {
  const Entry& e = entry(name);
  if (e.begin == e.end) return torch::empty(e.shape, e.dtype);
  void* data = const_cast<std::byte*>(file_->data() + e.begin);
  return torch::from_blob(
      data, e.shape, [file = file_](void*) {}, torch::TensorOptions(e.dtype));
}

void SafeTensors::release(const std::string& name) const {
  file_->release(entry(name).begin, entry(name).end);
}

NamedTensors load_safetensors(const fs::path& path) {
  const SafeTensors file(path);
  NamedTensors result;
  for (const std::string& name : file.names()) result.emplace(name, file.tensor(name));
  return result;
}

void save_safetensors(const fs::path& path, const NamedTensors& tensors,
                      std::map<std::string, std::string> metadata) {
  metadata.emplace("format", "pt");
  Json header;
  header["__metadata__"] = metadata;
  size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const size_t bytes = tensor.numel() * tensor.element_size();
    header[name] = {{"dtype", dtype_name(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = dump_json(header);
  text.append((8 - text.size() % 8) % 8, ' ');  // the data begins at a multiple of eight bytes
  AtomicFile file(path);
  std::string size(8, '\0');
  for (int i = 0; i < 8; ++i) size[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  file.write(size);
  file.write(text);
  for (const auto& [name, tensor] : tensors) {
    const Tensor plain = tensor.detach().cpu().contiguous();
    file.write({static_cast<const char*>(plain.data_ptr()), static_cast<size_t>(plain.nbytes())});
  }
  file.commit();
}

}  // namespace dmoerm
