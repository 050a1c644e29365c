// What stands at a path: which reader it is for, or what is wrong with it.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/data/dataset_formats.h"
#include "apps/data/file_io.h"
#include "apps/data/idx_files.h"
#include "graph/base/status_macros.h"

namespace pocketune::data {
namespace {

using Kind = DirectoryEntry::Kind;

bool EndsWithOneOf(const std::string& name, std::initializer_list<const char*> ends) {
  return std::any_of(ends.begin(), ends.end(),
                     [&](const char* end) { return absl::EndsWithIgnoreCase(name, end); });
}

// The tables of a folder, by what they turn out to be.
struct Tables {
  std::vector<std::string> lists;
  std::vector<std::pair<std::string, std::string>> broken;  // path and why
  std::vector<std::pair<std::string, std::string>> others;
};

absl::StatusOr<Tables> FindTables(const std::string& path,
                                  const std::vector<DirectoryEntry>& entries) {
  Tables tables;
  for (const DirectoryEntry& entry : entries) {
    if (entry.kind != Kind::kFile) continue;
    const std::string file = absl::StrCat(path, "/", entry.name);
    if (EndsWithOneOf(entry.name, {".csv", ".tsv", ".txt"})) {
      PT_TRY_ASSIGN(const TableLook look, LookAtTable(file));
      if (look.kind == TableKind::kList) tables.lists.push_back(file);
      if (look.kind == TableKind::kBrokenList) tables.broken.push_back({file, look.why});
      if (look.kind == TableKind::kOther && !EndsWithOneOf(entry.name, {".txt"})) {
        tables.others.push_back({file, look.why});
      }
    } else if (EndsWithOneOf(entry.name,
                             {".xlsx", ".xls", ".ods", ".json", ".jsonl", ".parquet"})) {
      tables.others.push_back({file, "not a table that is read: save it as CSV"});
    }
  }
  return tables;
}

absl::StatusOr<DatasetContents> ReadList(const std::string& path, const Tables& tables) {
  if (tables.lists.size() > 1) {
    return BadData(path,
                   absl::StrCat("several lists of pictures (got ", tables.lists[0], " and ",
                                tables.lists[1], ", want one; name it instead of the folder)"));
  }
  PT_TRY_ASSIGN(DatasetContents contents, ReadCsv(tables.lists[0]));
  for (const auto& more : {tables.broken, tables.others}) {
    for (const auto& [file, why] : more) {
      contents.notes.push_back(absl::StrCat("left out ", file, ": ", why));
    }
  }
  return contents;
}

// A folder without a list: no table in it may be one that was not understood.
absl::Status CheckTables(const Tables& tables, int folders) {
  if (!tables.broken.empty()) {
    return BadData(tables.broken[0].first,
                   absl::StrCat("looks like a list of pictures and is none: ",
                                tables.broken[0].second, "; mend it, or move it elsewhere"));
  }
  // Folders of classes may have other tables beside them; a single folder is hardly one of those.
  if (folders < 2 && !tables.others.empty()) {
    return BadData(tables.others[0].first,
                   absl::StrCat("beside fewer than two class folders this should be a list of "
                                "pictures: ",
                                tables.others[0].second, "; mend it, or move it elsewhere"));
  }
  return absl::OkStatus();
}

// The one .npz file of a folder that holds nothing else to learn from; "" where there is none.
absl::StatusOr<std::string> FindNpz(const std::string& path,
                                    const std::vector<DirectoryEntry>& entries) {
  std::string found;
  for (const DirectoryEntry& entry : entries) {
    if (entry.kind != Kind::kFile || !EndsWithOneOf(entry.name, {".npz"})) continue;
    if (!found.empty()) {
      return BadData(path, absl::StrCat("several .npz files (got ", found, " and ", entry.name,
                                        ", want one; name it instead of the folder)"));
    }
    found = entry.name;
  }
  return found.empty() ? found : absl::StrCat(path, "/", found);
}

absl::StatusOr<DatasetContents> ReadDirectory(const std::string& path) {
  PT_TRY_ASSIGN(const std::vector<DirectoryEntry> entries, ListDirectory(path));
  PT_TRY_ASSIGN(const std::vector<IdxPair> idx, FindIdxPairs(path));
  if (!idx.empty()) return ReadIdx(path, idx);

  PT_TRY_ASSIGN(const Tables tables, FindTables(path, entries));
  if (!tables.lists.empty()) return ReadList(path, tables);
  int folders = 0;  // of classes, as far as is known; a split's may have many
  for (const DirectoryEntry& entry : entries) {
    if (entry.kind != Kind::kDirectory || IsSystemFolder(entry.name)) continue;
    folders += ParseSplit(entry.name) ? 2 : 1;
  }
  if (folders == 0) {
    PT_TRY_ASSIGN(const std::string npz, FindNpz(path, entries));
    if (!npz.empty()) return ReadNpz(npz);
  }
  PT_TRY(CheckTables(tables, folders));
  PT_TRY_ASSIGN(DatasetContents contents, ReadImageFolder(path));
  for (const auto& [file, why] : tables.others) {
    contents.notes.push_back(absl::StrCat("left out ", file, ": ", why));
  }
  return contents;
}

absl::StatusOr<DatasetContents> ReadSingleFile(const std::string& path) {
  uint8_t magic[4] = {};
  {
    PT_TRY_ASSIGN(ReadOnlyFile file, ReadOnlyFile::Open(path));
    const size_t n = size_t(std::min<int64_t>(file.size(), sizeof(magic)));
    PT_TRY(file.ReadAt(0, {magic, n}));
  }
  if (std::memcmp(magic, "PK\x03\x04", 4) == 0 || std::memcmp(magic, "PK\x05\x06", 4) == 0) {
    return ReadNpz(path);
  }
  PT_TRY_ASSIGN(const TableLook look, LookAtTable(path));
  if (look.kind == TableKind::kList) return ReadCsv(path);
  return BadData(
      path,
      absl::StrCat("not a dataset (want a folder, an .npz, or a list of pictures): ", look.why));
}

}  // namespace

absl::StatusOr<DatasetContents> ReadByContent(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return IoError(path, "open", errno);
  return S_ISDIR(info.st_mode) ? ReadDirectory(path) : ReadSingleFile(path);
}

}  // namespace pocketune::data
