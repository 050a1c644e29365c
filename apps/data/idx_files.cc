#include "apps/data/idx_files.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "apps/data/classes.h"
#include "apps/data/file_io.h"
#include "apps/data/image.h"
#include "graph/base/status_macros.h"

namespace pocketune::data {
namespace {

constexpr int kMaxDepth = 4;  // EMNIST/gzip/emnist-letters-.../emnist-letters-...
constexpr size_t kNamesInAMessage = 4;

struct IdxFileName {
  std::string set;  // "" or e.g. "emnist-letters"
  Split split;
  bool is_images;
};

std::optional<IdxFileName> ParseIdxName(const std::string& file_name) {
  std::string name = absl::AsciiStrToLower(file_name);
  if (absl::EndsWith(name, ".gz")) name.resize(name.size() - 3);
  name = absl::StrReplaceAll(name, {{".", "-"}, {"_", "-"}});
  const bool is_images = absl::EndsWith(name, "-images-idx3-ubyte");
  if (!is_images && !absl::EndsWith(name, "-labels-idx1-ubyte")) return std::nullopt;
  name.resize(name.size() - std::string("-images-idx3-ubyte").size());
  const size_t dash = name.rfind('-');
  const std::string word = dash == std::string::npos ? name : name.substr(dash + 1);
  const std::optional<Split> split = word == "t10k" ? Split::kTest : ParseSplit(word);
  if (!split) return std::nullopt;
  return IdxFileName{dash == std::string::npos ? "" : name.substr(0, dash), *split, is_images};
}

// What a walk through the folders finds.
struct Found {
  std::vector<std::string> files;  // with names of IDX files, those nearest to the root first
  bool pictures = false;           // ordinary ones: the folder is one of classes, or beside a list
};

std::string Join(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : absl::StrCat(folder, "/", name);
}
std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}
std::string FileNameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }
int64_t DepthOf(const std::string& path) { return std::count(path.begin(), path.end(), '/'); }

bool IsFolder(int parent, const dirent& entry) {
  if (entry.d_type != DT_UNKNOWN && entry.d_type != DT_LNK) return entry.d_type == DT_DIR;
  struct stat info;
  return fstatat(parent, entry.d_name, &info, 0) == 0 && S_ISDIR(info.st_mode);
}

// Goes by names, without asking the system about each of what may be a million pictures. A folder
// that cannot be read is passed over: whoever reads its pictures says so.
void Walk(const std::string& root, const std::string& below, int depth,
          std::set<std::pair<dev_t, ino_t>>* visited, Found* found) {
  const std::string path = below.empty() ? root : absl::StrCat(root, "/", below);
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()), closedir);
  struct stat info;
  if (dir == nullptr || fstat(dirfd(dir.get()), &info) != 0 ||
      !visited->insert({info.st_dev, info.st_ino}).second) {
    return;
  }
  std::vector<std::string> folders;
  while (const dirent* entry = readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name[0] == '.' || IsSystemFolder(name)) continue;
    if (HasPictureName(name)) {
      found->pictures = true;
      if (depth > 0) return;
    } else if (IsFolder(dirfd(dir.get()), *entry)) {
      folders.push_back(Join(below, name));
    } else if (ParseIdxName(name)) {
      found->files.push_back(Join(below, name));
    }
  }
  std::sort(folders.begin(), folders.end());
  for (const std::string& folder : folders) {
    if (depth + 1 < kMaxDepth && !found->pictures) Walk(root, folder, depth + 1, visited, found);
  }
}

// The files that count: those of the folder itself, or else what lies in folders without pictures.
std::vector<std::string> FindFiles(const std::string& directory) {
  std::set<std::pair<dev_t, ino_t>> visited;
  Found found;
  Walk(directory, "", 0, &visited, &found);
  std::sort(found.files.begin(), found.files.end());
  std::stable_sort(
      found.files.begin(), found.files.end(),
      [](const std::string& a, const std::string& b) { return DepthOf(a) < DepthOf(b); });
  const bool own = std::any_of(found.files.begin(), found.files.end(), [](const std::string& f) {
    return DepthOf(f) == 0 && ParseIdxName(f)->is_images;
  });
  if (own || found.pictures) {
    const auto deeper = [](const std::string& f) { return DepthOf(f) > 0; };
    found.files.erase(std::remove_if(found.files.begin(), found.files.end(), deeper),
                      found.files.end());
  }
  return found.files;
}

// The files of one kind and split: each folder's first, where a file lies beside its .gz.
std::vector<std::string> Select(const std::vector<std::string>& files, Split split,
                                bool is_images) {
  std::vector<std::string> selected;
  for (const std::string& file : files) {
    const std::optional<IdxFileName> name = ParseIdxName(FileNameOf(file));
    if (name->split != split || name->is_images != is_images) continue;
    if (selected.empty() || FolderOf(selected.back()) != FolderOf(file)) selected.push_back(file);
  }
  return selected;
}

absl::StatusOr<IdxPair> MakePair(const std::string& directory, Split split,
                                 const std::vector<std::string>& images,
                                 const std::vector<std::string>& labels) {
  if (images.empty()) {
    return BadData(directory, absl::StrCat("no pictures beside ", labels[0],
                                           " (want a file ...-images-idx3-ubyte)"));
  }
  if (images.size() > 1 && DepthOf(images[0]) == DepthOf(images[1])) {
    return BadData(directory, absl::StrCat("several IDX sets (got ", images[0], " and ", images[1],
                                           ", want one; name its folder)"));
  }
  const auto beside = std::find_if(labels.begin(), labels.end(), [&](const std::string& file) {
    return FolderOf(file) == FolderOf(images[0]);
  });
  if (beside != labels.end()) return IdxPair{images[0], *beside, split};
  if (!labels.empty()) return IdxPair{images[0], labels[0], split};
  const std::string stem = FileNameOf(images[0]).substr(0, FileNameOf(images[0]).find("images"));
  return BadData(directory, absl::StrCat("no labels beside ", images[0], " (want ", stem,
                                         "labels-idx1-ubyte)"));
}

}  // namespace

absl::StatusOr<std::vector<IdxPair>> FindIdxPairs(const std::string& directory) {
  const std::vector<std::string> files = FindFiles(directory);
  std::set<std::string> sets;
  for (const std::string& file : files) {
    const std::optional<IdxFileName> name = ParseIdxName(FileNameOf(file));
    if (name->is_images) sets.insert(name->set.empty() ? "mnist" : name->set);
  }
  std::vector<IdxPair> pairs;
  if (sets.empty()) return pairs;
  if (sets.size() > 1) {
    return BadData(directory,
                   absl::StrCat("several IDX sets (got ",
                                ListNames({sets.begin(), sets.end()}, kNamesInAMessage),
                                ", want one; put its files into a folder of their own)"));
  }
  for (const Split split : {Split::kTrain, Split::kVal, Split::kTest}) {
    const std::vector<std::string> images = Select(files, split, true);
    const std::vector<std::string> labels = Select(files, split, false);
    if (images.empty() && labels.empty()) continue;
    PT_TRY_ASSIGN(IdxPair pair, MakePair(directory, split, images, labels));
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

}  // namespace pocketune::data
