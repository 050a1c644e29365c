#include "frontends/weights/naming.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace pocketune {
namespace {

struct Rename {
  std::string_view ours, theirs;
};

std::optional<std::string> Find(std::span<const Rename> renames, std::string_view layer) {
  for (const Rename& rename : renames) {
    if (layer == rename.ours) return std::string(rename.theirs);
  }
  return std::nullopt;
}

// A layer of block N, "PREFIX N . REST"; false for any other.
bool SplitBlock(std::string_view layer, std::string_view prefix, int* block,
                std::string_view* rest) {
  if (!layer.starts_with(prefix)) return false;
  layer.remove_prefix(prefix.size());
  const size_t dot = layer.find('.');
  if (dot == std::string_view::npos || !absl::SimpleAtoi(std::string(layer.substr(0, dot)), block))
    return false;
  *rest = layer.substr(dot + 1);
  return *block >= 0;
}

// "STAGE.INDEX" of a block, counted over stages of so many; nothing beyond the last.
std::optional<std::string> StageOf(int block, std::span<const int> repeats) {
  for (size_t stage = 0; stage < repeats.size(); ++stage) {
    if (block < repeats[stage]) return absl::StrCat(stage, ".", block);
    block -= repeats[stage];
  }
  return std::nullopt;
}

// timm writes every family of inverted residuals alike.
struct Family {
  std::string_view block_prefix;
  int first_block;
  std::span<const Rename> outside;         // of blocks
  std::span<const Rename> without_expand;  // the first block
  std::span<const Rename> with_expand;
};

constexpr Rename kLiteOutside[] = {{"_conv_stem", "conv_stem"},
                                   {"_bn0", "bn1"},
                                   {"_conv_head", "conv_head"},
                                   {"_bn1", "bn2"},
                                   {"_fc", "classifier"}};
constexpr Rename kLiteFirst[] = {
    {"_depthwise_conv", "conv_dw"}, {"_bn1", "bn1"}, {"_project_conv", "conv_pw"}, {"_bn2", "bn2"}};
constexpr Rename kLiteOthers[] = {{"_expand_conv", "conv_pw"},    {"_bn0", "bn1"},
                                  {"_depthwise_conv", "conv_dw"}, {"_bn1", "bn2"},
                                  {"_project_conv", "conv_pwl"},  {"_bn2", "bn3"}};
constexpr Family kLite = {"_blocks.", 0, kLiteOutside, kLiteFirst, kLiteOthers};

constexpr Rename kMobileOutside[] = {{"features.0.0", "conv_stem"},
                                     {"features.0.1", "bn1"},
                                     {"features.18.0", "conv_head"},
                                     {"features.18.1", "bn2"},
                                     {"classifier.1", "classifier"}};
constexpr Rename kMobileFirst[] = {
    {"conv.0.0", "conv_dw"}, {"conv.0.1", "bn1"}, {"conv.1", "conv_pw"}, {"conv.2", "bn2"}};
constexpr Rename kMobileOthers[] = {{"conv.0.0", "conv_pw"}, {"conv.0.1", "bn1"},
                                    {"conv.1.0", "conv_dw"}, {"conv.1.1", "bn2"},
                                    {"conv.2", "conv_pwl"},  {"conv.3", "bn3"}};
constexpr Family kMobile = {"features.", 1, kMobileOutside, kMobileFirst, kMobileOthers};

constexpr int kMobileRepeats[] = {1, 2, 3, 4, 3, 3, 1};
constexpr int kLite0Repeats[] = {1, 2, 2, 3, 3, 4, 1};
constexpr int kLite12Repeats[] = {1, 3, 3, 4, 4, 5, 1};

constexpr Rename kMcunet[] = {{"first_conv", "first_conv.conv"},
                              {"first_conv.bn", "first_conv.bn"},
                              {"feature_mix", "feature_mix_layer.conv"},
                              {"feature_mix.bn", "feature_mix_layer.bn"},
                              {"classifier", "classifier.linear"}};
constexpr Rename kMcunetBlock[] = {
    {"pointwise1", "inverted_bottleneck.conv"}, {"pointwise1.bn", "inverted_bottleneck.bn"},
    {"depthwise", "depth_conv.conv"},           {"depthwise.bn", "depth_conv.bn"},
    {"pointwise2", "point_linear.conv"},        {"pointwise2.bn", "point_linear.bn"}};

// Layers alone; what stands behind the last dot of a parameter's name is everybody's.
template <typename Fn>
std::optional<std::vector<std::string>> TranslateLayers(const std::vector<std::string>& params,
                                                        const Fn& layer_name) {
  std::vector<std::string> names;
  for (const std::string& param : params) {
    const size_t dot = param.rfind('.');
    if (dot == std::string::npos) return std::nullopt;
    const std::optional<std::string> layer = layer_name(std::string_view(param).substr(0, dot));
    if (!layer) return std::nullopt;
    names.push_back(*layer + param.substr(dot));
  }
  return names;
}

std::optional<std::vector<std::string>> TimmNames(const std::vector<std::string>& params,
                                                  const Family& family,
                                                  std::span<const int> repeats) {
  return TranslateLayers(params, [&](std::string_view layer) -> std::optional<std::string> {
    if (const auto name = Find(family.outside, layer)) return name;
    int block = 0;
    std::string_view rest;
    if (!SplitBlock(layer, family.block_prefix, &block, &rest)) return std::nullopt;
    const auto stage = StageOf(block - family.first_block, repeats);
    const auto name =
        Find(block == family.first_block ? family.without_expand : family.with_expand, rest);
    if (!stage || !name) return std::nullopt;
    return absl::StrCat("blocks.", *stage, ".", *name);
  });
}

std::optional<std::vector<std::string>> TimmMobileNetV2(const std::vector<std::string>& params) {
  return TimmNames(params, kMobile, kMobileRepeats);
}

std::optional<std::vector<std::string>> TimmEfficientNetLite(
    const std::vector<std::string>& params) {
  const bool deeper = std::any_of(params.begin(), params.end(), [](const std::string& name) {
    return name.starts_with("_blocks.16.");
  });
  return deeper ? TimmNames(params, kLite, kLite12Repeats)
                : TimmNames(params, kLite, kLite0Repeats);
}

std::optional<std::vector<std::string>> McunetNames(const std::vector<std::string>& params) {
  return TranslateLayers(params, [](std::string_view layer) -> std::optional<std::string> {
    if (const auto name = Find(kMcunet, layer)) return name;
    int block = 0;
    std::string_view rest;
    if (!SplitBlock(layer, "blocks.", &block, &rest)) return std::nullopt;
    const auto name = Find(kMcunetBlock, rest);
    if (!name) return std::nullopt;
    return absl::StrCat("blocks.", block, ".mobile_inverted_conv.", *name);
  });
}

constexpr Naming kNamings[] = {
    {"timm's", "", TimmMobileNetV2},
    {"timm's",
     "those of tf_efficientnet_lite* fit; what timm trained itself has other paddings, and answers "
     "worse here",
     TimmEfficientNetLite},
    {"MCUNet's", "", McunetNames}};

}  // namespace

std::span<const Naming> Namings() { return kNamings; }

}  // namespace pocketune
