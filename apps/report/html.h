// Text, numbers and JSON fields on their way into the page.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace pocketune::report {

using Json = nlohmann::json;

// Stands where a figure is missing.
inline constexpr char kDash[] = "–";

// For text and for quoted attributes; control characters become U+FFFD.
std::string Escape(const std::string& text);

// The field where it is a finite number.
std::optional<double> NumberAt(const Json& object, const char* key);

// The field as escaped text, kDash where it is missing, null or empty.
std::string TextAt(const Json& object, const char* key);

// The field where it is an array, else an empty array.
const Json& ArrayAt(const Json& object, const char* key);

// With a no-break space before the unit.
std::string Bytes(double bytes);       // "12.5 MB", KB = 1000
std::string Count(double count);       // "3.7 M"
std::string Percent(double fraction);  // "83.1 %"
std::string Millis(double ms);         // "12.3 ms", "1.52 s"
std::string Number(double value);      // at most four digits of meaning

// `format` of the number, kDash where there is none.
std::string OrDash(std::optional<double> value, std::string (*format)(double));

// <span class="key CLASS"> with a swatch before the text: one entry of a legend.
std::string LegendKey(const std::string& css_class, const std::string& text);

// A horizontal bar, `fraction` (clamped to 0..1) of its place filled.
std::string Meter(double fraction, const std::string& css_class);

// A titled part of the page; `note` is HTML and may be empty.
std::string Section(const std::string& title, const std::string& note, const std::string& body);

}  // namespace pocketune::report
