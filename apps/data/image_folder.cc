// One subfolder per class, below train/, val/ and test/ where these are present.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/data/dataset_formats.h"
#include "apps/data/file_io.h"
#include "apps/data/image.h"

namespace pocketune::data {
namespace {

using Kind = DirectoryEntry::Kind;
constexpr int kMaxDepth = 16;

std::string Join(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : absl::StrCat(folder, "/", name);
}

class FolderReader {
 public:
  explicit FolderReader(const std::string& root) { contents_.root = root; }

  absl::StatusOr<DatasetContents> Read();

 private:
  struct ClassFolder {
    std::string folder;  // below the root
    std::string class_name;
    Split split;
  };

  absl::StatusOr<std::vector<DirectoryEntry>> List(const std::string& folder) {
    return ListDirectory(Join(contents_.root, folder));
  }
  absl::StatusOr<bool> HoldsSplits(const std::vector<DirectoryEntry>& entries);
  absl::Status FindClassFolders();
  absl::Status AddClassFolders(const std::string& parent, Split split,
                               const std::vector<DirectoryEntry>& entries);
  absl::Status AddPictures(const std::string& folder, int label, Split split, int depth);
  void LeaveOut(const std::string& name) {
    if (left_out_++ == 0) first_left_out_ = name;
  }

  DatasetContents contents_;
  std::vector<ClassFolder> class_folders_;
  std::set<std::pair<dev_t, ino_t>> visited_;
  int64_t left_out_ = 0;
  std::string first_left_out_;
};

// A folder named as a split is one if it holds folders itself; "train" may also be a class.
absl::StatusOr<bool> FolderReader::HoldsSplits(const std::vector<DirectoryEntry>& entries) {
  std::string a_split, a_class;
  for (const DirectoryEntry& entry : entries) {
    if (entry.kind != Kind::kDirectory) continue;
    bool is_split = false;
    if (ParseSplit(entry.name)) {
      const absl::StatusOr<std::vector<DirectoryEntry>> inside = List(entry.name);
      if (!inside.ok()) return inside.status();
      is_split = std::any_of(inside->begin(), inside->end(),
                             [](const DirectoryEntry& e) { return e.kind == Kind::kDirectory; });
    }
    (is_split ? a_split : a_class) = entry.name;
  }
  if (!a_split.empty() && !a_class.empty()) {
    return BadData(Join(contents_.root, a_class),
                   absl::StrCat("a class folder beside the split folder \"", a_split,
                                "\" (want either only train/, val/, test/ or only classes)"));
  }
  return !a_split.empty();
}

absl::Status FolderReader::AddClassFolders(const std::string& parent, Split split,
                                           const std::vector<DirectoryEntry>& entries) {
  for (const DirectoryEntry& entry : entries) {
    if (entry.kind == Kind::kDirectory) {
      class_folders_.push_back({Join(parent, entry.name), entry.name, split});
      visited_.insert({entry.device, entry.inode});
    } else {
      LeaveOut(Join(parent, entry.name));
    }
  }
  return absl::OkStatus();
}

absl::Status FolderReader::FindClassFolders() {
  const absl::StatusOr<std::vector<DirectoryEntry>> top = List("");
  if (!top.ok()) return top.status();
  const absl::StatusOr<bool> splits = HoldsSplits(*top);
  if (!splits.ok()) return splits.status();
  if (!*splits) return AddClassFolders("", Split::kTrain, *top);
  for (const DirectoryEntry& entry : *top) {
    if (entry.kind != Kind::kDirectory) {
      LeaveOut(entry.name);
      continue;
    }
    const Split split = *ParseSplit(entry.name);
    contents_.has_split[int(split)] = true;
    const absl::StatusOr<std::vector<DirectoryEntry>> inside = List(entry.name);
    if (!inside.ok()) return inside.status();
    if (absl::Status s = AddClassFolders(entry.name, split, *inside); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status FolderReader::AddPictures(const std::string& folder, int label, Split split,
                                       int depth) {
  const absl::StatusOr<std::vector<DirectoryEntry>> entries = List(folder);
  if (!entries.ok()) return entries.status();
  for (const DirectoryEntry& entry : *entries) {
    const std::string name = Join(folder, entry.name);
    if (entry.kind == Kind::kFile && HasPictureName(name)) {
      contents_.samples.push_back({name, label, split});
    } else if (entry.kind == Kind::kDirectory && depth < kMaxDepth &&
               visited_.insert({entry.device, entry.inode}).second) {
      if (absl::Status s = AddPictures(name, label, split, depth + 1); !s.ok()) return s;
    } else {
      LeaveOut(name);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<DatasetContents> FolderReader::Read() {
  if (absl::Status s = FindClassFolders(); !s.ok()) return s;
  if (class_folders_.empty()) {
    return BadData(contents_.root, "no class folders (got 0, want one subfolder per class)");
  }
  std::map<std::string, int32_t> labels;
  for (const ClassFolder& f : class_folders_) labels[f.class_name] = 0;
  for (auto& [name, label] : labels) {
    label = int32_t(contents_.class_names.size());
    contents_.class_names.push_back(name);
  }
  if (int64_t(labels.size()) > kMaxClasses) {
    return BadData(contents_.root, absl::StrCat("too many class folders (got ", labels.size(),
                                                ", want at most ", kMaxClasses, ")"));
  }
  for (const ClassFolder& f : class_folders_) {
    const size_t before = contents_.samples.size();
    if (absl::Status s = AddPictures(f.folder, labels[f.class_name], f.split, 0); !s.ok()) return s;
    if (contents_.samples.size() == before) {
      return BadData(Join(contents_.root, f.folder),
                     "empty class folder (got 0 pictures, want at least one .jpg or .png)");
    }
  }
  if (left_out_ > 0) {
    contents_.notes.push_back(absl::StrCat(
        "left out ", left_out_, " entries that are not pictures, first \"", first_left_out_, "\""));
  }
  return std::move(contents_);
}

}  // namespace

absl::StatusOr<DatasetContents> ReadImageFolder(const std::string& root) {
  return FolderReader(root).Read();
}

}  // namespace pocketune::data
