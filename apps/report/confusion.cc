#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/report/html.h"
#include "apps/report/sections.h"

namespace pocketune::report {
namespace {

constexpr size_t kMaxTable = 20;  // classes shown as a table
constexpr size_t kPairs = 10;     // confused most

using Counts = std::vector<std::vector<int64_t>>;

// Row i of the matrix, as long as the matrix has rows.
std::vector<double> RowOf(const Counts& counts, size_t i) {
  std::vector<double> row(counts.size(), 0.0);
  for (size_t j = 0; j < std::min(counts.size(), counts[i].size()); ++j) {
    row[j] = static_cast<double>(std::max<int64_t>(0, counts[i][j]));
  }
  return row;
}

double Sum(const std::vector<double>& row) {
  double sum = 0;
  for (double n : row) sum += n;
  return sum;
}

std::string NameOf(const std::vector<std::string>& names, size_t i) {
  return i < names.size() && !names[i].empty() ? Escape(names[i]) : absl::StrCat("class ", i);
}

std::string Cell(double n, double all, bool right) {
  if (n == 0) return "<td></td>";
  const double share = n / all;
  return absl::StrFormat("<td class=\"%s%s\" style=\"--a:%.3f\">%.0f</td>",
                         right ? "right" : "wrong", share > 0.55 ? " full" : "",
                         0.08 + 0.92 * share, n);
}

std::string Table(const std::vector<std::string>& names, const Counts& counts) {
  std::string html = "<div class=\"scroll\"><table>\n<tr><td></td>";
  for (size_t j = 0; j < counts.size(); ++j) {
    absl::StrAppend(&html, "<th class=\"turned\"><span>", NameOf(names, j), "</span></th>");
  }
  html += "<th class=\"turned\"><span>right</span></th></tr>\n";
  for (size_t i = 0; i < counts.size(); ++i) {
    const std::vector<double> row = RowOf(counts, i);
    const double all = Sum(row);
    absl::StrAppend(&html, "<tr><th>", NameOf(names, i), "</th>");
    for (size_t j = 0; j < row.size(); ++j) html += Cell(row[j], all, i == j);
    absl::StrAppend(&html, "<th>", all > 0 ? Percent(row[i] / all) : kDash, "</th></tr>\n");
  }
  return html + "</table></div>";
}

struct Pair {
  size_t truth, guess;
  double count, share;
};

std::string Pairs(const std::vector<std::string>& names, const Counts& counts) {
  std::vector<Pair> pairs;
  for (size_t i = 0; i < counts.size(); ++i) {
    const std::vector<double> row = RowOf(counts, i);
    const double all = Sum(row);
    for (size_t j = 0; j < row.size(); ++j) {
      if (i != j && row[j] > 0) pairs.push_back({i, j, row[j], row[j] / all});
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.count > b.count; });
  if (pairs.empty()) return "<p>Nothing was confused.</p>";
  pairs.resize(std::min(pairs.size(), kPairs));
  double widest = 0;
  for (const Pair& pair : pairs) widest = std::max(widest, pair.share);
  std::string html = "<ol class=\"pairs\">\n";
  for (const Pair& pair : pairs) {
    absl::StrAppend(&html, "<li><span>", NameOf(names, pair.truth), " → ",
                    NameOf(names, pair.guess), "</span>", Meter(pair.share / widest, "wrong"),
                    "<span>", Number(pair.count), ", ", Percent(pair.share), "</span></li>\n");
  }
  return html + "</ol>";
}

}  // namespace

std::string Confusion(const std::vector<std::string>& names, const Counts& counts) {
  const char* title = "What it takes for what";
  if (counts.empty()) return Section(title, "Nothing was evaluated.", "");
  if (counts.size() > kMaxTable) {
    return Section(title,
                   absl::StrCat("The pairs of ", counts.size(),
                                " classes that are confused most: true class → answer, count and "
                                "share of the true class."),
                   Pairs(names, counts));
  }
  return Section(
      title,
      "A row is a true class, a column the model's answer. Blue is right, orange wrong; "
      "the stronger, the larger the share of the row.",
      absl::StrCat("<div class=\"matrix\">", Table(names, counts), "<div><h3>Confused most</h3>\n",
                   Pairs(names, counts), "</div></div>"));
}

}  // namespace pocketune::report
