#include "apps/train/run_spec.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "apps/train/exit_code.h"
#include "apps/train/state_json.h"

namespace pocketune {
namespace {

using Json = nlohmann::json;

// No field has its default.
RunSpec FullSpec() {
  RunSpec spec;
  spec.model = {.name = "resnet8",
                .width = 0.75,
                .resolution = 37,
                .input_channels = 2,
                .classes = 11,
                .batch = 5,
                .folded_norm = true,
                .dropout = 0.25};
  spec.weights = "w.safetensors";
  spec.memory_bytes = int64_t{1} << 33;
  spec.cache_bytes = int64_t{1} << 34;
  spec.train.micro_batch = 4;
  spec.train.clip_norm = 1.5;
  spec.train.saved_bits = 16;
  spec.train.decay_bias_and_norm = true;
  spec.train.scheme = "bias:2";
  spec.train.optimizer = "adamw";
  spec.train.momentum = 0.8;
  spec.train.weight_decay = 0.01;
  spec.train.label_smoothing = 0.1;
  spec.train.batch_norm = BatchNormMode::kFrozen;
  spec.train.groups = {{"classifier*", 10}, {"*bias", 2.5}};
  spec.data = {.path = "photos",
               .val_fraction = 0.15,
               .test_fraction = 0.25,
               .max_train_per_class = 7,
               .max_eval_per_class = 8,
               .normalize = "imagenet",
               .perturb = "invert",
               .flip = 0.5,
               .crop_padding = 3,
               .class_names = "a,b"};
  spec.seed = 18446744073709551557ull;
  spec.lr = 0.1 + 0.2;
  spec.lr_schedule = "step";
  spec.warmup_steps = 9;
  spec.lr_step_every = 4;
  spec.lr_gamma = 0.3;
  spec.epochs = 12;
  spec.steps = 13;
  spec.patience = 14;
  spec.keep = "last";
  spec.checkpoint_every = 15;
  return spec;
}

// Every leaf: "/section/key" -> value.
Json LeavesOf(const RunSpec& spec) { return ToJson(spec).flatten(); }

TEST(RunSpecTest, EveryFieldGoesThroughJson) {
  const RunSpec spec = FullSpec();
  const absl::StatusOr<RunSpec> back = RunSpecFromJson(Json::parse(ToJson(spec).dump()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(ToJson(*back), ToJson(spec));
  EXPECT_EQ(back->seed, spec.seed);
  EXPECT_EQ(back->lr, spec.lr);
  EXPECT_EQ(back->train.batch_norm, BatchNormMode::kFrozen);
  ASSERT_EQ(back->train.groups.size(), 2u);
  EXPECT_EQ(back->train.groups[1].pattern, "*bias");
  EXPECT_EQ(back->train.groups[1].lr_scale, 2.5);

  const Json leaves = LeavesOf(spec), defaults = LeavesOf(RunSpec());
  int fields = 0;
  for (const auto& [key, value] : leaves.items()) {
    if (defaults.contains(key)) {
      EXPECT_NE(value, defaults[key]) << key << " is not tested";
    }
    ++fields;
  }
  EXPECT_EQ(fields, 9 + 23 + 4 + 10);  // model, train, groups, data
}

TEST(RunSpecTest, NamesAMissingFieldAndOneOfAWrongType) {
  const Json good = ToJson(FullSpec());
  for (const char* section : {"model", "train", "data"}) {
    for (const auto& [key, value] : good[section].items()) {
      if (key == "batch_norm" || key == "groups") continue;
      const bool came_later = key == "memory_bytes" || key == "cache_bytes" ||
                              key == "micro_batch" || key == "clip_norm" || key == "saved_bits" ||
                              key == "decay_bias_and_norm";
      Json missing = good, wrong = good;
      missing[section].erase(key);
      wrong[section][key] = value.is_string() ? Json(1) : Json("one");
      if (came_later) {
        EXPECT_TRUE(RunSpecFromJson(missing).ok()) << key;
        missing = wrong;
      }
      for (const Json& bad : {missing, wrong}) {
        const absl::StatusOr<RunSpec> spec = RunSpecFromJson(bad);
        ASSERT_FALSE(spec.ok()) << key;
        EXPECT_EQ(spec.status().message(), "spec.json: field " + std::string(section) + "." + key +
                                               " is missing or of a wrong type");
      }
    }
  }
  for (const Json& bad : {Json(), Json(3), Json::array(), Json{{"model", 1}}}) {
    EXPECT_FALSE(RunSpecFromJson(bad).ok()) << bad;
  }
  Json bad = good;
  bad["train"]["groups"] = {{{"pattern", 1}}};
  EXPECT_FALSE(RunSpecFromJson(bad).ok());
}

TEST(RunSpecTest, BiasesDecayOnInRunsFromBeforeThereWasAChoiceAndInNoOthers) {
  Json json = ToJson(RunSpec());
  EXPECT_EQ(json["train"]["decay_bias_and_norm"], false);
  EXPECT_FALSE(RunSpecFromJson(json)->train.decay_bias_and_norm);
  json["train"].erase("decay_bias_and_norm");
  EXPECT_TRUE(RunSpecFromJson(json)->train.decay_bias_and_norm);
}

TEST(RunSpecTest, TheTransformAugmentsOnlyForTraining) {
  DataSpec spec;
  spec.flip = 1.0;
  spec.crop_padding = 2;
  const Shape image = {4, 9, 7, 3};
  ASSERT_TRUE(MakeTransform(spec, image, true).ok());
  ASSERT_TRUE(MakeTransform(spec, image, false).ok());
  spec.normalize = "bright";
  EXPECT_EQ(ExitCodeOf(MakeTransform(spec, image, false).status()), ExitCode::kUsage);
  spec.normalize = "imagenet";
  spec.perturb = "explode";
  EXPECT_EQ(ExitCodeOf(MakeTransform(spec, image, false).status()), ExitCode::kUsage);
}

TEST(TrainStateTest, EveryFieldGoesThroughJson) {
  TrainState state;
  state.step = 3000000000;
  state.lr_factor = 0.125;
  state.rollbacks = 3;
  state.epoch_loss_sum = 0.1 + 0.2;
  state.epoch_steps = 17;
  state.loss_first = 1.0 / 3;
  state.loss_last = 2.0 / 3;
  state.best_accuracy = 0.7;
  state.best_loss = 0.3;
  state.best_epoch = 6;
  state.epochs_without_gain = 2;
  state.rollback_limit = 9;
  state.done = true;
  state.batch = 8;
  const std::string text = ToJsonText(state, {"ant", "b\"ee", "\xff"});
  const absl::StatusOr<TrainState> back = TrainStateFromJsonText(text);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->step, state.step);
  EXPECT_EQ(back->lr_factor, state.lr_factor);
  EXPECT_EQ(back->rollbacks, state.rollbacks);
  EXPECT_EQ(back->epoch_loss_sum, state.epoch_loss_sum);
  EXPECT_EQ(back->epoch_steps, state.epoch_steps);
  EXPECT_EQ(back->loss_first, state.loss_first);
  EXPECT_EQ(back->loss_last, state.loss_last);
  EXPECT_EQ(back->best_accuracy, state.best_accuracy);
  EXPECT_EQ(back->best_loss, state.best_loss);
  EXPECT_EQ(back->best_epoch, state.best_epoch);
  EXPECT_EQ(back->epochs_without_gain, state.epochs_without_gain);
  EXPECT_EQ(back->rollback_limit, state.rollback_limit);
  EXPECT_TRUE(back->done);
  EXPECT_EQ(back->batch, 8);
  EXPECT_EQ(Json::parse(text)["class_names"][1], "b\"ee");
}

TEST(TrainStateTest, RefusesWhatIsNotOne) {
  const Json good = Json::parse(ToJsonText({}, {}));
  for (const auto& [key, value] : good.items()) {
    if (key == "class_names") continue;
    Json bad = good;
    bad[key] = "x";
    EXPECT_FALSE(TrainStateFromJsonText(bad.dump()).ok()) << key;
    bad.erase(key);
    const bool came_later = key == "best_loss" || key == "rollback_limit" || key == "batch";
    EXPECT_EQ(TrainStateFromJsonText(bad.dump()).ok(), came_later) << key;
  }
  Json negative = good;
  negative["step"] = -1;
  EXPECT_FALSE(TrainStateFromJsonText(negative.dump()).ok());
  EXPECT_FALSE(TrainStateFromJsonText("").ok());
  EXPECT_FALSE(TrainStateFromJsonText("[1]").ok());
}

TEST(RunSpecTest, KeepsNamesThatAreNotUtf8) {
  RunSpec spec = FullSpec();
  spec.data.path = "caf\xe9/photos";
  spec.data.class_names = "caf\xe9,tea";
  spec.weights = "\xff.safetensors";
  const std::string text = ToJson(spec).dump();  // throws where a text is not UTF-8
  const absl::StatusOr<RunSpec> back = RunSpecFromJson(Json::parse(text));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->data.path, spec.data.path);
  EXPECT_EQ(back->data.class_names, spec.data.class_names);
  EXPECT_EQ(back->weights, spec.weights);
}

}  // namespace
}  // namespace pocketune
