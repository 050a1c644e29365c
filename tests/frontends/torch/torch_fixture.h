// Files as torch.save writes them, made without it.
#pragma once

#include <gtest/gtest.h>
#include <zip.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/temp_folder.h"

namespace pocketune::test {

// Instructions of a pickle, protocol 2.
class PickleWriter {
 public:
  PickleWriter() { bytes_ = std::string("\x80\x02", 2); }

  PickleWriter& Raw(const std::string& bytes) {
    bytes_ += bytes;
    return *this;
  }
  PickleWriter& Text(const std::string& text) { return Raw("X").Number(text.size(), 4).Raw(text); }
  PickleWriter& Int(uint64_t number) { return Raw("\x8a\x08").Number(number, 8); }
  PickleWriter& Name(const std::string& module, const std::string& name) {
    return Raw("c" + module + "\n" + name + "\n");
  }
  PickleWriter& Counts(const std::vector<int64_t>& counts) {
    Raw("(");
    for (const int64_t count : counts) Int(static_cast<uint64_t>(count));
    return Raw("t");
  }
  // OrderedDict(), with the mark that items follow; SETITEMS ("u") ends them.
  PickleWriter& BeginDict() { return Name("collections", "OrderedDict").Raw(")R("); }
  std::string Stop() { return bytes_ + "."; }

 private:
  PickleWriter& Number(uint64_t number, int count) {
    for (int i = 0; i < count; ++i) bytes_.push_back(static_cast<char>(number >> (8 * i)));
    return *this;
  }
  std::string bytes_;
};

// A tensor's view of a storage.
struct TorchTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
  std::string key = "0";  // of its storage
  int64_t offset = 0;
  std::string type = "FloatStorage";
};

struct TorchStorage {
  std::string key;
  int64_t numbers = 0;
  std::string bytes;
};

template <typename T>
TorchStorage StorageOf(const std::string& key, const std::vector<T>& numbers) {
  return {key, static_cast<int64_t>(numbers.size()),
          std::string(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T))};
}

inline std::vector<int64_t> RowStrides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

// Writes what torch._utils._rebuild_tensor_v2 would be called with.
inline void WriteTensor(const TorchTensor& tensor, int64_t numbers, PickleWriter* pickle) {
  pickle->Name("torch._utils", "_rebuild_tensor_v2").Raw("((").Text("storage");
  pickle->Name("torch", tensor.type).Text(tensor.key).Text("cpu");
  pickle->Int(static_cast<uint64_t>(numbers)).Raw("tQ");
  pickle->Int(static_cast<uint64_t>(tensor.offset)).Counts(tensor.shape).Counts(tensor.strides);
  pickle->Raw("\x89").BeginDict().Raw("utR");
}

// The state dict alone, or under the key `below`.
inline std::string StateDict(const std::vector<TorchTensor>& tensors,
                             const std::vector<TorchStorage>& storages,
                             const std::string& below = "") {
  std::map<std::string, int64_t> numbers;
  for (const TorchStorage& storage : storages) numbers[storage.key] = storage.numbers;
  PickleWriter pickle;
  if (!below.empty()) pickle.Raw("}(").Text("epoch").Int(3).Text(below);
  pickle.BeginDict();
  for (const TorchTensor& tensor : tensors) {
    pickle.Text(tensor.name);
    WriteTensor(tensor, numbers[tensor.key], &pickle);
  }
  pickle.Raw("u}").Text("_metadata").BeginDict().Raw("usb");
  if (!below.empty()) pickle.Raw("u");
  return pickle.Stop();
}

// The older form.
inline std::string OldFile(const std::string& data, const std::vector<TorchStorage>& storages) {
  const auto number = [](uint64_t value) {
    std::string bytes;
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
    return bytes;
  };
  std::string file("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  file += PickleWriter().Raw("M\xe9\x03").Stop();
  file += PickleWriter().Raw("}(").Text("little_endian").Raw("\x88u").Stop();
  file += data;
  PickleWriter keys;
  keys.Raw("](");
  for (const TorchStorage& storage : storages) keys.Text(storage.key);
  file += keys.Raw("e").Stop();
  for (const TorchStorage& storage : storages) {
    file += number(static_cast<uint64_t>(storage.numbers)) + storage.bytes;
  }
  return file;
}

using ZipMembers = std::vector<std::pair<std::string, std::string>>;

// A zip archive in memory, its members packed or as they are.
inline std::string MakeZip(const ZipMembers& members, bool packed = false) {
  zip_source_t* archive = zip_source_buffer_create(nullptr, 0, 0, nullptr);
  zip_source_keep(archive);
  zip_t* zip = zip_open_from_source(archive, ZIP_TRUNCATE, nullptr);
  for (const auto& [name, bytes] : members) {
    zip_source_t* source = zip_source_buffer(zip, bytes.data(), bytes.size(), 0);
    const zip_int64_t index = zip_file_add(zip, name.c_str(), source, 0);
    EXPECT_GE(index, 0);
    zip_set_file_compression(zip, static_cast<zip_uint64_t>(index),
                             packed ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  }
  EXPECT_EQ(zip_close(zip), 0);
  zip_stat_t stat;
  zip_source_stat(archive, &stat);
  std::string bytes(stat.size, '\0');
  zip_source_open(archive);
  EXPECT_EQ(zip_source_read(archive, bytes.data(), bytes.size()), zip_int64_t(bytes.size()));
  zip_source_close(archive);
  zip_source_free(archive);
  return bytes;
}

// The newer form.
inline std::string ZipOf(const std::string& data, const std::vector<TorchStorage>& storages,
                         bool packed = false) {
  ZipMembers members = {{"net/data.pkl", data}};
  for (const TorchStorage& storage : storages) {
    members.emplace_back("net/data/" + storage.key, storage.bytes);
  }
  return MakeZip(members, packed);
}

inline void WriteText(const std::string& path, const std::string& bytes) {
  WriteBytes(path, {bytes.begin(), bytes.end()});
}

inline void WriteZip(const std::string& path, const ZipMembers& members, bool packed = false) {
  WriteText(path, MakeZip(members, packed));
}

inline void WriteZipFile(const std::string& path, const std::string& data,
                         const std::vector<TorchStorage>& storages, bool packed = false) {
  WriteText(path, ZipOf(data, storages, packed));
}

}  // namespace pocketune::test
