// One subfolder per class, below train/, val/ and test/ where these are present.
#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/data/classes.h"
#include "apps/data/dataset_formats.h"
#include "apps/data/file_io.h"
#include "apps/data/image.h"
#include "graph/base/status_macros.h"

namespace pocketune::data {

bool IsSystemFolder(std::string_view name) {
  for (const char* system :
       {"__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information"}) {
    if (name == system) return true;
  }
  return false;
}

namespace {

using Kind = DirectoryEntry::Kind;
constexpr int kMaxDepth = 16;
constexpr size_t kNamesInAMessage = 8;

std::string Join(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : absl::StrCat(folder, "/", name);
}

// A folder's entries by kind, without what no user put there.
struct Listing {
  std::vector<DirectoryEntry> folders;
  std::vector<std::string> pictures;
  std::vector<std::string> others;
};

class FolderReader {
 public:
  explicit FolderReader(const std::string& root) { contents_.root = root; }

  absl::StatusOr<DatasetContents> Read();

 private:
  struct ClassFolder {
    std::string folder;  // below the root
    std::string name;    // its own
    Split split;
  };

  absl::StatusOr<Listing> List(const std::string& folder) const;
  std::string Where(const std::string& folder) const {
    return folder.empty() ? contents_.root : Join(contents_.root, folder);
  }
  absl::StatusOr<std::vector<std::string>> SplitFolders(const std::string& parent,
                                                        const Listing& listing) const;
  absl::Status CheckSplitFolders(const std::string& parent, const Listing& listing,
                                 const std::vector<std::string>& splits) const;
  absl::Status CheckNoSplits(const std::string& parent, const Listing& listing) const;
  absl::StatusOr<std::string> FolderOfClasses(const std::string& folder) const;
  absl::Status FindClassFolders();
  absl::Status AddSplits(const std::string& parent, const Listing& listing);
  void AddClassFolders(const std::string& parent, Split split, const Listing& listing);
  absl::Status AddPictures(const std::string& folder, int label, Split split, int depth);
  void LeaveOut(const std::string& parent, const Listing& listing);
  void LeaveOut(const std::string& name) {
    if (left_out_++ == 0) first_left_out_ = name;
  }
  void NoteFolders(const std::vector<DirectoryEntry>& class_entries);
  void AddNotes();

  DatasetContents contents_;
  std::vector<ClassFolder> class_folders_;
  std::set<std::pair<dev_t, ino_t>> visited_;
  std::set<std::string> common_folders_;
  int64_t classes_seen_ = 0;
  bool classes_have_pictures_ = false;
  int64_t left_out_ = 0, loose_pictures_ = 0, split_names_in_classes_ = 0;
  std::string first_left_out_, first_loose_picture_, first_split_name_;
};

absl::StatusOr<Listing> FolderReader::List(const std::string& folder) const {
  PT_TRY_ASSIGN(const std::vector<DirectoryEntry> entries, ListDirectory(Where(folder)));
  Listing listing;
  for (const DirectoryEntry& entry : entries) {
    if (entry.kind == Kind::kDirectory && !IsSystemFolder(entry.name)) {
      listing.folders.push_back(entry);
    } else if (entry.kind == Kind::kFile && HasPictureName(entry.name)) {
      listing.pictures.push_back(entry.name);
    } else {
      listing.others.push_back(entry.name);
    }
  }
  return listing;
}

// A folder named as a split is one if it holds folders itself; "train" may also be a class.
absl::StatusOr<std::vector<std::string>> FolderReader::SplitFolders(const std::string& parent,
                                                                    const Listing& listing) const {
  std::vector<std::string> splits;
  for (const DirectoryEntry& entry : listing.folders) {
    if (!ParseSplit(entry.name)) continue;
    PT_TRY_ASSIGN(const Listing inside, List(Join(parent, entry.name)));
    if (!inside.folders.empty()) splits.push_back(entry.name);
  }
  return splits;
}

// Beside split folders there are only such, and one of each split.
absl::Status FolderReader::CheckSplitFolders(const std::string& parent, const Listing& listing,
                                             const std::vector<std::string>& splits) const {
  for (const DirectoryEntry& entry : listing.folders) {
    if (std::find(splits.begin(), splits.end(), entry.name) != splits.end()) continue;
    const char* fact =
        ParseSplit(entry.name) ? "a split folder without class folders in it" : "a class folder";
    return BadData(Where(Join(parent, entry.name)),
                   absl::StrCat(fact, " beside the split folder \"", splits[0],
                                "\" (want either only train/, val/, test/ with class folders in "
                                "them, or only classes)"));
  }
  std::map<Split, std::string> names;
  for (const std::string& name : splits) {
    const auto [other, is_new] = names.insert({*ParseSplit(name), name});
    if (is_new) continue;
    return BadData(Where(parent), absl::StrCat("two folders for one split (got ", other->second,
                                               " and ", name, ", want one)"));
  }
  return absl::OkStatus();
}

// The folder at or below `folder` that holds class or split folders, where each folder on the way
// holds one folder and nothing to learn from; `folder` itself where there is no such way.
absl::StatusOr<std::string> FolderReader::FolderOfClasses(const std::string& folder) const {
  std::string at = folder;
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    PT_TRY_ASSIGN(const Listing listing, List(at));
    if (!listing.pictures.empty() && listing.folders.size() < 2) return folder;
    if (listing.folders.size() != 1) return listing.folders.empty() ? folder : at;
    PT_TRY_ASSIGN(const Listing inside, List(Join(at, listing.folders[0].name)));
    const bool is_split = ParseSplit(listing.folders[0].name).has_value();
    if (inside.folders.empty() || is_split) return at;  // the one folder is a class or a split
    at = Join(at, listing.folders[0].name);
  }
  return folder;
}

// What must not pass for class folders: a folder around those of the classes, and split folders
// that hold pictures themselves.
absl::Status FolderReader::CheckNoSplits(const std::string& parent, const Listing& listing) const {
  if (listing.folders.size() == 1) {
    const std::string only = Join(parent, listing.folders[0].name);
    PT_TRY_ASSIGN(const std::string holder, FolderOfClasses(only));
    PT_TRY_ASSIGN(const Listing inside, List(holder));
    // A class may have folders of its own, beside its pictures.
    const bool is_class = inside.folders.empty() ||
                          (holder == only && inside.folders.size() < 2 && !inside.pictures.empty());
    if (!is_class) {
      std::vector<std::string> names;
      for (const DirectoryEntry& entry : inside.folders) names.push_back(ReadableName(entry.name));
      return BadData(
          Where(parent),
          absl::StrCat("one folder around those of the classes (got only ", listing.folders[0].name,
                       ", want ", ListNames(names, kNamesInAMessage), ", which are in ",
                       Where(holder), ")"));
    }
  }
  const bool all_splits =
      std::all_of(listing.folders.begin(), listing.folders.end(),
                  [](const DirectoryEntry& e) { return ParseSplit(e.name).has_value(); });
  if (listing.folders.empty() || !all_splits) return absl::OkStatus();
  return BadData(Where(Join(parent, listing.folders[0].name)),
                 "a split folder without class folders in it (want one subfolder per class, or a "
                 "list of the pictures as CSV)");
}

void FolderReader::LeaveOut(const std::string& parent, const Listing& listing) {
  for (const std::string& name : listing.others) LeaveOut(Join(parent, name));
  if (loose_pictures_ == 0 && !listing.pictures.empty()) {
    first_loose_picture_ = Join(parent, listing.pictures[0]);
  }
  loose_pictures_ += int64_t(listing.pictures.size());
}

void FolderReader::AddClassFolders(const std::string& parent, Split split, const Listing& listing) {
  for (const DirectoryEntry& entry : listing.folders) {
    class_folders_.push_back({Join(parent, entry.name), entry.name, split});
    visited_.insert({entry.device, entry.inode});
  }
  LeaveOut(parent, listing);
}

absl::Status FolderReader::AddSplits(const std::string& parent, const Listing& listing) {
  LeaveOut(parent, listing);
  for (const DirectoryEntry& entry : listing.folders) {
    const std::string folder = Join(parent, entry.name);
    PT_TRY_ASSIGN(const Listing inside, List(folder));
    PT_TRY(CheckNoSplits(folder, inside));
    const Split split = *ParseSplit(entry.name);
    contents_.has_split[size_t(split)] = true;
    AddClassFolders(folder, split, inside);
  }
  return absl::OkStatus();
}

absl::Status FolderReader::FindClassFolders() {
  std::string parent;
  for (int depth = 0; depth < 2; ++depth) {
    PT_TRY_ASSIGN(const Listing listing, List(parent));
    PT_TRY_ASSIGN(const std::vector<std::string> splits, SplitFolders(parent, listing));
    if (!splits.empty()) {
      PT_TRY(CheckSplitFolders(parent, listing, splits));
      return AddSplits(parent, listing);
    }
    // Archives often unpack to one folder around the splits.
    if (listing.folders.size() != 1) break;
    LeaveOut(parent, listing);
    parent = listing.folders[0].name;
  }
  left_out_ = loose_pictures_ = 0;
  PT_TRY_ASSIGN(const Listing top, List(""));
  PT_TRY(CheckNoSplits("", top));
  AddClassFolders("", Split::kTrain, top);
  return absl::OkStatus();
}

absl::Status FolderReader::AddPictures(const std::string& folder, int label, Split split,
                                       int depth) {
  PT_TRY_ASSIGN(const std::vector<DirectoryEntry> entries, ListDirectory(Where(folder)));
  if (depth == 0) NoteFolders(entries);
  for (const DirectoryEntry& entry : entries) {
    const std::string name = Join(folder, entry.name);
    if (entry.kind == Kind::kFile && HasPictureName(name)) {
      contents_.samples.push_back({name, label, split});
    } else if (entry.kind == Kind::kDirectory && !IsSystemFolder(entry.name) && depth < kMaxDepth &&
               visited_.insert({entry.device, entry.inode}).second) {
      if (ParseSplit(entry.name) && split_names_in_classes_++ == 0) first_split_name_ = name;
      PT_TRY(AddPictures(name, label, split, depth + 1));
    } else {
      LeaveOut(name);
    }
  }
  return absl::OkStatus();
}

// Remembers the folders that all classes have in common and that hold all of their pictures.
void FolderReader::NoteFolders(const std::vector<DirectoryEntry>& class_entries) {
  std::set<std::string> folders;
  for (const DirectoryEntry& entry : class_entries) {
    if (entry.kind == Kind::kDirectory) folders.insert(entry.name);
    if (entry.kind == Kind::kFile && HasPictureName(entry.name)) classes_have_pictures_ = true;
  }
  std::set<std::string> common;
  std::set_intersection(folders.begin(), folders.end(), common_folders_.begin(),
                        common_folders_.end(), std::inserter(common, common.end()));
  common_folders_ = classes_seen_++ == 0 ? folders : common;
}

void FolderReader::AddNotes() {
  if (!classes_have_pictures_ && classes_seen_ > 1 && common_folders_.size() > 1 &&
      split_names_in_classes_ == 0) {
    contents_.notes.push_back(
        absl::StrCat("the folders of all classes hold the same folders (",
                     ListNames({common_folders_.begin(), common_folders_.end()}, kNamesInAMessage),
                     "): if those are the classes, name the outer ones train, val and test"));
  }
  if (left_out_ > 0) {
    contents_.notes.push_back(absl::StrCat(
        "left out ", left_out_, " entries that are not pictures, first \"", first_left_out_, "\""));
  }
  if (loose_pictures_ > 0) {
    contents_.notes.push_back(absl::StrCat("left out ", loose_pictures_,
                                           " pictures beside the class folders, first \"",
                                           first_loose_picture_, "\""));
  }
  if (split_names_in_classes_ > 0) {
    contents_.notes.push_back(
        absl::StrCat("folders below the classes are no splits (", split_names_in_classes_,
                     " named as such, first \"", first_split_name_,
                     "\"): for given splits put the classes below train/, val/, test/"));
  }
}

absl::StatusOr<DatasetContents> FolderReader::Read() {
  PT_TRY(FindClassFolders());
  if (class_folders_.empty()) {
    return BadData(contents_.root, "no class folders (got 0, want one subfolder per class)");
  }
  for (const ClassFolder& f : class_folders_) {
    const size_t before = contents_.samples.size();
    const int32_t label = contents_.ClassIndex(ReadableName(f.name));
    PT_TRY(AddPictures(f.folder, label, f.split, 0));
    if (contents_.samples.size() == before) {
      return BadData(Where(f.folder),
                     "empty class folder (got 0 pictures, want at least one .jpg or .png)");
    }
  }
  AddNotes();
  SortClasses(&contents_);
  return std::move(contents_);
}

}  // namespace

absl::StatusOr<DatasetContents> ReadImageFolder(const std::string& root) {
  return FolderReader(root).Read();
}

}  // namespace pocketune::data
