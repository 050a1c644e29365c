#include "apps/report/html.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace pocketune::report {

std::string Escape(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        const bool control = static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t';
        control ? out += "\uFFFD" : out += c;
    }
  }
  return out;
}

std::optional<double> NumberAt(const Json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto field = object.find(key);
  if (field == object.end() || !field->is_number()) return std::nullopt;
  const double value = field->get<double>();
  return std::isfinite(value) ? std::optional<double>(value) : std::nullopt;
}

std::string TextAt(const Json& object, const char* key) {
  if (!object.is_object()) return kDash;
  const auto field = object.find(key);
  if (field == object.end()) return kDash;
  if (field->is_string()) {
    const std::string& text = field->get_ref<const std::string&>();
    return text.empty() ? kDash : Escape(text);
  }
  return OrDash(NumberAt(object, key), Number);
}

const Json& ArrayAt(const Json& object, const char* key) {
  static const Json& empty = *new Json(Json::array());
  if (!object.is_object()) return empty;
  const auto field = object.find(key);
  return field != object.end() && field->is_array() ? *field : empty;
}

std::string Bytes(double bytes) {
  const double size = std::abs(bytes);
  if (size < 1e3) return absl::StrFormat("%.0f\u00A0B", bytes);
  if (size < 1e6) return absl::StrFormat("%.1f\u00A0KB", bytes / 1e3);
  if (size < 1e9) return absl::StrFormat("%.1f\u00A0MB", bytes / 1e6);
  return absl::StrFormat("%.2f\u00A0GB", bytes / 1e9);
}

std::string Count(double count) {
  const double size = std::abs(count);
  if (size < 1e3) return absl::StrFormat("%.0f", count);
  if (size < 1e6) return absl::StrFormat("%.1f\u00A0K", count / 1e3);
  if (size < 1e9) return absl::StrFormat("%.1f\u00A0M", count / 1e6);
  return absl::StrFormat("%.2f\u00A0G", count / 1e9);
}

std::string Percent(double fraction) {
  const double percent = 100 * fraction;
  const bool small = percent != 0 && std::abs(percent) < 1;
  return small ? absl::StrFormat("%.2g\u00A0%%", percent)
               : absl::StrFormat("%.1f\u00A0%%", percent);
}

std::string Millis(double ms) {
  if (ms >= 10000) return absl::StrFormat("%.1f\u00A0s", ms / 1e3);
  return ms < 10 ? absl::StrFormat("%.2f\u00A0ms", ms) : absl::StrFormat("%.1f\u00A0ms", ms);
}

std::string Number(double value) {
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  return whole ? absl::StrFormat("%.0f", value) : absl::StrFormat("%.4g", value);
}

std::string OrDash(std::optional<double> value, std::string (*format)(double)) {
  return value ? format(*value) : kDash;
}

std::string LegendKey(const std::string& css_class, const std::string& text) {
  return absl::StrCat("<span class=\"key ", css_class, "\"><i></i>", text, "</span>");
}

std::string Meter(double fraction, const std::string& css_class) {
  return absl::StrFormat("<div class=\"meter %s\"><i style=\"width:%.2f%%\"></i></div>", css_class,
                         100 * std::clamp(fraction, 0.0, 1.0));
}

std::string Section(const std::string& title, const std::string& note, const std::string& body) {
  return absl::StrCat("<section>\n<h2>", title, "</h2>\n",
                      note.empty() ? "" : absl::StrCat("<p class=\"note\">", note, "</p>\n"), body,
                      "\n</section>\n");
}

}  // namespace pocketune::report
