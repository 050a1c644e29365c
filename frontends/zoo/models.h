// Builders of the zoo's models, one a family. Each takes a complete spec.
#pragma once

#include "frontends/zoo/zoo.h"

namespace pocketune {

absl::StatusOr<Graph> BuildMobileNetV1(const ModelSpec& spec);
absl::StatusOr<Graph> BuildMobileNetV2(const ModelSpec& spec);
absl::StatusOr<Graph> BuildResNet8(const ModelSpec& spec);
absl::StatusOr<Graph> BuildResNet18(const ModelSpec& spec);
absl::StatusOr<Graph> BuildResNet50(const ModelSpec& spec);
absl::StatusOr<Graph> BuildMcuNet(const ModelSpec& spec);  // all of mcunet.cc's table, by name
absl::StatusOr<Graph> BuildEfficientNetLite(const ModelSpec& spec);  // 0, 1 and 2, by name
absl::StatusOr<Graph> BuildDsCnn(const ModelSpec& spec);
absl::StatusOr<Graph> BuildAdAutoencoder(const ModelSpec& spec);
absl::StatusOr<Graph> BuildMlp(const ModelSpec& spec);
absl::StatusOr<Graph> BuildSmallCnn(const ModelSpec& spec);

}  // namespace pocketune
