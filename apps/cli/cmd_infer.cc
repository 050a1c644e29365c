#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/common_flags.h"
#include "apps/cli/named_weights.h"
#include "apps/cli/target.h"
#include "apps/data/decode_bytes.h"
#include "apps/data/image.h"
#include "apps/train/evaluator.h"
#include "engine/base/resident_memory.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;

struct InferFlags {
  std::string checkpoint;
  std::vector<std::string> files;
  int top = 3;
};

std::string ClassName(const std::vector<std::string>& names, int index) {
  return index < static_cast<int>(names.size()) ? names[index] : "class " + std::to_string(index);
}

// For one sample where the plan has it, so that an answer is the same in whatever company a picture
// comes. Of an old plan the whole batch; what a batch lacks stays zero then.
constexpr const char* kSchedule = "predict";

class Predictor {
 public:
  Predictor(OpenedTarget* target, const data::Transform* transform)
      : target_(target), transform_(transform) {
    const std::vector<PortInfo> inputs = target->session->inputs(kSchedule);
    const std::vector<PortInfo> outputs = target->session->outputs(kSchedule);
    if (const PortInfo* image = FindPort(inputs, PortRole::kData)) image_ = *image;
    if (const PortInfo* logits = FindPort(outputs, PortRole::kPrediction)) {
      classes_ = logits->shape[-1];
      logits_name_ = logits->name;
    }
    pixels_.resize(image_.shape.elems());
    logits_.resize(batch() * classes_);
  }

  int64_t batch() const { return image_.shape[0]; }

  absl::Status Load(int64_t slot, const std::string& file) {
    const absl::Status decoded = data::DecodeImageFile(file, transform_->decode_hint(), &decoded_);
    if (!decoded.ok()) return As(ExitCode::kData, decoded);
    std::vector<uint8_t> prepared(transform_->elems());
    transform_->Prepare(decoded_, &scratch_, prepared);
    transform_->Finish(prepared, data::Augmentation(),
                       std::span(pixels_).subspan(slot * transform_->elems(), transform_->elems()));
    return absl::OkStatus();
  }

  absl::Status Run() {
    Session& session = *target_->session;
    PT_TRY(As(ExitCode::kInternal, "infer",
              session.Bind(kSchedule, image_.name, pixels_.data(),
                           int64_t(pixels_.size() * sizeof(float)))));
    PT_TRY(As(ExitCode::kInternal, "infer", session.Predict(kSchedule)));
    return As(ExitCode::kInternal, "infer", session.Read(kSchedule, logits_name_, logits_));
  }

  std::span<const float> LogitsOf(int64_t slot) const {
    return std::span(logits_).subspan(slot * classes_, classes_);
  }

 private:
  OpenedTarget* target_;
  const data::Transform* transform_;
  PortInfo image_;
  std::string_view logits_name_;
  int64_t classes_ = 0;
  data::Image decoded_;
  data::TransformScratch scratch_;
  std::vector<float> pixels_;
  std::vector<float> logits_;
};

Json Answer(const CommonFlags& flags, const OpenedTarget& target, const std::string& file,
            std::span<const float> logits, int top) {
  const std::vector<double> p = Probabilities(logits);
  Json guesses = Json::array();
  std::string line = file + ":";
  for (int index : TopClasses(logits, top)) {
    const std::string name = ClassName(target.class_names, index);
    line += absl::StrFormat("  %s %.1f %%", name, 100 * p[index]);
    guesses.push_back({{"class", name}, {"index", index}, {"probability", p[index]}});
  }
  Say(flags, line);
  return {{"file", file}, {"top", guesses}};
}

// Under a bound: the largest picture counts.
TargetFeed FeedOf(const RunSpec& asked, const InferFlags& infer, const CommonFlags& flags) {
  TargetFeed feed = {.bound = FindBound(asked.memory_bytes, flags), .add_demand = {}};
  feed.add_demand = [&infer](const RunSpec&, const data::Transform& transform,
                             FeedDemand* demand) -> absl::Status {
    for (const std::string& file : infer.files) {
      demand->decode_bytes = std::max(demand->decode_bytes, data::DecodeBytes(file, transform));
    }
    return absl::OkStatus();
  };
  return feed;
}

// What stands for the answer where a picture cannot be read: the others get theirs all the same.
Json NoAnswer(const std::string& file, const absl::Status& status) {
  SayError(status);
  return {{"file", file}, {"error", std::string(status.message())}};
}

// How pictures are prepared, and what the classes are called where the target does not say.
absl::StatusOr<DataSpec> PictureSpec(OpenedTarget* target, const DataSpec& asked,
                                     const GivenFlags& given) {
  const bool trained = !target->spec.data.path.empty();
  if (trained) {
    PT_TRY(given.CheckSettled({{"--normalize", asked.normalize, target->spec.data.normalize}},
                              target->name + " was trained on pictures prepared otherwise"));
  }
  if (given.Has("--class-names")) {
    const std::vector<std::string> names = absl::StrSplit(asked.class_names, ',');
    const auto classes = static_cast<size_t>(target->spec.model.classes);
    const bool known = !target->class_names.empty() && target->class_names != names;
    if (known || names.size() != classes) {
      return Fail(ExitCode::kUsage,
                  absl::StrCat("--class-names: ", target->name,
                               known ? " has names of its own" : " has another number of classes",
                               " (got ", asked.class_names, ", want ",
                               known ? absl::StrJoin(target->class_names, ",")
                                     : absl::StrCat(classes, " names"),
                               ")"));
    }
    target->class_names = names;
  }
  DataSpec spec = trained ? target->spec.data : asked;
  if (!given.Has("--normalize")) spec.normalize = target->spec.data.normalize;
  if (given.Has("--perturb")) spec.perturb = asked.perturb;
  return spec;
}

absl::Status Infer(const RunSpec& spec, const InferFlags& infer, CommonFlags flags,
                   const GivenFlags& given) {
  PT_TRY(ApplyCommonFlags(&flags));
  absl::StatusOr<OpenedTarget> target =
      OpenTarget(infer.checkpoint, spec, flags, FeedOf(spec, infer, flags));
  if (!target.ok()) return target.status();
  PT_TRY(CheckModelFlags(*target, spec, given));
  PT_TRY(CheckAnswers(*target, flags));
  const Shape image = ImageShape(*target->session, kSchedule);
  absl::StatusOr<DataSpec> data_spec = PictureSpec(&*target, spec.data, given);
  if (!data_spec.ok()) return data_spec.status();
  absl::StatusOr<data::Transform> transform = MakeTransform(*data_spec, image, false);
  if (!transform.ok()) return transform.status();
  Predictor predictor(&*target, &*transform);
  Json answers = Json::array();
  absl::Status first_bad;
  for (size_t first = 0; first < infer.files.size(); first += predictor.batch()) {
    const size_t count =
        std::min<size_t>(infer.files.size() - first, static_cast<size_t>(predictor.batch()));
    std::vector<absl::Status> loaded;
    for (size_t i = 0; i < count; ++i) {
      loaded.push_back(predictor.Load(static_cast<int64_t>(i), infer.files[first + i]));
      first_bad.Update(loaded.back());
    }
    PT_TRY(predictor.Run());
    for (size_t i = 0; i < count; ++i) {
      const std::string& file = infer.files[first + i];
      if (!loaded[i].ok()) {
        answers.push_back(NoAnswer(file, loaded[i]));
        continue;
      }
      const std::span<const float> logits = predictor.LogitsOf(static_cast<int64_t>(i));
      if (!AllFinite(logits)) {
        return Fail(ExitCode::kNumerics, file + ": the model's answer is not finite");
      }
      answers.push_back(Answer(flags, *target, file, logits, infer.top));
    }
  }
  PT_TRY(EmitJson(flags, {{"model", target->spec.model.name},
                          {"predictions", answers},
                          {"predicted_peak_bytes", target->session->memory().predicted_peak_bytes},
                          {"process_peak_bytes", PeakResidentBytes()}}));
  // Each has had its line.
  return first_bad.ok() ? absl::OkStatus() : Fail(ExitCodeOf(first_bad), "");
}

}  // namespace

void AddInfer(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  auto spec = std::make_shared<RunSpec>();
  auto infer = std::make_shared<InferFlags>();
  const Command command = commands.Add("infer", "Say what is in pictures");
  command.EndsWith("Example:\n  pocketune infer --checkpoint run1 a.jpg b.jpg --top 3");
  command.Add("--checkpoint", &infer->checkpoint, "A run folder, a plan or a model's name")
      .Required();
  command.Add("files", &infer->files, "Pictures; one that is bad costs its own answer alone")
      .Required();
  command.Add("--top", &infer->top, "Guesses a picture (default 3)").Whole(1, 1000);
  AddModelFlags(command, spec.get(), false);
  AddPictureFlags(command, &spec->data);
  AddProcessMemoryFlag(command, spec.get());
  AddCommonFlags(command, flags.get());
  command.Runs([=]() -> absl::Status {
    spec->seed = flags->seed;
    PT_TRY(TakeNamedWeights(spec.get(), *flags, command.IsGiven("--normalize")));
    return Infer(*spec, *infer, *flags, GivenFlags(command));
  });
}

}  // namespace pocketune::cli
