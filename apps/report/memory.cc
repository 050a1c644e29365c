#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/report/html.h"
#include "apps/report/plot.h"
#include "apps/report/sections.h"

namespace pocketune::report {
namespace {

constexpr size_t kMaxBuffers = 2000;  // drawn, the largest ones; keeps the page light
constexpr size_t kListed = 8;         // largest buffers at the peak
constexpr double kMaxSteps = 1e6;

enum Kind { kKept, kShort, kGradient, kScratch, kKinds };

struct KindText {
  const char* css_class;
  const char* name;
};
constexpr KindText kKindTexts[kKinds] = {{"kept", "kept for backward"},
                                         {"short", "short-lived in forward"},
                                         {"grad", "gradients and updates"},
                                         {"scratch", "scratch"}};

struct Block {
  std::string name;  // escaped
  double first, last, offset, bytes;
  Kind kind;
};

// The runs of equal phase; a step outside all of them counts as forward.
class Phases {
 public:
  explicit Phases(const Json& map) {
    for (const Json& run : ArrayAt(map, "phases")) {
      const auto first = NumberAt(run, "first"), last = NumberAt(run, "last");
      if (first && last && TextAt(run, "phase") != "fwd") runs_.push_back({*first, *last});
    }
  }
  bool forward(double step) const {
    return std::none_of(runs_.begin(), runs_.end(),
                        [step](const Run& run) { return run.first <= step && step <= run.last; });
  }
  // First step that is not forward.
  std::optional<double> turn() const {
    return runs_.empty() ? std::nullopt : std::optional<double>(runs_.front().first);
  }

 private:
  struct Run {
    double first, last;
  };
  std::vector<Run> runs_;
};

// Largest first; what is not a buffer is left out.
std::vector<Block> ReadBlocks(const Json& map) {
  const Phases phases(map);
  std::vector<Block> blocks;
  for (const Json& buffer : ArrayAt(map, "buffers")) {
    const auto first = NumberAt(buffer, "first"), last = NumberAt(buffer, "last");
    const auto offset = NumberAt(buffer, "offset"), bytes = NumberAt(buffer, "bytes");
    if (!first || !last || !offset || !bytes) continue;
    if (*first < 0 || *last < *first || *last > kMaxSteps || *offset < 0 || *bytes <= 0) continue;
    const bool scratch = buffer.contains("scratch") && buffer["scratch"] == true;
    const Kind kind = scratch                   ? kScratch
                      : !phases.forward(*first) ? kGradient
                      : phases.forward(*last)   ? kShort
                                                : kKept;
    blocks.push_back({TextAt(buffer, "name"), *first, *last, *offset, *bytes, kind});
  }
  std::stable_sort(blocks.begin(), blocks.end(),
                   [](const Block& a, const Block& b) { return a.bytes > b.bytes; });
  return blocks;
}

std::vector<double> ReadLive(const Json& map) {
  std::vector<double> live;
  for (const Json& bytes : ArrayAt(map, "live_bytes")) {
    live.push_back(bytes.is_number() ? std::max(0.0, bytes.get<double>()) : 0.0);
  }
  return live;
}

void DrawBlocks(const std::vector<Block>& blocks, Plot* plot) {
  std::array<std::string, kKinds> groups;
  for (size_t i = 0; i < std::min(blocks.size(), kMaxBuffers); ++i) {
    const Block& b = blocks[i];
    const double left = plot->X(b.first), top = plot->Y(b.offset + b.bytes);
    absl::StrAppend(&groups[b.kind], "<rect x=\"", Coord(left), "\" y=\"", Coord(top),
                    "\" width=\"", Coord(plot->X(b.last + 1) - left), "\" height=\"",
                    Coord(plot->Y(b.offset) - top), "\"><title>", b.name, ", ", Bytes(b.bytes),
                    ", steps ", Number(b.first), " to ", Number(b.last), "</title></rect>\n");
  }
  for (int kind = 0; kind < kKinds; ++kind) {
    plot->Add(absl::StrCat("<g class=\"", kKindTexts[kind].css_class, "\">", groups[kind], "</g>"));
  }
}

void DrawLines(const Json& map, const std::vector<double>& live, Plot* plot) {
  std::string path;
  for (size_t i = 0; i < live.size(); ++i) {
    absl::StrAppend(&path, i == 0 ? "M0 " : "V", Coord(plot->Y(live[i])), "H",
                    Coord(plot->X(static_cast<double>(i + 1))));
  }
  plot->Add(absl::StrCat("<path class=\"line live\" d=\"", path, "\"/>"));
  if (const auto bound = NumberAt(map, "lower_bound_bytes")) {
    plot->Add(
        absl::StrCat("<path class=\"line bound\" d=\"M0 ", Coord(plot->Y(*bound)), "H1000\"/>"));
  }
  if (const auto turn = Phases(map).turn()) {
    plot->Add(
        absl::StrCat("<path class=\"line turn\" d=\"M", Coord(plot->X(*turn)), " 0V1000\"/>"));
  }
}

std::string PeakList(const Json& map, const std::vector<Block>& blocks, double peak) {
  std::string rows;
  size_t listed = 0;
  double largest = 0;
  for (const Block& b : blocks) {
    if (b.first > peak || b.last < peak) continue;
    if (++listed > kListed) break;
    largest = std::max(largest, b.bytes);
    absl::StrAppend(&rows, "<li>", LegendKey(kKindTexts[b.kind].css_class, b.name),
                    Meter(b.bytes / largest, kKindTexts[b.kind].css_class), "<span>",
                    Bytes(b.bytes), "</span></li>\n");
  }
  std::string step = absl::StrCat("step ", Number(peak));
  const Json& steps = ArrayAt(map, "steps");
  if (peak < static_cast<double>(steps.size())) {
    const Json& at = steps[static_cast<size_t>(peak)];
    absl::StrAppend(&step, ", <code>", TextAt(at, "op"), " ", TextAt(at, "loc"), "</code>");
  }
  return absl::StrCat("<h3>Largest at the peak (", step, ")</h3>\n<ol class=\"peak\">\n", rows,
                      "</ol>");
}

std::string Legend(const std::vector<Block>& blocks, double peak) {
  std::array<double, kKinds> bytes = {};
  for (const Block& b : blocks) {
    if (b.first <= peak && peak <= b.last) bytes[b.kind] += b.bytes;
  }
  std::string legend = "<div class=\"legend\">";
  for (int kind = 0; kind < kKinds; ++kind) {
    absl::StrAppend(&legend, LegendKey(kKindTexts[kind].css_class,
                                       absl::StrCat(kKindTexts[kind].name, ", ", Bytes(bytes[kind]),
                                                    " at the peak")));
  }
  return absl::StrCat(legend, LegendKey("line live", "live bytes"),
                      LegendKey("line bound", "lower bound"),
                      LegendKey("line turn", "backward begins"), "</div>\n");
}

std::string Note(const Json& map, size_t buffers) {
  const auto arena = NumberAt(map, "arena_bytes"), bound = NumberAt(map, "lower_bound_bytes");
  std::string note = absl::StrCat(
      "One training step from left to right. A block is a buffer: as wide as it lives, as high as "
      "it is large, where it lies in the arena of ",
      OrDash(arena, Bytes), ".");
  if (arena && bound && *bound > 0) {
    const double more = *arena / *bound - 1;
    absl::StrAppend(&note, " No plan for this order of operators can do with less than ",
                    Bytes(*bound),
                    more < 0.001 ? "; this one is within 0.1 % of it."
                                 : absl::StrCat("; this one takes ", Percent(more), " more."));
  }
  if (buffers > kMaxBuffers) {
    absl::StrAppend(&note, " Drawn are the ", kMaxBuffers, " largest of ", buffers, " buffers.");
  }
  return note;
}

}  // namespace

std::string MemoryMap(const Json& map) {
  const char* title = "Memory over one step";
  const std::vector<Block> blocks = ReadBlocks(map);
  if (blocks.empty()) return Section(title, "No memory map was recorded.", "");
  const std::vector<double> live = ReadLive(map);
  double steps = static_cast<double>(live.size());
  double top = NumberAt(map, "arena_bytes").value_or(0);
  for (const Block& b : blocks) {
    steps = std::max(steps, b.last + 1);
    top = std::max(top, b.offset + b.bytes);
  }
  const double peak = std::clamp(NumberAt(map, "peak_step").value_or(0), 0.0, steps - 1);
  Plot plot(NiceAxis(0, steps, 8, false, Number), NiceAxis(0, top * 1.02, 5, false, Bytes));
  DrawBlocks(blocks, &plot);
  DrawLines(map, live, &plot);
  return Section(title, Note(map, blocks.size()),
                 Legend(blocks, peak) + plot.Html("memory", title, "step of the schedule") +
                     PeakList(map, blocks, peak));
}

}  // namespace pocketune::report
