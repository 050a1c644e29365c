// A list of pictures: a table with a column of files, one of labels and perhaps one of splits.
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "apps/data/classes.h"
#include "apps/data/dataset_formats.h"
#include "apps/data/delimited_text.h"
#include "apps/data/file_io.h"
#include "apps/data/image.h"
#include "graph/base/status_macros.h"

namespace pocketune::data {
namespace {

constexpr int64_t kMaxCsvBytes = 64 << 20;
constexpr int64_t kLookBytes = 1 << 16;
constexpr size_t kNamesInAMessage = 8;

// A column that a list may have, and the words that name it; the first one before all others.
struct Role {
  const char* what;
  std::initializer_list<const char*> words;  // without case, spaces, `_` and `-`
};
const Role kFileRole = {"the pictures",
                        {"file", "filename", "filepath", "path", "image", "imagepath", "imagefile",
                         "imagename", "img", "imgpath", "picture", "photo"}};
const Role kLabelRole = {
    "the label", {"label", "labels", "class", "classname", "target", "category", "labelname"}};
const Role kSplitRole = {"the split", {"split", "set", "subset", "partition"}};

struct Column {
  int index = -1;
  bool usual = false;  // named by the role's first word
  std::string clash;   // two columns for one role, for a person
};

// "Image_Path " -> "imagepath".
std::string PlainWord(std::string_view cell) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(std::string(StripSpace(cell))),
                             {{"_", ""}, {"-", ""}, {" ", ""}});
}

Column FindColumn(const std::vector<std::string>& header, const Role& role) {
  // Of the first word in this very case, then of it in any case, then of another word.
  const auto rank = [&](const std::string& cell) {
    const std::string word = PlainWord(cell);
    if (StripSpace(cell) == *role.words.begin()) return 0;
    if (word == *role.words.begin()) return 1;
    return std::find(role.words.begin(), role.words.end(), word) == role.words.end() ? 3 : 2;
  };
  Column column;
  int best = 3;
  for (size_t i = 0; i < header.size(); ++i) {
    const int r = rank(header[i]);
    if (r < best) {
      column = {int(i), r < 2, ""};
      best = r;
    } else if (r == best && r < 3) {
      column.clash =
          absl::StrCat("two columns for ", role.what, " (got \"", header[size_t(column.index)],
                       "\" and \"", header[i], "\"; name one of them ", *role.words.begin(), ")");
    }
  }
  return column;
}

struct Columns {
  Column file, label, split;

  explicit Columns(const std::vector<std::string>& header)
      : file(FindColumn(header, kFileRole)),
        label(FindColumn(header, kLabelRole)),
        split(FindColumn(header, kSplitRole)) {}
  Columns() = default;
  bool complete() const { return file.index >= 0 && label.index >= 0; }
  const std::string& clash() const {
    return !file.clash.empty() ? file.clash : !label.clash.empty() ? label.clash : split.clash;
  }
};

// The delimiter that makes a list of the table; else the one that makes most fields of its header.
char GuessDelimiter(const std::string& text) {
  char guess = ',';
  size_t most = 0;
  for (const char delimiter : {',', ';', '\t'}) {
    TableRow header;
    std::string error;
    if (!TableParser(text, delimiter).Next(&header, &error)) continue;
    if (Columns(header.fields).complete()) return delimiter;
    if (header.fields.size() > most) guess = delimiter;
    most = std::max(most, header.fields.size());
  }
  return guess;
}

bool NamesAPicture(const TableRow& row) {
  for (const std::string& field : row.fields) {
    for (const std::string& word :
         std::vector<std::string>(absl::StrSplit(field, absl::ByAnyChar(" \t|")))) {
      if (HasPictureName(word)) return true;
    }
  }
  return false;
}

std::string WhyNoList(const TableRow& header, const Columns& columns) {
  if (NamesAPicture(header)) {
    return "no header (its first line names a picture; want one such as file,label before it)";
  }
  const std::string got =
      absl::StrCat("(got columns ", ListNames(header.fields, kNamesInAMessage), "; want ");
  if (columns.file.index >= 0) {
    return absl::StrCat("no column for the label ", got, "one named label, class or target)");
  }
  if (columns.label.index >= 0) {
    return absl::StrCat("no column for the pictures ", got,
                        "one named file, filename, image or path)");
  }
  return absl::StrCat("no columns for the pictures and the label ", got,
                      "file,label or file,label,split)");
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
  absl::Status RowError(const TableRow& row, const std::string& fact) const {
    return BadData(path_, absl::StrCat("row ", row.line, ": ", fact));
  }
  absl::Status ReadHeader(const TableRow& row);
  absl::Status ReadRows(TableParser* parser);
  void LookForSplits(const std::string& text, char delimiter);
  absl::Status AddRow(const TableRow& row);
  absl::Status AddSample(const TableRow& row, const std::string& file, const std::string& label,
                         Split split);
  absl::StatusOr<std::string> FindFile(const TableRow& row, const std::string& cell);
  absl::Status CheckFile(const TableRow& row, const std::string& file) const;
  void AddNotes();

  std::string path_;
  std::string real_root_;
  Columns columns_;
  size_t width_ = 0;
  DatasetContents contents_;
  std::unordered_map<std::string, size_t> listed_;  // file -> sample
  int64_t spaced_labels_ = 0, spaced_files_ = 0, backslashed_files_ = 0;
};

// The real path must lie below the folder of the list: neither "..", "/..." nor a link leads out.
absl::Status CsvReader::CheckFile(const TableRow& row, const std::string& file) const {
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
    const bool coded = ReadableName(file) != file && file.find("\\x") == std::string::npos;
    return absl::NotFoundError(
        RowError(row, absl::StrCat("no such file (got \"", file, "\")",
                                   coded ? "; the list is not in UTF-8: save it so" : ""))
            .message());
  }
  if (std::string(real.get()).rfind(real_root_, 0) != 0) {
    return RowError(row, absl::StrCat("file outside of the folder (got \"", file, "\")"));
  }
  return absl::OkStatus();
}

// A name is taken as it is where there is such a file; else without the space around it, and with
// the separators of Windows.
absl::StatusOr<std::string> CsvReader::FindFile(const TableRow& row, const std::string& cell) {
  const std::string bare(StripSpace(cell));
  const std::string slashed = absl::StrReplaceAll(bare, {{"\\", "/"}});
  absl::Status first;
  for (const std::string& file : {bare.empty() ? bare : cell, bare, slashed}) {
    const absl::Status found = CheckFile(row, file);
    if (found.ok()) {
      spaced_files_ += cell != bare && file != cell;
      backslashed_files_ += file != cell && file != bare;
      return file;
    }
    if (!absl::IsNotFound(found)) return found;
    if (first.ok() || file == bare) first = found;
  }
  return absl::DataLossError(first.message());
}

absl::Status CsvReader::AddRow(const TableRow& row) {
  const bool blank = std::all_of(row.fields.begin(), row.fields.end(),
                                 [](const std::string& f) { return StripSpace(f).empty(); });
  if (blank) return absl::OkStatus();
  if (row.fields.size() != width_) {
    return RowError(
        row, absl::StrCat("ragged row (got ", row.fields.size(), " fields, want ", width_, ")"));
  }
  const std::string& cell = row.fields[size_t(columns_.label.index)];
  const std::string label = ReadableName(StripSpace(cell));
  if (label.empty()) return RowError(row, "no label");
  spaced_labels_ += StripSpace(cell) != cell;
  PT_TRY_ASSIGN(const std::string file, FindFile(row, row.fields[size_t(columns_.file.index)]));
  Split split = Split::kTrain;
  if (columns_.split.index >= 0) {
    const std::string& word = row.fields[size_t(columns_.split.index)];
    const std::optional<Split> parsed = ParseSplit(StripSpace(word));
    if (!parsed) {
      return RowError(row,
                      absl::StrCat("unknown split (got \"", word, "\", want train, val or test)"));
    }
    split = *parsed;
    contents_.has_split[size_t(split)] = true;
  }
  return AddSample(row, file, label, split);
}

absl::Status CsvReader::AddSample(const TableRow& row, const std::string& file,
                                  const std::string& label, Split split) {
  const int32_t index = contents_.ClassIndex(label);
  const auto [previous, is_new] = listed_.insert({file, contents_.samples.size()});
  if (is_new) {
    contents_.samples.push_back({file, index, split});
    return absl::OkStatus();
  }
  const Sample& before = contents_.samples[previous->second];
  if (before.label == index && before.split == split) return absl::OkStatus();
  return RowError(
      row, absl::StrCat("file listed twice with different labels or splits (got \"", file, "\")"));
}

absl::Status CsvReader::ReadHeader(const TableRow& row) {
  columns_ = Columns(row.fields);
  width_ = row.fields.size();
  if (!columns_.complete()) return BadData(path_, WhyNoList(row, columns_));
  if (!columns_.clash().empty()) return BadData(path_, columns_.clash());
  return absl::OkStatus();
}

// A column called "set" may hold anything: it names splits if any of its fields does.
void CsvReader::LookForSplits(const std::string& text, char delimiter) {
  if (columns_.split.index < 0 || columns_.split.usual) return;
  TableParser parser(text, delimiter);
  TableRow row;
  std::string error, name;
  parser.Next(&row, &error);
  name = StripSpace(row.fields[size_t(columns_.split.index)]);
  while (parser.Next(&row, &error)) {
    if (row.fields.size() == width_ &&
        ParseSplit(StripSpace(row.fields[size_t(columns_.split.index)]))) {
      return;
    }
  }
  columns_.split = {};
  contents_.notes.push_back(
      absl::StrCat("the column \"", name, "\" of the list names no splits: not looked at"));
}

absl::Status CsvReader::ReadRows(TableParser* parser) {
  TableRow row;
  std::string error;
  while (parser->Next(&row, &error)) {
    PT_TRY(AddRow(row));
  }
  return error.empty() ? absl::OkStatus() : RowError(row, error);
}

void CsvReader::AddNotes() {
  if (spaced_labels_ + spaced_files_ > 0) {
    contents_.notes.push_back(absl::StrCat("took off the space around ", spaced_labels_,
                                           " labels and ", spaced_files_, " file names"));
  }
  if (backslashed_files_ > 0) {
    contents_.notes.push_back(
        absl::StrCat("took the backslashes in ", backslashed_files_, " file names as slashes"));
  }
}

absl::StatusOr<DatasetContents> CsvReader::Read() {
  std::vector<uint8_t> bytes;
  PT_TRY(ReadFile(path_, kMaxCsvBytes, &bytes));
  PT_TRY_ASSIGN(const std::string text, DecodeText(path_, bytes));
  const CString real(realpath(contents_.root.c_str(), nullptr), free);
  if (real == nullptr) return IoError(contents_.root, "open", errno);
  real_root_ = absl::StrCat(absl::StripSuffix(real.get(), "/"), "/");

  const char delimiter = GuessDelimiter(text);
  TableParser parser(text, delimiter);
  TableRow header;
  std::string error;
  if (!parser.Next(&header, &error)) {
    return BadData(path_, "bad header (want file,label or file,label,split)");
  }
  PT_TRY(ReadHeader(header));
  LookForSplits(text, delimiter);
  PT_TRY(ReadRows(&parser));
  AddNotes();
  SortClasses(&contents_);
  return std::move(contents_);
}

}  // namespace

absl::StatusOr<TableLook> LookAtTable(const std::string& path) {
  PT_TRY_ASSIGN(ReadOnlyFile file, ReadOnlyFile::Open(path));
  std::vector<uint8_t> bytes(size_t(std::min(file.size(), kLookBytes)));
  PT_TRY(file.ReadAt(0, bytes));
  absl::StatusOr<std::string> text = DecodeText(path, bytes);
  if (!text.ok() && file.size() > kLookBytes) {  // a character of UTF-16 may be cut in two
    bytes.resize(bytes.size() - 2);
    text = DecodeText(path, bytes);
  }
  if (!text.ok()) return TableLook{TableKind::kOther, "not a text file"};
  TableParser parser(*text, GuessDelimiter(*text));
  TableRow header, row;
  std::string error;
  if (!parser.Next(&header, &error)) {
    return TableLook{TableKind::kOther, error.empty() ? "it is empty" : error};
  }
  const Columns columns(header.fields);
  if (columns.complete()) return TableLook{TableKind::kList, ""};
  int64_t rows = 1, pictures = NamesAPicture(header);
  for (; parser.Next(&row, &error); ++rows) pictures += NamesAPicture(row);
  return TableLook{2 * pictures >= rows ? TableKind::kBrokenList : TableKind::kOther,
                   WhyNoList(header, columns)};
}

absl::StatusOr<DatasetContents> ReadCsv(const std::string& csv_path) {
  return CsvReader(csv_path).Read();
}

}  // namespace pocketune::data
