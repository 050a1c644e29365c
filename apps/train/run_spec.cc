#include "apps/train/run_spec.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "apps/data/classes.h"
#include "apps/train/exit_code.h"

namespace pocketune {
namespace {

using Json = nlohmann::json;

// Calls v(section, key, field) for every field: one list serves writing and reading.
template <class Spec, class V>
void Visit(Spec& s, V&& v) {
  v("model", "name", s.model.name);
  v("model", "width", s.model.width);
  v("model", "resolution", s.model.resolution);
  v("model", "input_channels", s.model.input_channels);
  v("model", "classes", s.model.classes);
  v("model", "batch", s.model.batch);
  v("model", "folded_norm", s.model.folded_norm);
  v("model", "dropout", s.model.dropout);
  v("model", "weights", s.weights);
  v("train", "scheme", s.train.scheme);
  v("train", "optimizer", s.train.optimizer);
  v("train", "momentum", s.train.momentum);
  v("train", "weight_decay", s.train.weight_decay);
  v("train", "label_smoothing", s.train.label_smoothing);
  v("train", "seed", s.seed);
  v("train", "lr", s.lr);
  v("train", "lr_schedule", s.lr_schedule);
  v("train", "warmup_steps", s.warmup_steps);
  v("train", "lr_step_every", s.lr_step_every);
  v("train", "lr_gamma", s.lr_gamma);
  v("train", "epochs", s.epochs);
  v("train", "steps", s.steps);
  v("train", "patience", s.patience);
  v("train", "keep", s.keep);
  v("train", "checkpoint_every", s.checkpoint_every);
  v("data", "path", s.data.path);
  v("data", "val_fraction", s.data.val_fraction);
  v("data", "test_fraction", s.data.test_fraction);
  v("data", "max_train_per_class", s.data.max_train_per_class);
  v("data", "max_eval_per_class", s.data.max_eval_per_class);
  v("data", "normalize", s.data.normalize);
  v("data", "perturb", s.data.perturb);
  v("data", "flip", s.data.flip);
  v("data", "crop_padding", s.data.crop_padding);
  v("data", "class_names", s.data.class_names);
}

// Fields that came later: a spec without them has their defaults, or what was done before them.
template <class Spec, class V>
void VisitLater(Spec& s, V&& v) {
  v("train", "memory_bytes", s.memory_bytes);
  v("train", "cache_bytes", s.cache_bytes);
  v("train", "micro_batch", s.train.micro_batch);
  v("train", "clip_norm", s.train.clip_norm);
  v("train", "saved_bits", s.train.saved_bits);
  v("train", "decay_bias_and_norm", s.train.decay_bias_and_norm);
}

// False where the JSON value has another type than the field.
template <class T>
bool Take(const Json& j, T& field) {
  if constexpr (std::is_same_v<T, std::string>) {
    if (!j.is_string()) return false;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!j.is_boolean()) return false;
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!j.is_number()) return false;
  } else {
    if (!j.is_number_integer()) return false;
  }
  field = j.get<T>();
  return true;
}

// Fields that a user's files named: JSON holds no bytes that are not UTF-8.
template <class Spec, class V>
void VisitNames(Spec& s, V&& v) {
  v("model", "weights", s.weights);
  v("data", "path", s.data.path);
  v("data", "class_names", s.data.class_names);
}

const char* const kBatchNormNames[] = {"auto", "train", "frozen"};

}  // namespace

Json ToJson(const RunSpec& spec) {
  Json json;
  const auto write = [&](const char* section, const char* key, const auto& field) {
    json[section][key] = field;
  };
  Visit(spec, write);
  VisitLater(spec, write);
  VisitNames(spec, [&](const char* section, const char* key, const std::string& name) {
    json[section][key] = data::ReadableName(name);
  });
  json["train"]["batch_norm"] = kBatchNormNames[static_cast<int>(spec.train.batch_norm)];
  json["train"]["groups"] = Json::array();
  for (const ParamGroupSpec& group : spec.train.groups) {
    json["train"]["groups"].push_back({{"pattern", group.pattern}, {"lr_scale", group.lr_scale}});
  }
  return json;
}

absl::StatusOr<RunSpec> RunSpecFromJson(const Json& json) {
  RunSpec spec;
  std::string bad;
  Visit(spec, [&](const char* section, const char* key, auto& field) {
    if (!json.is_object() || !json.contains(section) || !json[section].is_object() ||
        !json[section].contains(key) || !Take(json[section][key], field)) {
      if (bad.empty()) bad = std::string(section) + "." + key;
    }
  });
  spec.train.decay_bias_and_norm = true;  // runs from before there was a choice
  VisitLater(spec, [&](const char* section, const char* key, auto& field) {
    if (!bad.empty() || !json[section].contains(key)) return;
    if (!Take(json[section][key], field)) bad = std::string(section) + "." + key;
  });
  if (bad.empty()) {
    const Json mode = json["train"].value("batch_norm", Json());
    spec.train.batch_norm = mode == "train"    ? BatchNormMode::kTrain
                            : mode == "frozen" ? BatchNormMode::kFrozen
                                               : BatchNormMode::kAuto;
    for (const Json& group : json["train"].value("groups", Json::array())) {
      if (!group.is_object() || !group.contains("pattern") || !group["pattern"].is_string() ||
          !group.contains("lr_scale") || !group["lr_scale"].is_number()) {
        bad = "train.groups";
        break;
      }
      spec.train.groups.push_back(
          {group["pattern"].get<std::string>(), group["lr_scale"].get<double>()});
    }
  }
  VisitNames(spec,
             [](const char*, const char*, std::string& name) { name = data::BytesOfName(name); });
  if (!bad.empty()) {
    return absl::DataLossError("spec.json: field " + bad + " is missing or of a wrong type");
  }
  return spec;
}

absl::StatusOr<std::unique_ptr<data::Dataset>> OpenDataset(
    const DataSpec& spec, uint64_t seed, const std::vector<std::string>& known_classes) {
  data::DatasetOptions options;
  options.known_classes = known_classes;
  options.seed = seed;
  options.val_fraction = spec.val_fraction;
  options.test_fraction = spec.test_fraction;
  options.max_train_per_class = spec.max_train_per_class;
  options.max_eval_per_class = spec.max_eval_per_class;
  if (!spec.class_names.empty()) {
    options.class_names = absl::StrSplit(spec.class_names, ',');
  }
  absl::StatusOr<std::unique_ptr<data::Dataset>> dataset = data::OpenDataset(spec.path, options);
  if (!dataset.ok()) return As(ExitCode::kData, dataset.status());
  return dataset;
}

absl::StatusOr<data::Transform> MakeTransform(const DataSpec& spec, const Shape& image,
                                              bool train) {
  absl::StatusOr<data::Normalization> normalization = data::ParseNormalization(spec.normalize);
  if (!normalization.ok()) return As(ExitCode::kUsage, normalization.status());
  absl::StatusOr<data::Perturbation> perturbation = data::ParsePerturbation(spec.perturb);
  if (!perturbation.ok()) return As(ExitCode::kUsage, perturbation.status());
  data::TransformOptions options;
  options.height = static_cast<int>(image[1]);
  options.width = static_cast<int>(image[2]);
  options.channels = static_cast<int>(image[3]);
  options.normalization = *normalization;
  options.perturbation = *perturbation;
  if (train) {
    options.flip_probability = static_cast<float>(spec.flip);
    options.crop_padding = spec.crop_padding;
  }
  absl::StatusOr<data::Transform> transform = data::Transform::Create(options);
  if (!transform.ok()) return As(ExitCode::kUsage, transform.status());
  return transform;
}

}  // namespace pocketune
