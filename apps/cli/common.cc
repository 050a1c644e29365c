#include "apps/cli/common.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "apps/cli/standard_output.h"
#include "backends/cpu/cpu_kernels.h"
#include "engine/base/thread_probe.h"
#include "frontends/zoo/zoo.h"

namespace pocketune::cli {
namespace {

int CoresOfProcess() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return CPU_COUNT(&set);
}

// "PATTERN=SCALE", e.g. "classifier*=10".
std::string AddGroup(TrainSpec* train, const std::string& text) {
  const size_t at = text.rfind('=');
  double scale = 0;
  if (at == std::string::npos || at == 0 ||
      !CLI::detail::lexical_cast(text.substr(at + 1), scale) || !(scale >= 0) ||
      !std::isfinite(scale)) {
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
  if (unit == kUnits.end() || !CLI::detail::lexical_cast(number, value)) return -1;
  const double bytes = value * unit->second;
  return bytes >= 1 && bytes < 1e15 ? std::llround(bytes) : -1;
}

// Steps have so many threads, this one among them; pictures are loaded by as many more, and a
// process that measures counts as one.
void KeepToStartableThreads(CommonFlags* flags) {
  if (flags->threads == 1) return;
  const int wanted = 2 * (flags->threads - 1) + 1;
  const int startable = StartableThreads(wanted);
  if (startable == wanted) return;
  flags->threads = 1 + std::max(0, startable - 1) / 2;
  Warn(*flags, absl::StrCat("--threads: the system starts too few beside this one (got ", startable,
                            ", want ", wanted, "); steps use ", flags->threads));
}

bool WriteFile(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && written;
}

}  // namespace

CLI::Validator Within(double min, double max) {
  const std::string range = absl::StrCat("[", min, ", ", max, "]");
  return CLI::Validator(
      [=](std::string& text) {
        double value = 0;
        const bool good = CLI::detail::lexical_cast(text, value) && value >= min && value <= max;
        return good ? std::string() : "got " + text + ", want a number in " + range;
      },
      "FLOAT in " + range);
}

void AddCommonFlags(CLI::App* command, CommonFlags* flags) {
  command->add_option("--json", flags->json, "Write one JSON object to FILE, or - for stdout")
      ->type_name("FILE");
  command->add_option("--threads", flags->threads, "Threads; 0 = all cores (default)")
      ->check(CLI::Range(0, 256));
  command->add_option("--seed", flags->seed, "Seed of everything random (default 1)")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--quiet,-q", flags->quiet, "Say nothing but errors");
  command
      ->add_option("--isa", flags->isa, "Cap the instruction set: auto, avx512, avx2, sse4, neon")
      ->check(CLI::IsMember({"auto", "avx512", "avx2", "sse4", "neon"}));
}

absl::Status ApplyCommonFlags(CommonFlags* flags, Runs runs) {
  if (flags->threads == 0) flags->threads = CoresOfProcess();
  if (runs == Runs::kPlans) KeepToStartableThreads(flags);
  const Isa isa = IsaNamed(flags->isa).value_or(Isa::kAuto);
  return As(ExitCode::kLocked, "--isa " + flags->isa, SetIsa(isa));
}

void AddModelFlags(CLI::App* command, RunSpec* spec, bool model_required) {
  CLI::Option* model =
      command->add_option("--model", spec->model.name, "A model of the zoo (pocketune models)");
  if (model_required) model->required();
  command->add_option("--width", spec->model.width, "Width multiplier of the channels")
      ->check(Within(0.01, 4.0));
  command->add_option("--resolution", spec->model.resolution, "Side of the square input, pixels")
      ->check(CLI::Range(1, 4096));
  command->add_option("--classes", spec->model.classes, "Classes (default: the data's)")
      ->check(CLI::Range(1, 100000));
  command->add_option("--input-channels", spec->model.input_channels, "1 for grey, 3 for colour")
      ->check(CLI::Range(1, 4096));
  command->add_option("--batch", spec->model.batch, "Samples a step")->check(CLI::Range(1, 4096));
  command->add_option("--weights", spec->weights, "Weights to start from, a safetensors file");
  command->add_option("--dropout", spec->model.dropout, "Dropout before the classifier")
      ->check(Within(0.0, 0.99));
}

void AddBytesFlag(CLI::App* command, const std::string& name, int64_t* bytes,
                  const std::string& help) {
  command
      ->add_option_function<std::string>(
          name,
          [name, bytes](const std::string& text) {
            *bytes = ParseBytes(text);
            if (*bytes < 0) {
              throw CLI::ValidationError(name + ": want bytes, e.g. 64MiB or 64MB, got " + text);
            }
          },
          help)
      ->type_name("SIZE");
}

void AddTrainFlags(CLI::App* command, RunSpec* spec) {
  command->add_option("--scheme", spec->train.scheme,
                      "What learns: full, head, bias, bias:K, blocks:K, last:K, channels(R),\n"
                      "mcunetv3:MODEL-KIB, pockengine, PATTERN=UPDATE,..., or a JSON file");
  command->add_option("--optimizer", spec->train.optimizer, "sgd, momentum, nesterov or adamw")
      ->check(CLI::IsMember({"sgd", "momentum", "nesterov", "adamw"}));
  command->add_option("--momentum", spec->train.momentum, "Momentum (default 0.9)")
      ->check(Within(0.0, 0.9999));
  command
      ->add_option("--weight-decay", spec->train.weight_decay,
                   "Weight decay (default 0); biases and batch norms do not decay")
      ->check(Within(0.0, 10.0));
  command->add_flag("--decay-bias-and-norm", spec->train.decay_bias_and_norm,
                    "Biases and batch norms decay as weights do");
  command->add_option("--label-smoothing", spec->train.label_smoothing, "Label smoothing")
      ->check(Within(0.0, 0.99));
  command
      ->add_option_function<std::string>(
          "--batch-norm",
          [spec](const std::string& mode) {
            spec->train.batch_norm =
                mode == "train" ? BatchNormMode::kTrain : BatchNormMode::kFrozen;
          },
          "train = batch statistics, frozen = running ones (default: train under full)")
      ->check(CLI::IsMember({"train", "frozen"}));
  command
      ->add_option("--micro-batch", spec->train.micro_batch,
                   "Samples at a time; gradients are added up over the batch, a multiple of it")
      ->check(CLI::Range(1, 4096));
  command
      ->add_option(
          "--clip-norm", spec->train.clip_norm,
          "Scale gradients down to this norm of all of them (default of train: by what\nlearns)")
      ->check(Within(1e-12, 1e12));
  command
      ->add_option_function<std::string>(
          "--saved-activations",
          [spec](const std::string& bits) {
            spec->train.saved_bits = bits == "f32" ? 32 : bits == "16" ? 16 : 8;
          },
          "Bits of what the backward pass keeps: f32 (default), 16 or 8; with --memory only\n"
          "where that is the fastest way to meet it")
      ->check(CLI::IsMember({"f32", "16", "8"}));
  AddBytesFlag(command, "--memory", &spec->memory_bytes,
               "The memory may not exceed it, e.g. 64MiB; time is given for it where need be");
  AddBytesFlag(command, "--cache", &spec->cache_bytes,
               "Operators on larger tensors run on parts of the batch (default 4MiB)");
  command->add_option_function<std::vector<std::string>>(
      "--lr-group",
      [spec](const std::vector<std::string>& groups) {
        for (const std::string& text : groups) {
          const std::string error = AddGroup(&spec->train, text);
          if (!error.empty()) throw CLI::ValidationError(error);
        }
      },
      "PATTERN=SCALE: parameters of that name learn at SCALE times the rate");
}

void AddProcessMemoryFlag(CLI::App* command, RunSpec* spec) {
  AddBytesFlag(command, "--memory", &spec->memory_bytes,
               "The process's memory may not exceed it beside the program's own, e.g. 64MiB");
}

CLI::Option* AddTuningFlag(CLI::App* command, CommonFlags* flags) {
  return command
      ->add_option("--tuning", flags->tuning,
                   "Take the kernels that `bench --autotune` found fastest")
      ->type_name("FILE");
}

void AddPictureFlags(CLI::App* command, DataSpec* spec) {
  command->add_option("--normalize", spec->normalize,
                      "minus_one_one (default), zero_one, imagenet, mnist, or mean,std");
  command->add_option("--perturb", spec->perturb,
                      "Another camera: invert, darken[=GAIN], rotate90|180|270, comma-separated");
  command->add_option("--class-names", spec->class_names,
                      "Names of numbered classes, comma-separated");
}

void AddDataFlags(CLI::App* command, DataSpec* spec) {
  AddPictureFlags(command, spec);
  command->add_option("--val-fraction", spec->val_fraction, "Where the data has no val split")
      ->check(Within(0.0, 0.9));
  command->add_option("--test-fraction", spec->test_fraction, "Where the data has no test split")
      ->check(Within(0.0, 0.9));
  command->add_option("--max-train", spec->max_train_per_class, "Training pictures per class")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40));
  command->add_option("--max-eval", spec->max_eval_per_class, "Val and test pictures per class")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40));
}

absl::Status CheckClassifies(const std::string& model, const std::string& command) {
  const absl::StatusOr<const ZooEntry*> entry = FindModel(model);
  if (!entry.ok() || (*entry)->task == Task::kClassification) return absl::OkStatus();
  return Fail(ExitCode::kUsage,
              absl::StrCat(model, ": ", command,
                           " learns from labelled pictures, and this model is "
                           "no classifier; compile its plan and train that in a program of your "
                           "own (docs/models.md), or bench it on random data"));
}

void Say(const CommonFlags& flags, const std::string& line) {
  if (flags.quiet) return;
  PrintText(flags, line + "\n");
}

void PrintText(const CommonFlags& flags, const std::string& text) {
  if (flags.json == "-") {
    std::fputs(text.c_str(), stderr);
  } else {
    WriteStandardOutput(text);
  }
}

void Warn(const CommonFlags& flags, const std::string& line) {
  if (!flags.quiet) std::fprintf(stderr, "pocketune: %s\n", line.c_str());
}

void SayError(const absl::Status& status) {
  std::fprintf(stderr, "pocketune: %s\n", std::string(status.message()).c_str());
}

absl::Status EmitJson(const CommonFlags& flags, const nlohmann::json& object) {
  if (flags.json.empty()) return absl::OkStatus();
  const std::string text =
      object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const bool good = flags.json == "-" ? WriteStandardOutput(text) : WriteFile(flags.json, text);
  return good ? absl::OkStatus()
              : Fail(ExitCode::kIo, flags.json + ": the JSON object could not be written");
}

std::string CommandLine() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::string line;
  for (std::string word; std::getline(in, word, '\0');) {
    const bool plain = word.find_first_of(" \t\n'\"\\$&|;<>()*?[]#~`!{}") == std::string::npos;
    std::string quoted;
    for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    absl::StrAppend(&line, line.empty() ? "" : " ",
                    plain && !word.empty() ? word : "'" + quoted + "'");
  }
  return line;
}

std::string HumanBytes(int64_t bytes) {
  if (bytes < 1000) return absl::StrCat(bytes, " B");
  if (bytes < 1000000) return absl::StrFormat("%.1f KB", double(bytes) / 1e3);
  if (bytes < 1000000000) return absl::StrFormat("%.1f MB", double(bytes) / 1e6);
  return absl::StrFormat("%.2f GB", double(bytes) / 1e9);
}

std::string HumanCount(int64_t count) {
  if (count < 1000) return absl::StrCat(count);
  if (count < 1000000) return absl::StrFormat("%.1f K", double(count) / 1e3);
  if (count < 1000000000) return absl::StrFormat("%.1f M", double(count) / 1e6);
  return absl::StrFormat("%.2f G", double(count) / 1e9);
}

std::string HumanSeconds(double seconds) {
  const int64_t s = std::llround(seconds);
  if (s < 60) return absl::StrFormat("%.1f s", seconds);
  if (s < 3600) return absl::StrFormat("%d min %02d s", s / 60, s % 60);
  return absl::StrFormat("%d h %02d min", s / 3600, s / 60 % 60);
}

}  // namespace pocketune::cli
