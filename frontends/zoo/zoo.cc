#include "frontends/zoo/zoo.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "frontends/zoo/models.h"
#include "graph/base/status_macros.h"
#include "graph/ir/text_distance.h"

namespace pocketune {
namespace {

constexpr Task kClass = Task::kClassification;

constexpr ZooEntry kZoo[] = {
    {"mobilenet_v2", "MobileNetV2 as in torchvision", 224, 224, 3, 1000, 1.0, true, kClass,
     BuildMobileNetV2},
    {"mobilenet_v1", "MobileNetV1 as in MLPerf Tiny (visual wake words)", 96, 96, 3, 2, 0.25, true,
     kClass, BuildMobileNetV1},
    {"resnet8", "ResNet-8 as in MLPerf Tiny (image classification)", 32, 32, 3, 10, 0, true, kClass,
     BuildResNet8},
    {"resnet18", "ResNet-18 as in torchvision", 224, 224, 3, 1000, 0, true, kClass, BuildResNet18},
    {"resnet50", "ResNet-50 as in torchvision", 224, 224, 3, 1000, 0, true, kClass, BuildResNet50},
    {"efficientnet_lite0", "EfficientNet-Lite0 as published for TensorFlow", 224, 224, 3, 1000, 0,
     true, kClass, BuildEfficientNetLite},
    {"efficientnet_lite1", "EfficientNet-Lite1 as published for TensorFlow", 240, 240, 3, 1000, 0,
     true, kClass, BuildEfficientNetLite},
    {"efficientnet_lite2", "EfficientNet-Lite2 as published for TensorFlow", 260, 260, 3, 1000, 0,
     true, kClass, BuildEfficientNetLite},
    {"ds-cnn", "DS-CNN as in MLPerf Tiny (keyword spotting)", 49, 10, 1, 12, 0, false, kClass,
     BuildDsCnn},
    {"ad-autoencoder", "Autoencoder as in MLPerf Tiny (anomaly detection)", 1, 1, 640, 640, 0,
     false, Task::kReconstruction, BuildAdAutoencoder},
    {"mlp", "Two hidden layers of 256 and 128", 28, 28, 1, 10, 0, true, kClass, BuildMlp},
    {"small-cnn", "Four convolutions for 28x28 and up", 28, 28, 1, 10, 0, true, kClass,
     BuildSmallCnn},
    {"mcunet-in0", "MCUNet, 10 frames a second", 48, 48, 3, 1000, 0, true, kClass, BuildMcuNet},
    {"mcunet-in1", "MCUNet, 5 frames a second", 96, 96, 3, 1000, 0, true, kClass, BuildMcuNet},
    {"mcunet-in2", "MCUNet, 256 KB and 1 MB", 160, 160, 3, 1000, 0, true, kClass, BuildMcuNet},
    {"mcunet-in3", "MCUNet, 320 KB and 1 MB", 176, 176, 3, 1000, 0, true, kClass, BuildMcuNet},
    {"mcunet-in4", "MCUNet, 512 KB and 2 MB", 160, 160, 3, 1000, 0, true, kClass, BuildMcuNet},
    {"mcunet-5fps", "MCUNetV3's MCUNet", 128, 128, 3, 1000, 0, true, kClass, BuildMcuNet},
    {"mbv2-w0.35", "MCUNetV3's MobileNetV2, without the mixing layer", 128, 128, 3, 1000, 0, true,
     kClass, BuildMcuNet},
    {"proxyless-w0.3", "MCUNetV3's ProxylessNAS, without the mixing layer", 128, 128, 3, 1000, 0,
     true, kClass, BuildMcuNet},
    {"proxylessnas-mobile", "ProxylessNAS-Mobile", 224, 224, 3, 1000, 0, true, kClass, BuildMcuNet},
};

absl::Status CheckRange(const std::string& where, const char* what, double value, double lo,
                        double hi) {
  if (value >= lo && value <= hi) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", what, " is out of range (got ", value,
                                                 ", want ", lo, " to ", hi, ")"));
}

}  // namespace

std::span<const ZooEntry> Zoo() { return kZoo; }

absl::StatusOr<const ZooEntry*> FindModel(const std::string& name) {
  std::vector<std::string> names;
  for (const ZooEntry& entry : kZoo) {
    if (name == entry.name) return &entry;
    names.emplace_back(entry.name);
  }
  return absl::NotFoundError(absl::StrCat("model: no model of that name (got ", name,
                                          ", nearest is ", Nearest(name, names), ")"));
}

absl::StatusOr<ModelSpec> Complete(ModelSpec spec) {
  PT_TRY_ASSIGN(const ZooEntry* entry, FindModel(spec.name));
  if (spec.width == 0.0) spec.width = entry->default_width == 0 ? 1 : entry->default_width;
  if (spec.resolution == 0 || !entry->square) spec.resolution = entry->height;
  if (spec.input_channels == 0) spec.input_channels = entry->channels;
  if (spec.classes == 0) spec.classes = entry->classes;
  if (entry->default_width == 0 && spec.width != 1.0) {
    return absl::InvalidArgumentError(absl::StrCat(spec.name, ": this model has no width"));
  }
  for (const absl::Status& status :
       {CheckRange(spec.name, "width", spec.width, 0.01, 4),
        CheckRange(spec.name, "resolution", spec.resolution, 1, 4096),
        CheckRange(spec.name, "input channels", spec.input_channels, 1, 4096),
        CheckRange(spec.name, "classes", spec.classes, 1, 100000),
        CheckRange(spec.name, "batch", spec.batch, 1, 4096),
        CheckRange(spec.name, "dropout", spec.dropout, 0, 0.99)}) {
    if (!status.ok()) return status;
  }
  return spec;
}

absl::StatusOr<Graph> BuildModel(const ModelSpec& spec) {
  PT_TRY_ASSIGN(ModelSpec complete, Complete(spec));
  return (*FindModel(spec.name))->build(complete);
}

}  // namespace pocketune
