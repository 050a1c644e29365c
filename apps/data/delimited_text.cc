#include "apps/data/delimited_text.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/data/file_io.h"
#include "graph/base/status_macros.h"

namespace pocketune::data {
namespace {

enum class Encoding : uint8_t { kBytes, kUtf16Little, kUtf16Big };

// By the byte order mark, or by which half of the first character is zero: a table begins with a
// letter, a quote or a space.
Encoding EncodingOf(const std::vector<uint8_t>& bytes) {
  if (bytes.size() < 2) return Encoding::kBytes;
  if ((bytes[0] == 0xff && bytes[1] == 0xfe) || (bytes[0] != 0 && bytes[1] == 0)) {
    return Encoding::kUtf16Little;
  }
  if ((bytes[0] == 0xfe && bytes[1] == 0xff) || (bytes[0] == 0 && bytes[1] != 0)) {
    return Encoding::kUtf16Big;
  }
  return Encoding::kBytes;
}

absl::StatusOr<std::string> FromUtf16(const std::string& where, const std::vector<uint8_t>& bytes,
                                      bool big) {
  if (bytes.size() % 2 != 0) return BadData(where, "damaged UTF-16 (got half a character)");
  const auto unit = [&](size_t i) {
    return uint32_t(big ? bytes[i] << 8 | bytes[i + 1] : bytes[i + 1] << 8 | bytes[i]);
  };
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    uint32_t point = unit(i);
    if (point >= 0xd800 && point < 0xe000) {
      const uint32_t low = i + 2 < bytes.size() ? unit(i + 2) : 0;
      if (point >= 0xdc00 || low < 0xdc00 || low >= 0xe000) {
        return BadData(where, absl::StrCat("damaged UTF-16 at byte ", i));
      }
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
      i += 2;
    }
    AppendUtf8(point, &text);
  }
  return text;
}

}  // namespace

void AppendUtf8(uint32_t point, std::string* text) {
  if (point < 0x80) {
    *text += char(point);
  } else if (point < 0x800) {
    *text += {char(0xc0 | point >> 6), char(0x80 | (point & 0x3f))};
  } else if (point < 0x10000) {
    *text +=
        {char(0xe0 | point >> 12), char(0x80 | (point >> 6 & 0x3f)), char(0x80 | (point & 0x3f))};
  } else {
    *text += {char(0xf0 | point >> 18), char(0x80 | (point >> 12 & 0x3f)),
              char(0x80 | (point >> 6 & 0x3f)), char(0x80 | (point & 0x3f))};
  }
}

absl::StatusOr<std::string> DecodeText(const std::string& where,
                                       const std::vector<uint8_t>& bytes) {
  const Encoding encoding = EncodingOf(bytes);
  std::string text(bytes.begin(), bytes.end());
  if (encoding != Encoding::kBytes) {
    PT_TRY_ASSIGN(std::string decoded, FromUtf16(where, bytes, encoding == Encoding::kUtf16Big));
    text = std::move(decoded);
  }
  if (absl::StartsWith(text, "\xef\xbb\xbf")) text.erase(0, 3);
  if (text.find('\0') != std::string::npos)
    return BadData(where, "not a text file (got a NUL byte)");
  return text;
}

TableParser::TableParser(std::string_view text, char delimiter)
    : text_(text), delimiter_(delimiter) {
  const bool names_separator =
      text.size() > 5 && text.substr(0, 4) == "sep=" && (text[5] == '\n' || text[5] == '\r');
  for (int i = 0; i < 5 && names_separator; ++i) Advance();
}

bool TableParser::Next(TableRow* row, std::string* error) {
  while (pos_ < text_.size() && (text_[pos_] == '\n' || text_[pos_] == '\r')) Advance();
  if (pos_ >= text_.size()) return false;
  row->line = line_;
  row->fields.clear();
  for (;;) {
    row->fields.emplace_back();
    if (!ReadField(&row->fields.back())) {
      *error = "misplaced quote (want a field quoted as a whole)";
      return false;
    }
    if (pos_ >= text_.size() || text_[pos_] != delimiter_) return true;
    Advance();
  }
}

void TableParser::Advance() {
  if (text_[pos_] == '\n') ++line_;
  ++pos_;
}

bool TableParser::AtFieldEnd() const {
  return pos_ >= text_.size() || text_[pos_] == delimiter_ || text_[pos_] == '\n' ||
         text_[pos_] == '\r';
}

void TableParser::SkipBlanks() {
  while (!AtFieldEnd() && (text_[pos_] == ' ' || text_[pos_] == '\t')) ++pos_;
}

bool TableParser::ReadField(std::string* field) {
  const size_t begin = pos_;
  SkipBlanks();
  if (pos_ >= text_.size() || text_[pos_] != '"') {
    pos_ = begin;
    for (; !AtFieldEnd(); Advance()) field->push_back(text_[pos_]);
    return true;
  }
  for (Advance(); pos_ < text_.size(); Advance()) {
    if (text_[pos_] == '"') {
      if (pos_ + 1 >= text_.size() || text_[pos_ + 1] != '"') {
        Advance();
        SkipBlanks();
        return AtFieldEnd();
      }
      Advance();
    }
    field->push_back(text_[pos_]);
  }
  return false;
}

}  // namespace pocketune::data
