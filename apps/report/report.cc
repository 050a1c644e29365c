#include "apps/report/report.h"

#include <span>

#include "absl/strings/str_cat.h"
#include "apps/report/html.h"
#include "apps/report/sections.h"
#include "engine/base/file_io.h"

namespace pocketune {
namespace {

std::string Page(const ReportInput& input) {
  // The policy holds even if a browser found something to load: nothing may be.
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>pocketune · ",
      report::TextAt(input.figures, "model"), "</title>\n<style>", report::kStyle,
      "</style>\n</head>\n<body>\n<main>\n", report::Header(input.figures),
      report::Curves(input.epochs), report::MemoryMap(input.memory_map),
      report::Layers(input.layers), report::Confusion(input.class_names, input.confusion),
      report::Details(input.figures), report::Footer(input.figures), "</main>\n</body>\n</html>\n");
}

}  // namespace

absl::Status WriteReport(const ReportInput& input, const std::string& path) {
  const std::string page = Page(input);
  const std::span<const uint8_t> chunks[] = {
      {reinterpret_cast<const uint8_t*>(page.data()), page.size()}};
  if (const Status status = WriteFileAtomically(path.c_str(), chunks); !status.ok()) {
    return absl::UnavailableError(absl::StrCat(path, ": ", status.message()));
  }
  return absl::OkStatus();
}

}  // namespace pocketune
