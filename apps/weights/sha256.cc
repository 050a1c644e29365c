#include "apps/weights/sha256.h"

#include <sha2.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/file_io.h"

namespace pocketune {

absl::StatusOr<std::string> Sha256OfFile(const std::string& path) {
  Result<ReadableFile> file = ReadableFile::Open(path.c_str());
  if (!file.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(file.status().code()),
                        absl::StrCat(path, ": ", file.status().message()));
  }
  SHA2_CTX context;
  SHA256Init(&context);
  std::vector<uint8_t> buffer(size_t{1} << 20);
  for (int64_t at = 0; at < file.value().bytes();) {
    const auto count = std::min<int64_t>(file.value().bytes() - at, int64_t(buffer.size()));
    const Status status = file.value().ReadAt(at, std::span(buffer).first(size_t(count)));
    if (!status.ok()) return absl::UnavailableError(absl::StrCat(path, ": ", status.message()));
    SHA256Update(&context, buffer.data(), size_t(count));
    at += count;
  }
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256Final(digest, &context);
  std::string text;
  for (const uint8_t byte : digest) absl::StrAppendFormat(&text, "%02x", byte);
  return text;
}

}  // namespace pocketune
