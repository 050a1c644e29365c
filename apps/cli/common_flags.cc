#include "apps/cli/common_flags.h"

#include <cmath>
#include <map>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace pocketune::cli {
namespace {

// "PATTERN=SCALE", e.g. "classifier*=10".
std::string AddGroup(TrainSpec* train, const std::string& text) {
  const size_t at = text.rfind('=');
  double scale = 0;
  if (at == std::string::npos || at == 0 || !absl::SimpleAtod(text.substr(at + 1), &scale) ||
      !(scale >= 0) || !std::isfinite(scale)) {
    return "--lr-group: want PATTERN=SCALE, got " + text;
  }
  train->groups.push_back({text.substr(0, at), scale});
  return "";
}

// "64MiB", "1.5GB" or "4096" in bytes; negative where it is none of these.
int64_t ParseBytes(const std::string& text) {
  static const std::map<std::string, double> kUnits = {
      {"", 1},       {"B", 1},         {"KB", 1e3},      {"MB", 1e6}, {"GB", 1e9},
      {"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}};
  const size_t digits = text.find_first_not_of("0123456789.");
  const std::string number = text.substr(0, digits);
  const auto unit = kUnits.find(digits == std::string::npos ? "" : text.substr(digits));
  double value = 0;
  if (unit == kUnits.end() || !absl::SimpleAtod(number, &value)) return -1;
  const double bytes = value * unit->second;
  return bytes >= 1 && bytes < 1e15 ? std::llround(bytes) : -1;
}

}  // namespace

void AddCommonFlags(const Command& command, CommonFlags* flags) {
  command.Add("--json", &flags->json, "Write one JSON object to FILE, or - for stdout")
      .Called("FILE");
  command.Add("--threads", &flags->threads, "Threads; 0 = all cores (default)").Whole(0, 256);
  command.Add("--seed", &flags->seed, "Seed of everything random (default 1)");
  command.Add("--quiet,-q", &flags->quiet, "Say nothing but errors");
  command.Add("--isa", &flags->isa, "Cap the instruction set: auto, avx512, avx2, sse4, neon")
      .OneOf({"auto", "avx512", "avx2", "sse4", "neon"});
}

void AddModelFlags(const Command& command, RunSpec* spec, bool model_required) {
  const Flag model =
      command.Add("--model", &spec->model.name, "A model of the zoo (pocketune models)");
  if (model_required) model.Required();
  command.Add("--width", &spec->model.width, "Width multiplier of the channels").Number(0.01, 4.0);
  command.Add("--resolution", &spec->model.resolution, "Side of the square input, pixels")
      .Whole(1, 4096);
  command.Add("--classes", &spec->model.classes, "Classes (default: the data's)").Whole(1, 100000);
  command.Add("--input-channels", &spec->model.input_channels, "1 for grey, 3 for colour")
      .Whole(1, 4096);
  command.Add("--batch", &spec->model.batch, "Samples a step").Whole(1, 4096);
  command.Add("--weights", &spec->weights,
              "Weights to start from: a safetensors file, or a name of `pocketune weights list`");
  command.Add("--no-download", &spec->no_download,
              "Weights by name are taken from the cache folder alone");
  command.Add("--dropout", &spec->model.dropout, "Dropout before the classifier").Number(0.0, 0.99);
}

void AddBytesFlag(const Command& command, const std::string& name, int64_t* bytes,
                  const std::string& help) {
  const auto take = [name, bytes](const std::string& text) {
    *bytes = ParseBytes(text);
    return *bytes < 0 ? name + ": want bytes, e.g. 64MiB or 64MB, got " + text : "";
  };
  command.AddTaken(name, take, help).Called("SIZE");
}

void AddTrainFlags(const Command& command, RunSpec* spec) {
  command.Add("--scheme", &spec->train.scheme,
              "What learns: full, head, bias, bias:K, blocks:K, last:K, channels(R),\n"
              "mcunetv3:MODEL-KIB, pockengine, PATTERN=UPDATE,..., or a JSON file");
  command.Add("--optimizer", &spec->train.optimizer, "sgd, momentum, nesterov or adamw")
      .OneOf({"sgd", "momentum", "nesterov", "adamw"});
  command.Add("--momentum", &spec->train.momentum, "Momentum (default 0.9)").Number(0.0, 0.9999);
  command
      .Add("--weight-decay", &spec->train.weight_decay,
           "Weight decay (default 0); biases and batch norms do not decay")
      .Number(0.0, 10.0);
  command.Add("--decay-bias-and-norm", &spec->train.decay_bias_and_norm,
              "Biases and batch norms decay as weights do");
  command.Add("--label-smoothing", &spec->train.label_smoothing, "Label smoothing")
      .Number(0.0, 0.99);
  const auto take_batch_norm = [spec](const std::string& mode) {
    spec->train.batch_norm = mode == "train" ? BatchNormMode::kTrain : BatchNormMode::kFrozen;
    return std::string();
  };
  command
      .AddTaken("--batch-norm", take_batch_norm,
                "train = batch statistics, frozen = running ones (default: train under full)")
      .OneOf({"train", "frozen"});
  command
      .Add("--micro-batch", &spec->train.micro_batch,
           "Samples at a time; gradients are added up over the batch, a multiple of it")
      .Whole(1, 4096);
  command
      .Add("--clip-norm", &spec->train.clip_norm,
           "Scale gradients down to this norm of all of them (default of train: by what\nlearns)")
      .Number(1e-12, 1e12);
  const auto take_bits = [spec](const std::string& bits) {
    spec->train.saved_bits = bits == "f32" ? 32 : bits == "16" ? 16 : 8;
    return std::string();
  };
  command
      .AddTaken("--saved-activations", take_bits,
                "Bits of what the backward pass keeps: f32 (default), 16 or 8; with --memory only\n"
                "where that is the fastest way to meet it")
      .OneOf({"f32", "16", "8"});
  AddBytesFlag(command, "--memory", &spec->memory_bytes,
               "The memory may not exceed it, e.g. 64MiB; time is given for it where need be");
  AddBytesFlag(command, "--cache", &spec->cache_bytes,
               "Operators on larger tensors run on parts of the batch (default 4MiB)");
  command.AddAllTaken(
      "--lr-group", [spec](const std::string& text) { return AddGroup(&spec->train, text); },
      "PATTERN=SCALE: parameters of that name learn at SCALE times the rate");
}

void AddProcessMemoryFlag(const Command& command, RunSpec* spec) {
  AddBytesFlag(command, "--memory", &spec->memory_bytes,
               "The process's memory may not exceed it beside the program's own, e.g. 64MiB");
}

Flag AddTuningFlag(const Command& command, CommonFlags* flags) {
  return command
      .Add("--tuning", &flags->tuning, "Take the kernels that `bench --autotune` found fastest")
      .Called("FILE");
}

void AddPictureFlags(const Command& command, DataSpec* spec) {
  command.Add("--normalize", &spec->normalize,
              "minus_one_one (default), zero_one, imagenet, mnist, or mean,std");
  command.Add("--perturb", &spec->perturb,
              "Another camera: invert, darken[=GAIN], rotate90|180|270, comma-separated");
  command.Add("--class-names", &spec->class_names, "Names of numbered classes, comma-separated");
}

void AddDataFlags(const Command& command, DataSpec* spec) {
  AddPictureFlags(command, spec);
  command.Add("--val-fraction", &spec->val_fraction, "Where the data has no val split")
      .Number(0.0, 0.9);
  command.Add("--test-fraction", &spec->test_fraction, "Where the data has no test split")
      .Number(0.0, 0.9);
  command.Add("--max-train", &spec->max_train_per_class, "Training pictures per class")
      .Whole(0, int64_t{1} << 40);
  command.Add("--max-eval", &spec->max_eval_per_class, "Val and test pictures per class")
      .Whole(0, int64_t{1} << 40);
}

}  // namespace pocketune::cli
