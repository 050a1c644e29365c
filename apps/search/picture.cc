#include "apps/search/picture.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/report/html.h"

namespace pocketune {
namespace {

constexpr double kWidth = 960, kHeight = 420, kLeft = 60, kRight = 20, kTop = 64, kBottom = 60;

constexpr char kStyle[] =
    "<style>text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:16px;font-weight:600}"
    ".bias{fill:none;stroke:#777;stroke-width:1.5}.learns{fill:#eef4fb}.bar{fill:#b9bec5}"
    ".taken{fill:#1f6fb2}.axis{stroke:#999}</style>";

class Picture {
 public:
  Picture(const SearchSpace& space, const Contributions& found, const Learning& chosen)
      : space_(space), found_(found), chosen_(chosen) {
    for (const ChoiceValue& value : found.biases) Include(value.gain);
    for (const auto& choices : found.weights) {
      for (const ChoiceValue& value : choices) Include(value.gain);
    }
    if (high_ <= low_) high_ = low_ + 1;
  }

  std::string Draw(const std::string& title) const {
    return absl::StrCat(
        absl::StrFormat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" "
                        "role=\"img\" aria-label=\"%s\">",
                        kWidth, kHeight, report::Escape(title)),
        kStyle, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>", Range(), Bars(), Biases(),
        Axes(), Text(kLeft, 24, "title", "start", report::Escape(title)), Legend(), "</svg>\n");
  }

 private:
  void Include(double gain) {
    low_ = std::min(low_, gain);
    high_ = std::max(high_, gain);
  }
  double Slot() const { return (kWidth - kLeft - kRight) / space_.layers(); }
  double X(double layer) const { return kLeft + layer * Slot(); }
  double Y(double gain) const {
    return kTop + (high_ - gain) / (high_ - low_) * (kHeight - kTop - kBottom);
  }

  static std::string Text(double x, double y, const char* css_class, const char* anchor,
                          const std::string& text) {
    return absl::StrFormat("<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>",
                           css_class, x, y, anchor, text);
  }
  static std::string Rect(double x, double y, double width, double height, const char* css_class,
                          const std::string& tooltip) {
    return absl::StrFormat(
        "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>%s</title>"
        "</rect>",
        css_class, x, y, width, height, tooltip);
  }

  // The layers whose biases learn.
  std::string Range() const {
    return Rect(X(space_.layers() - chosen_.biases), kTop, chosen_.biases * Slot(),
                kHeight - kTop - kBottom, "learns",
                absl::StrCat("the biases of the last ", chosen_.biases, " layers learn"));
  }

  bool IsChosen(int layer, double ratio) const {
    return std::any_of(chosen_.weights.begin(), chosen_.weights.end(), [&](const auto& weight) {
      return weight.layer == layer && weight.ratio == ratio;
    });
  }

  // One bar for each part of each weight, the smallest first.
  std::string Bars() const {
    std::string bars;
    const double width = Slot() / (std::size(kRatios) + 1);
    for (int layer = 0; layer < space_.layers(); ++layer) {
      for (size_t c = 0; c < found_.weights[layer].size(); ++c) {
        const double ratio = found_.ratios[layer][c], gain = found_.weights[layer][c].gain;
        const auto place = std::find(std::begin(kRatios), std::end(kRatios), ratio);
        const double x = X(layer) + width * (0.5 + double(std::end(kRatios) - place - 1));
        bars +=
            Rect(x, Y(gain), width * 0.9, Y(0) - Y(gain), IsChosen(layer, ratio) ? "taken" : "bar",
                 absl::StrFormat("%s, %g of the channels: %.4f nats",
                                 report::Escape(space_.weight_name(layer)), ratio, gain));
      }
    }
    return bars;
  }

  // What the biases from each layer on bring.
  std::string Biases() const {
    std::string path;
    for (int k = 0; k <= found_.biases_tried; ++k) {
      absl::StrAppendFormat(&path, "%s%.1f %.1f", k == 0 ? "M" : "L", X(space_.layers() - k),
                            Y(found_.biases[k].gain));
    }
    return absl::StrCat("<path class=\"bias\" d=\"", path, "\"/>");
  }

  std::string Axes() const {
    std::string axes =
        absl::StrFormat("<path class=\"axis\" d=\"M%g %.1fH%g\"/>", kLeft, Y(0), kWidth - kRight);
    for (const double gain : {low_, high_}) {
      axes += Text(kLeft - 6, Y(gain) + 4, "", "end", absl::StrFormat("%.3f", gain));
    }
    for (int layer = 0; layer < space_.layers(); layer += 5) {
      axes += Text(X(layer + 0.5), kHeight - kBottom + 18, "", "middle", absl::StrCat(layer));
    }
    return axes + Text(kWidth / 2, kHeight - 16, "", "middle",
                       "layer, from the input; up: how far the loss on validation falls (nats)");
  }

  static std::string Legend() {
    return Rect(kLeft, 38, 11, 11, "taken", "") +
           Text(kLeft + 16, 48, "", "start", "weight taken") +
           Rect(kLeft + 110, 38, 11, 11, "bar", "") +
           Text(kLeft + 126, 48, "", "start", "tried (1/8, 1/4, 1/2, all of its channels)") +
           Rect(kLeft + 380, 38, 11, 11, "learns", "") +
           Text(kLeft + 396, 48, "", "start", "bias learns") +
           absl::StrFormat("<path class=\"bias\" d=\"M%g 44h20\"/>", kLeft + 480) +
           Text(kLeft + 506, 48, "", "start", "gain of all biases from here on");
  }

  const SearchSpace& space_;
  const Contributions& found_;
  const Learning& chosen_;
  double low_ = 0, high_ = 0;
};

}  // namespace

std::string SearchPicture(const SearchSpace& space, const Contributions& contributions,
                          const Learning& chosen, const std::string& title) {
  return Picture(space, contributions, chosen).Draw(title);
}

}  // namespace pocketune
