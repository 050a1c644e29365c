// A list of pictures `file,label,split` (RFC 4180, UTF-8, with or without a byte order mark).
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "apps/data/dataset_formats.h"
#include "apps/data/file_io.h"

namespace pocketune::data {
namespace {

constexpr int64_t kMaxCsvBytes = 64 << 20;
constexpr int64_t kMaxHeaderBytes = 4096;

struct Row {
  int line;  // where it begins, from 1
  std::vector<std::string> fields;
};

// Reads fields one row at a time; quotes may hold commas, line ends and doubled quotes.
class CsvParser {
 public:
  explicit CsvParser(const std::string& text) : text_(text) {
    if (text_.compare(0, 3, "\xef\xbb\xbf") == 0) pos_ = 3;
  }

  // False at the end. An unclosed or misplaced quote sets `error`.
  bool Next(Row* row, std::string* error) {
    while (pos_ < text_.size() && (text_[pos_] == '\n' || text_[pos_] == '\r')) Advance();
    if (pos_ >= text_.size()) return false;
    row->line = line_;
    row->fields.clear();
    do {
      row->fields.emplace_back();
      if (!ReadField(&row->fields.back())) {
        *error = "misplaced quote (want a field quoted as a whole)";
        return false;
      }
    } while (pos_ < text_.size() && text_[pos_] == ',' && Advance());
    return true;
  }

 private:
  bool Advance() {
    if (text_[pos_] == '\n') ++line_;
    ++pos_;
    return true;
  }
  bool AtFieldEnd() const {
    return pos_ >= text_.size() || text_[pos_] == ',' || text_[pos_] == '\n' || text_[pos_] == '\r';
  }
  bool ReadField(std::string* field) {
    const bool quoted = pos_ < text_.size() && text_[pos_] == '"';
    if (!quoted) {
      for (; !AtFieldEnd(); Advance()) field->push_back(text_[pos_]);
      return true;
    }
    for (Advance(); pos_ < text_.size(); Advance()) {
      if (text_[pos_] == '"') {
        if (pos_ + 1 >= text_.size() || text_[pos_ + 1] != '"') {
          Advance();
          return AtFieldEnd();
        }
        Advance();
      }
      field->push_back(text_[pos_]);
    }
    return false;
  }

  const std::string& text_;
  size_t pos_ = 0;
  int line_ = 1;
};

struct Columns {
  int file = -1;
  int label = -1;
  int split = -1;
};

Columns FindColumns(const std::vector<std::string>& header) {
  Columns columns;
  for (size_t i = 0; i < header.size(); ++i) {
    if (header[i] == "file") columns.file = int(i);
    if (header[i] == "label") columns.label = int(i);
    if (header[i] == "split") columns.split = int(i);
  }
  return columns;
}

using CString = std::unique_ptr<char, void (*)(void*)>;

class CsvReader {
 public:
  explicit CsvReader(const std::string& path) : path_(path) {
    const size_t slash = path.rfind('/');
    contents_.format = DatasetFormat::kCsv;
    contents_.root = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  }

  absl::StatusOr<DatasetContents> Read();

 private:
  absl::Status RowError(const Row& row, const std::string& fact) const {
    return BadData(path_, absl::StrCat("row ", row.line, ": ", fact));
  }
  absl::Status AddRow(const Row& row, size_t width);
  absl::Status CheckFile(const Row& row, const std::string& file) const;
  void NumberClasses();

  std::string path_;
  std::string real_root_;
  Columns columns_;
  DatasetContents contents_;
  std::vector<std::string> labels_;                 // of each sample
  std::unordered_map<std::string, size_t> listed_;  // file -> sample
};

// The real path must lie below the folder of the list: neither "..", "/..." nor a link leads out.
absl::Status CsvReader::CheckFile(const Row& row, const std::string& file) const {
  if (file.empty()) return RowError(row, "no file name");
  if (file[0] == '/') {
    return RowError(row, absl::StrCat("absolute path (got \"", file, "\", want a relative one)"));
  }
  const std::string joined = absl::StrCat(contents_.root, "/", file);
  const CString real(realpath(joined.c_str(), nullptr), free);
  if (real == nullptr) {
    const int error = errno;
    absl::Status status = IoError(joined, "open", error);
    if (!absl::IsNotFound(status)) return status;
    return RowError(row, absl::StrCat("no such file (got \"", file, "\")"));
  }
  if (std::string(real.get()).rfind(real_root_, 0) != 0) {
    return RowError(row, absl::StrCat("file outside of the folder (got \"", file, "\")"));
  }
  return absl::OkStatus();
}

absl::Status CsvReader::AddRow(const Row& row, size_t width) {
  if (row.fields.size() != width) {
    return RowError(
        row, absl::StrCat("ragged row (got ", row.fields.size(), " fields, want ", width, ")"));
  }
  const std::string& file = row.fields[columns_.file];
  const std::string& label = row.fields[columns_.label];
  if (label.empty()) return RowError(row, "no label");
  if (absl::Status s = CheckFile(row, file); !s.ok()) return s;
  Split split = Split::kTrain;
  if (columns_.split >= 0) {
    const std::optional<Split> parsed = ParseSplit(row.fields[columns_.split]);
    if (!parsed) {
      return RowError(row, absl::StrCat("unknown split (got \"", row.fields[columns_.split],
                                        "\", want train, val or test)"));
    }
    split = *parsed;
    contents_.has_split[int(split)] = true;
  }
  const auto [previous, is_new] = listed_.insert({file, labels_.size()});
  if (!is_new) {
    const size_t i = previous->second;
    if (labels_[i] == label && contents_.samples[i].split == split) return absl::OkStatus();
    return RowError(row, absl::StrCat("file listed twice with different labels or splits (got \"",
                                      file, "\")"));
  }
  labels_.push_back(label);
  contents_.samples.push_back({file, 0, split});
  return absl::OkStatus();
}

// Classes in byte order, or by value where every label is a number ("2" before "10").
void CsvReader::NumberClasses() {
  std::vector<std::string> names(labels_);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<std::pair<int64_t, std::string>> numbered;
  for (const std::string& name : names) {
    int64_t value;
    if (absl::SimpleAtoi(name, &value)) numbered.push_back({value, name});
  }
  if (numbered.size() == names.size()) {
    std::sort(numbered.begin(), numbered.end());
    for (size_t i = 0; i < names.size(); ++i) names[i] = numbered[i].second;
  }
  std::unordered_map<std::string, int32_t> index;
  for (size_t i = 0; i < names.size(); ++i) index[names[i]] = int32_t(i);
  for (size_t i = 0; i < labels_.size(); ++i) contents_.samples[i].label = index[labels_[i]];
  contents_.class_names = std::move(names);
}

absl::StatusOr<DatasetContents> CsvReader::Read() {
  std::vector<uint8_t> bytes;
  if (absl::Status s = ReadFile(path_, kMaxCsvBytes, &bytes); !s.ok()) return s;
  const std::string text(bytes.begin(), bytes.end());
  if (text.find('\0') != std::string::npos)
    return BadData(path_, "not a text file (got a NUL byte)");
  const CString real(realpath(contents_.root.c_str(), nullptr), free);
  if (real == nullptr) return IoError(contents_.root, "open", errno);
  real_root_ = absl::StrCat(absl::StripSuffix(real.get(), "/"), "/");

  CsvParser parser(text);
  Row row;
  std::string error;
  if (parser.Next(&row, &error)) columns_ = FindColumns(row.fields);
  if (columns_.file < 0 || columns_.label < 0) {
    return BadData(path_, "bad header (want file,label or file,label,split)");
  }
  const size_t width = row.fields.size();
  while (parser.Next(&row, &error)) {
    if (absl::Status s = AddRow(row, width); !s.ok()) return s;
  }
  if (!error.empty()) return RowError(row, error);
  NumberClasses();
  if (int64_t(contents_.class_names.size()) > kMaxClasses) {
    return BadData(path_, absl::StrCat("too many classes (got ", contents_.class_names.size(),
                                       ", want at most ", kMaxClasses, ")"));
  }
  return std::move(contents_);
}

}  // namespace

absl::StatusOr<bool> HasCsvHeader(const std::string& path) {
  absl::StatusOr<ReadOnlyFile> file = ReadOnlyFile::Open(path);
  if (!file.ok()) return file.status();
  std::vector<uint8_t> bytes(std::min(file->size(), kMaxHeaderBytes));
  if (absl::Status s = file->ReadAt(0, bytes); !s.ok()) return s;
  const std::string text(bytes.begin(), bytes.end());
  Row row;
  std::string error;
  if (!CsvParser(text).Next(&row, &error)) return false;
  const Columns columns = FindColumns(row.fields);
  return columns.file >= 0 && columns.label >= 0;
}

absl::StatusOr<DatasetContents> ReadCsv(const std::string& csv_path) {
  return CsvReader(csv_path).Read();
}

}  // namespace pocketune::data
