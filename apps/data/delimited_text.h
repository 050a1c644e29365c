// Tables as people's programs write them: fields between commas, semicolons or tabs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pocketune::data {

// Text in UTF-8 without a byte order mark, from UTF-8 or UTF-16 of either order with or without
// one. Text in other 8-bit codes is passed on as it is. DATA_LOSS for what is no text; `where`
// begins that message.
absl::StatusOr<std::string> DecodeText(const std::string& where, const std::vector<uint8_t>& bytes);

// Appends a character, a Unicode code point, in UTF-8.
void AppendUtf8(uint32_t point, std::string* text);

struct TableRow {
  int line = 0;  // where it begins, from 1
  std::vector<std::string> fields;
};

// Reads one row at a time (RFC 4180): a field in quotes may hold delimiters, line ends and doubled
// quotes; space outside of the quotes is none of it. Empty lines are passed over, and so is a first
// line `sep=;`, which spreadsheets write.
class TableParser {
 public:
  // `text` must outlive the parser.
  TableParser(std::string_view text, char delimiter);

  // False at the end, or where a quote is misplaced or not closed, which sets `error`.
  bool Next(TableRow* row, std::string* error);

 private:
  void Advance();
  bool AtFieldEnd() const;
  void SkipBlanks();
  bool ReadField(std::string* field);

  std::string_view text_;
  char delimiter_;
  size_t pos_ = 0;
  int line_ = 1;
};

}  // namespace pocketune::data
