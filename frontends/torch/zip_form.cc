// NAME/data.pkl and NAME/data/KEY in a zip archive, stored as they are.
#include <zip.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/one_line.h"
#include "frontends/torch/storages.h"

namespace pocketune {
namespace {

struct CloseArchive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseMember {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};

class ZipForm : public TorchContainer {
 public:
  explicit ZipForm(std::string path) : path_(std::move(path)) {}

  absl::Status Read() {
    int error = 0;
    archive_.reset(zip_open(path_.c_str(), ZIP_RDONLY, &error));
    if (archive_ == nullptr) return Bad("the zip archive is damaged");
    if (absl::Status status = FindFolder(); !status.ok()) return status;
    const zip_int64_t order = zip_name_locate(archive_.get(), (folder_ + "byteorder").c_str(), 0);
    if (order >= 0) {
      absl::StatusOr<std::string> text = ReadMember(folder_ + "byteorder", 16);
      if (!text.ok()) return text.status();
      if (*text != "little") return Bad("its numbers are not little-endian");
    }
    absl::StatusOr<std::string> bytes = ReadMember(folder_ + "data.pkl", kMaxPickleBytes);
    if (!bytes.ok()) return bytes.status();
    absl::StatusOr<Pickle> pickle =
        ReadPickle({reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size()});
    if (!pickle.ok()) return Bad(std::string(pickle.status().message()));
    pickle_ = *std::move(pickle);
    return absl::OkStatus();
  }

  absl::Status LocateStorages(const std::vector<std::pair<std::string, int64_t>>&) override {
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ReadStorage(const std::string& key, int64_t bytes) const override {
    absl::StatusOr<std::string> raw = ReadMember(folder_ + "data/" + key, bytes);
    if (raw.ok() && static_cast<int64_t>(raw->size()) != bytes) {
      return Bad(absl::StrCat("storage ", OneLine(key), " has another size (got ", raw->size(),
                              ", want ", bytes, " bytes)"));
    }
    return raw;
  }

 private:
  absl::Status Bad(const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", what));
  }

  // The archive's one folder: where its data.pkl is.
  absl::Status FindFolder() {
    const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
    for (zip_int64_t i = 0; i < count; ++i) {
      const char* name = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
      const std::string_view text = name == nullptr ? "" : name;
      const size_t end = text.rfind("/data.pkl");
      if (end == std::string_view::npos || end + 9 != text.size()) continue;
      folder_ = std::string(text.substr(0, end + 1));
      return absl::OkStatus();
    }
    return Bad(
        "a zip archive that PyTorch did not write: it has no data.pkl (TorchScript and "
        "archives of files are not read)");
  }

  absl::StatusOr<std::string> ReadMember(const std::string& name, int64_t most) const {
    zip_stat_t stat;
    if (zip_stat(archive_.get(), name.c_str(), ZIP_FL_ENC_RAW, &stat) != 0) {
      return Bad(absl::StrCat("the zip archive lacks ", OneLine(name)));
    }
    // What is stored as it is cannot grow beyond the file.
    if (stat.comp_method != ZIP_CM_STORE || stat.size != stat.comp_size ||
        stat.encryption_method != ZIP_EM_NONE) {
      return Bad(absl::StrCat(OneLine(name), " is packed, which PyTorch's are not"));
    }
    if (stat.size > static_cast<uint64_t>(most)) {
      return Bad(absl::StrCat(OneLine(name), " is too large (got ", stat.size, ", want at most ",
                              most, " bytes)"));
    }
    const std::unique_ptr<zip_file_t, CloseMember> member(
        zip_fopen_index(archive_.get(), stat.index, 0));
    if (member == nullptr) return Bad(absl::StrCat(OneLine(name), " is damaged"));
    std::string raw;
    char buffer[1 << 16];
    zip_int64_t got = 0;
    while ((got = zip_fread(member.get(), buffer, sizeof buffer)) > 0) {
      if (raw.size() + static_cast<size_t>(got) > stat.size) break;
      raw.append(buffer, static_cast<size_t>(got));
    }
    if (got < 0 || raw.size() != stat.size) return Bad(absl::StrCat(OneLine(name), " is damaged"));
    return raw;
  }

  std::string path_;
  std::unique_ptr<zip_t, CloseArchive> archive_;
  std::string folder_;  // with its slash
};

}  // namespace

absl::StatusOr<std::unique_ptr<TorchContainer>> OpenZipForm(const std::string& path) {
  auto form = std::make_unique<ZipForm>(path);
  if (absl::Status status = form->Read(); !status.ok()) return status;
  return form;
}

}  // namespace pocketune
