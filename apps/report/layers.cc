#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/report/html.h"
#include "apps/report/sections.h"

namespace pocketune::report {
namespace {

// Upper ends of the shades of relative change; the last shade has none.
constexpr std::array<double, 5> kShadeEnds = {0.001, 0.01, 0.03, 0.1, 0.3};

struct Layer {
  std::string name;
  double params = 0.0;
  double learning = 0.0;
  double squares = 0.0;  // of change, one a learning parameter
  std::string tooltip;   // escaped

  // Root mean square of the change over the learning parameters.
  double change() const { return learning > 0 ? std::sqrt(squares / learning) : 0; }
};

// Parameters that differ only behind the last dot are one layer.
std::vector<Layer> Group(const std::vector<LayerChange>& params) {
  std::vector<Layer> layers;
  std::map<std::string, size_t> index;
  for (const LayerChange& param : params) {
    const std::string name = param.name.substr(0, param.name.rfind('.'));
    const auto [at, added] = index.emplace(name, layers.size());
    if (added) layers.push_back({name, 0, 0, 0, ""});
    Layer& layer = layers[at->second];
    const double size = static_cast<double>(std::max<int64_t>(0, param.params));
    const double change = std::isfinite(param.change) ? std::min(std::abs(param.change), 1e9) : 0;
    layer.params += size;
    if (param.trainable) {
      layer.learning += size;
      layer.squares += size * change * change;
    }
    absl::StrAppend(&layer.tooltip, layer.tooltip.empty() ? "" : "\n", Escape(param.name), ": ",
                    Count(size),
                    param.trainable ? absl::StrCat(", moved by ", Percent(change)) : ", frozen");
  }
  return layers;
}

std::string ShadeOf(double change) {
  const auto end = std::upper_bound(kShadeEnds.begin(), kShadeEnds.end(), change);
  return absl::StrCat("shade", end - kShadeEnds.begin());
}

std::string Strip(const Layer& layer, double most) {
  const double length = std::log1p(layer.params) / std::log1p(most);
  const double filled = layer.params > 0 ? layer.learning / layer.params : 0;
  const std::string fill = layer.learning > 0
                               ? absl::StrFormat("<i class=\"%s\" style=\"width:%.2f%%\"></i>",
                                                 ShadeOf(layer.change()), 100 * filled)
                               : "";
  return absl::StrCat(
      "<li title=\"", layer.tooltip, "\"><code>", Escape(layer.name),
      "</code><div><div class=\"strip\" style=\"width:", absl::StrFormat("%.2f", 100 * length),
      "%\">", fill, "</div></div><span>", Count(layer.params), "</span><span>",
      layer.learning > 0 ? Percent(layer.change()) : kDash, "</span></li>\n");
}

std::string Legend() {
  std::string legend = "<div class=\"legend\">" + LegendKey("frozen", "frozen") +
                       "<span>learned, and moved by</span>";
  for (size_t i = 0; i <= kShadeEnds.size(); ++i) {
    const std::string text = i < kShadeEnds.size()
                                 ? absl::StrCat("&lt; ", Number(100 * kShadeEnds[i]), " %")
                                 : absl::StrCat("≥ ", Number(100 * kShadeEnds.back()), " %");
    absl::StrAppend(&legend, LegendKey(absl::StrCat("shade", i), text));
  }
  return legend + "</div>\n";
}

}  // namespace

std::string Layers(const std::vector<LayerChange>& params) {
  const char* title = "What learned";
  const std::vector<Layer> layers = Group(params);
  double most = 1, all = 0, learning = 0;
  for (const Layer& layer : layers) {
    most = std::max(most, layer.params);
    all += layer.params;
    learning += layer.learning;
  }
  if (layers.empty()) return Section(title, "No parameters were recorded.", "");
  std::string strips;
  for (const Layer& layer : layers) strips += Strip(layer, most);
  const std::string note = absl::StrCat(
      "A strip is a layer, in the order of the model, as long as it has parameters (logarithmic), "
      "filled as far as it learns: ",
      Count(learning), " of ", Count(all),
      " parameters. The shade is how far it moved: |after − before| / |before|.");
  return Section(title, note, absl::StrCat(Legend(), "<ol class=\"layers\">\n", strips, "</ol>"));
}

}  // namespace pocketune::report
