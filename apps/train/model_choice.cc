#include "apps/train/model_choice.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace pocketune {
namespace {

// Published weights are for it (`pocketune weights list`).
constexpr char kPretrained[] = "efficientnet_lite0";
constexpr char kFromScratch[] = "small-cnn";

// Pictures as small as this show nothing that weights of ImageNet know; so many of them teach a
// small network from nothing.
constexpr int kTinySide = 40;
constexpr int64_t kEnoughForRandomWeights = 5000;

// The model's own resolution, and the smallest that leaves its last layers something to see.
constexpr int kLargestResolution = 224;
constexpr int kSmallestResolution = 96;
constexpr int kResolutionStep = 32;

// Fewer pictures a class than this are learned by heart where more than the classifier learns.
constexpr int64_t kFewPictures = 10;

constexpr int64_t kLooked = 9;  // pictures, of which the middle one is typical
// Decoders may leave out detail beyond.
constexpr data::DecodeHint kLargeEnough = {kLargestResolution, kLargestResolution};

int ResolutionFor(int side) {
  const int steps = (side + kResolutionStep - 1) / kResolutionStep;
  return std::clamp(steps * kResolutionStep, kSmallestResolution, kLargestResolution);
}

std::string ChooseScheme(const PictureFacts& facts, bool pretrained, RunSpec* spec) {
  const int64_t each = facts.train_pictures / std::max(1, facts.classes);
  if (!pretrained) {
    spec->train.scheme = "full";
    return "full: all weights begin at random (--scheme)";
  }
  spec->train.scheme = each < kFewPictures ? "head" : "blocks:4";
  return absl::StrCat(spec->train.scheme, ": ", each, " pictures a class (--scheme)");
}

}  // namespace

PictureFacts FactsOf(const data::Dataset& dataset) {
  const std::vector<int64_t>& pictures = dataset.Indices(data::Split::kTrain);
  PictureFacts facts{.train_pictures = static_cast<int64_t>(pictures.size()),
                     .classes = static_cast<int>(dataset.class_names().size())};
  std::vector<int> sides;
  const int64_t looked = std::min(kLooked, facts.train_pictures);
  for (int64_t i = 0; i < looked; ++i) {
    const auto at = static_cast<size_t>(i * facts.train_pictures / looked);
    data::Image image;
    if (!dataset.DecodeImage(pictures[at], kLargeEnough, &image).ok()) continue;
    sides.push_back(std::min(image.height, image.width));
  }
  std::sort(sides.begin(), sides.end());
  if (!sides.empty()) facts.side = sides[sides.size() / 2];
  return facts;
}

std::vector<std::string> ChooseModel(const PictureFacts& facts, RunSpec* spec) {
  std::vector<std::string> lines;
  if (!spec->model.name.empty()) {
    if (spec->train.scheme.empty()) spec->train.scheme = "full";
    return lines;
  }
  const bool tiny = facts.side <= kTinySide && facts.train_pictures >= kEnoughForRandomWeights;
  const bool pretrained = !tiny && !spec->from_scratch;
  spec->model.name = pretrained ? kPretrained : kFromScratch;
  std::string why = absl::StrCat(facts.train_pictures, " pictures, a typical one ", facts.side,
                                 " pixels at its shorter side");
  if (spec->model.resolution == 0 && pretrained) {
    spec->model.resolution = ResolutionFor(facts.side);
    absl::StrAppend(&why, ", seen at ", spec->model.resolution, " (--model, --resolution)");
  } else {
    absl::StrAppend(&why, " (--model)");
  }
  lines.push_back(absl::StrCat("model       ", spec->model.name, ": ", why));
  if (spec->train.scheme.empty()) {
    lines.push_back("scheme      " + ChooseScheme(facts, pretrained, spec));
  }
  return lines;
}

}  // namespace pocketune
