#include "apps/data/classes.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/data/dataset_formats.h"
#include "apps/data/file_io.h"

namespace pocketune::data {
namespace {

constexpr size_t kNamesInAMessage = 8;

// Bytes of the valid UTF-8 character at the beginning of `text`; 0 where there is none (RFC 3629:
// no overlong forms, no surrogates, nothing above U+10FFFF).
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? uint8_t(text[i]) : 0; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool good = (first != 0xe0 || byte(1) >= 0xa0) && (first != 0xed || byte(1) <= 0x9f);
    return good && follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool good = (first != 0xf0 || byte(1) >= 0x90) && (first != 0xf4 || byte(1) <= 0x8f);
    return good && follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

bool IsUtf8(std::string_view text) {
  for (size_t n; !text.empty(); text.remove_prefix(n)) {
    n = Utf8Length(text);
    if (n == 0) return false;
  }
  return true;
}

// The byte that `\xE9` at the beginning of `text` stands for, or -1.
int EscapedByte(std::string_view text) {
  if (text.size() < 4 || text[0] != '\\' || text[1] != 'x') return -1;
  int value = 0;
  for (const char c : text.substr(2, 2)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'A' || c > 'F')) return -1;
    value = 16 * value + (digit ? c - '0' : c - 'A' + 10);
  }
  return value;
}

// A decimal number in parts that can be compared at any length.
struct Number {
  bool negative = false;
  std::string whole;     // without leading zeros
  std::string fraction;  // without trailing zeros

  bool ParseFrom(std::string_view text) {
    negative = !text.empty() && text[0] == '-';
    if (negative) text.remove_prefix(1);
    const size_t point = std::min(text.find('.'), text.size());
    whole = text.substr(0, point);
    if (point < text.size()) fraction = text.substr(point + 1);
    const auto digits = [](const std::string& s) {
      return std::all_of(s.begin(), s.end(), absl::ascii_isdigit);
    };
    const bool good = !whole.empty() && digits(whole) && digits(fraction) &&
                      (point == text.size() || !fraction.empty());
    whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
    fraction.erase(fraction.find_last_not_of('0') + 1);
    negative = negative && !(whole.empty() && fraction.empty());
    return good;
  }

  friend bool operator<(const Number& a, const Number& b) {
    if (a.negative != b.negative) return a.negative;
    const Number& low = a.negative ? b : a;
    const Number& high = a.negative ? a : b;
    if (low.whole.size() != high.whole.size()) return low.whole.size() < high.whole.size();
    return std::tie(low.whole, low.fraction) < std::tie(high.whole, high.fraction);
  }
};

}  // namespace

std::string ReadableName(std::string_view bytes) {
  const bool valid = IsUtf8(bytes);
  std::string readable;
  while (!bytes.empty()) {
    const size_t n = Utf8Length(bytes);
    const bool escaped = n == 0 || (bytes[0] == '\\' && (!valid || EscapedByte(bytes) >= 0));
    if (escaped) {
      char escape[5];
      std::snprintf(escape, sizeof(escape), "\\x%02X", unsigned(uint8_t(bytes[0])));
      readable += escape;
    } else {
      readable += bytes.substr(0, n);
    }
    bytes.remove_prefix(escaped ? 1 : n);
  }
  return readable;
}

std::string BytesOfName(std::string_view readable) {
  std::string bytes;
  while (!readable.empty()) {
    const int byte = EscapedByte(readable);
    bytes += byte >= 0 ? char(byte) : readable[0];
    readable.remove_prefix(byte >= 0 ? 4 : 1);
  }
  return bytes;
}

std::string_view StripSpace(std::string_view text) {
  // No-break, em and thin spaces and their kin, the ideographic one, the byte order mark.
  static constexpr std::string_view kSpaces[] = {" ",
                                                 "\t",
                                                 "\n",
                                                 "\r",
                                                 "\v",
                                                 "\f",
                                                 "\xc2\xa0",
                                                 "\xe2\x80\x80",
                                                 "\xe2\x80\x81",
                                                 "\xe2\x80\x82",
                                                 "\xe2\x80\x83",
                                                 "\xe2\x80\x84",
                                                 "\xe2\x80\x85",
                                                 "\xe2\x80\x86",
                                                 "\xe2\x80\x87",
                                                 "\xe2\x80\x88",
                                                 "\xe2\x80\x89",
                                                 "\xe2\x80\x8a",
                                                 "\xe2\x80\x8b",
                                                 "\xe2\x80\xaf",
                                                 "\xe3\x80\x80",
                                                 "\xef\xbb\xbf"};
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view space : kSpaces) {
      const bool before = text.substr(0, space.size()) == space;
      const bool after = !before && text.size() >= space.size() &&
                         text.substr(text.size() - space.size()) == space;
      if (before) text.remove_prefix(space.size());
      if (after) text.remove_suffix(space.size());
      found = found || before || after;
    }
  }
  return text;
}

void SortClassNames(std::vector<std::string>* names) {
  std::vector<std::pair<Number, std::string>> numbers(names->size());
  bool all = true;
  for (size_t i = 0; i < names->size() && all; ++i) {
    numbers[i].second = (*names)[i];
    all = numbers[i].first.ParseFrom((*names)[i]);
  }
  if (!all) return std::sort(names->begin(), names->end());
  std::sort(numbers.begin(), numbers.end());
  for (size_t i = 0; i < names->size(); ++i) (*names)[i] = std::move(numbers[i].second);
}

void SortClasses(DatasetContents* contents) {
  std::vector<std::string> sorted = contents->class_names;
  SortClassNames(&sorted);
  std::unordered_map<std::string, int32_t> index;
  for (size_t i = 0; i < sorted.size(); ++i) index[sorted[i]] = int32_t(i);
  std::vector<int32_t> renumbered;
  for (const std::string& name : contents->class_names) renumbered.push_back(index[name]);
  for (Sample& sample : contents->samples) sample.label = renumbered[size_t(sample.label)];
  contents->class_names = std::move(sorted);
  contents->class_index.clear();
}

std::string ListNames(const std::vector<std::string>& names, size_t limit) {
  const size_t written = std::min(names.size(), limit);
  std::string text = absl::StrJoin(names.begin(), names.begin() + int64_t(written), ", ");
  if (written < names.size()) absl::StrAppend(&text, " and ", names.size() - written, " more");
  return text;
}

std::string NoteOnLikeNames(const std::vector<std::string>& names) {
  std::map<std::string, std::vector<std::string>> by_lower;
  for (const std::string& name : names) {
    const std::string bare(StripSpace(name));
    by_lower[absl::AsciiStrToLower(bare)].push_back(absl::StrCat("\"", name, "\""));
  }
  for (const auto& [lower, same] : by_lower) {
    if (same.size() < 2) continue;
    return absl::StrCat("classes that differ in upper and lower case or space alone: ",
                        ListNames(same, kNamesInAMessage));
  }
  return "";
}

absl::Status MatchKnownClasses(const std::string& path, const std::vector<std::string>& known,
                               DatasetContents* contents) {
  std::unordered_map<std::string, int32_t> index;
  for (size_t i = 0; i < known.size(); ++i) index.insert({known[i], int32_t(i)});
  std::vector<int32_t> renumbered;
  for (const std::string& name : contents->class_names) {
    const auto found = index.find(name);
    renumbered.push_back(found == index.end() ? -1 : found->second);
  }
  for (Sample& sample : contents->samples) {
    const std::string& name = contents->class_names[size_t(sample.label)];
    sample.label = renumbered[size_t(sample.label)];
    if (sample.label >= 0) continue;
    return BadData(
        path, absl::StrCat("a class that was not learned (got \"", name, "\", want of the classes ",
                           ListNames(known, kNamesInAMessage), ")"));
  }
  contents->class_names = known;
  return absl::OkStatus();
}

absl::Status NameNumberedClasses(const std::string& path, const std::vector<std::string>& names,
                                 DatasetContents* contents) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (seen.insert(name).second) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": a class name twice (got \"", name, "\", want each once)"));
  }
  std::vector<int32_t> renumbered;
  uint64_t index = 0, wanted = 0;
  for (const std::string& number : contents->class_names) {
    if (!absl::SimpleAtoi(number, &index)) index = names.size();
    wanted = std::max(wanted, index + 1);
    renumbered.push_back(int32_t(index));
  }
  if (wanted > names.size()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": too few class names (got ",
                                                   names.size(), ", want at least ", wanted, ")"));
  }
  for (Sample& sample : contents->samples) sample.label = renumbered[size_t(sample.label)];
  contents->class_names.clear();
  for (const std::string& name : names) contents->class_names.push_back(ReadableName(name));
  return absl::OkStatus();
}

}  // namespace pocketune::data
