#include "apps/train/resume_flags.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/train/exit_code.h"
#include "pocketune/session.h"

namespace pocketune {
namespace {

using Json = nlohmann::json;

constexpr ResumeRule kRules[] = {
    {"--data", OnResume::kObeyed, "/data/path"},
    {"--epochs", OnResume::kObeyed, "/train/epochs"},
    {"--steps", OnResume::kObeyed, "/train/steps"},
    {"--lr", OnResume::kObeyed, "/train/lr"},
    {"--lr-schedule", OnResume::kObeyed, "/train/lr_schedule"},
    {"--warmup-steps", OnResume::kObeyed, "/train/warmup_steps"},
    {"--lr-step-every", OnResume::kObeyed, "/train/lr_step_every"},
    {"--lr-gamma", OnResume::kObeyed, "/train/lr_gamma"},
    {"--patience", OnResume::kObeyed, "/train/patience"},
    {"--keep", OnResume::kObeyed, "/train/keep"},
    {"--checkpoint-every", OnResume::kObeyed, "/train/checkpoint_every"},

    {"--model", OnResume::kFixed, "/model/name"},
    {"--width", OnResume::kFixed, "/model/width"},
    {"--resolution", OnResume::kFixed, "/model/resolution"},
    {"--classes", OnResume::kFixed, "/model/classes"},
    {"--input-channels", OnResume::kFixed, "/model/input_channels"},
    {"--batch", OnResume::kReplans, "/model/batch"},
    {"--dropout", OnResume::kFixed, "/model/dropout"},
    {"--weights", OnResume::kFixed, "/model/weights"},
    {"--from-scratch", OnResume::kFixed, ""},
    {"--scheme", OnResume::kReplans, "/train/scheme"},
    {"--optimizer", OnResume::kFixed, "/train/optimizer"},
    {"--momentum", OnResume::kFixed, "/train/momentum"},
    {"--weight-decay", OnResume::kFixed, "/train/weight_decay"},
    {"--decay-bias-and-norm", OnResume::kFixed, "/train/decay_bias_and_norm"},
    {"--label-smoothing", OnResume::kFixed, "/train/label_smoothing"},
    {"--batch-norm", OnResume::kFixed, "/train/batch_norm"},
    {"--micro-batch", OnResume::kFixed, "/train/micro_batch"},
    {"--clip-norm", OnResume::kFixed, "/train/clip_norm"},
    {"--saved-activations", OnResume::kFixed, "/train/saved_bits"},
    {"--memory", OnResume::kReplans, "/train/memory_bytes"},
    {"--cache", OnResume::kFixed, "/train/cache_bytes"},
    {"--lr-group", OnResume::kFixed, "/train/groups"},
    {"--seed", OnResume::kFixed, "/train/seed"},
    {"--tuning", OnResume::kFixed, ""},
    {"--normalize", OnResume::kFixed, "/data/normalize"},
    {"--perturb", OnResume::kFixed, "/data/perturb"},
    {"--class-names", OnResume::kFixed, "/data/class_names"},
    {"--val-fraction", OnResume::kFixed, "/data/val_fraction"},
    {"--test-fraction", OnResume::kFixed, "/data/test_fraction"},
    {"--max-train", OnResume::kFixed, "/data/max_train_per_class"},
    {"--max-eval", OnResume::kFixed, "/data/max_eval_per_class"},
    {"--flip", OnResume::kFixed, "/data/flip"},
    {"--crop-padding", OnResume::kFixed, "/data/crop_padding"},

    {"--out", OnResume::kOfProcess, ""},
    {"--resume", OnResume::kOfProcess, ""},
    {"--dry-run", OnResume::kOfProcess, ""},
    {"--no-download", OnResume::kOfProcess, ""},
    {"--time-budget", OnResume::kOfProcess, ""},
    {"--prefix-cache", OnResume::kOfProcess, ""},
    {"--threads", OnResume::kOfProcess, ""},
    {"--isa", OnResume::kOfProcess, ""},
    {"--json", OnResume::kOfProcess, ""},
    {"--quiet", OnResume::kOfProcess, ""},
    {"--help", OnResume::kOfProcess, ""},
};

template <class Is>
const ResumeRule* FindRule(const Is& is) {
  const auto* at = std::find_if(std::begin(kRules), std::end(kRules), is);
  return at == std::end(kRules) ? nullptr : at;
}

std::string TextOf(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// Also where the flag was given as it is now when the run began: what it came to may differ, as a
// batch that was larger than the data.
bool StandsAlready(const GivenFlag& flag, const std::string& field, const Json& run,
                   const Json& asked_before, const Json& asked) {
  const auto before = asked_before.find(flag.name);
  if (asked_before.is_object() && before != asked_before.end() && *before == flag.value) {
    return true;
  }
  if (field.empty()) return false;
  const Json::json_pointer at(field);
  return run[at] == asked[at];
}

// Lengths in steps that nobody changed are as many pictures in other batches.
void KeepPictures(const RunSpec& run, Json* json) {
  const int64_t before = run.model.batch;
  const int64_t now = (*json)["model"]["batch"].get<int64_t>();
  if (before < 1 || now < 1 || before == now) return;
  for (const auto& [key, steps] :
       {std::pair<const char*, int64_t>{"steps", run.steps}, {"warmup_steps", run.warmup_steps}}) {
    Json& field = (*json)["train"][key];
    if (field != steps) continue;
    field = steps / now * before + (steps % now * before + now - 1) / now;
  }
}

absl::Status Refuse(const GivenFlag& flag, const std::string& field, const Json& run) {
  const std::string want =
      field.empty() ? "what the run began with" : TextOf(run[Json::json_pointer(field)]);
  return Fail(ExitCode::kUsage,
              absl::StrCat(flag.name, ": a run that goes on keeps what it began with (got ",
                           flag.value, ", want ", want.empty() ? "none" : want,
                           "); leave the flag out, or begin anew in another --out"));
}

}  // namespace

const ResumeRule* FindResumeRule(std::string_view flag) {
  return FindRule([&](const ResumeRule& rule) { return rule.flag == flag; });
}

const ResumeRule* FindResumeRuleOf(std::string_view field) {
  return FindRule([&](const ResumeRule& rule) { return rule.field == field; });
}

Json ToJson(const std::vector<GivenFlag>& given) {
  Json json = Json::object();
  for (const GivenFlag& flag : given) {
    const ResumeRule* rule = FindResumeRule(flag.name);
    if (rule == nullptr || rule->rule != OnResume::kOfProcess) json[flag.name] = flag.value;
  }
  return json;
}

absl::StatusOr<RunSpec> SpecOnResume(const RunSpec& run, const Json& asked_before,
                                     const RunSpec& asked, const std::vector<GivenFlag>& given) {
  Json json = ToJson(run);
  const Json wanted = ToJson(asked);
  const auto has = [&](const char* name) {
    return std::any_of(given.begin(), given.end(),
                       [&](const GivenFlag& flag) { return flag.name == name; });
  };
  // Steps go before epochs: those of the run would leave the epochs without effect.
  if (has("--epochs") && !has("--steps")) json["train"]["steps"] = 0;
  for (const GivenFlag& flag : given) {
    const ResumeRule* rule = FindResumeRule(flag.name);
    const std::string field(rule == nullptr ? "" : rule->field);
    const OnResume does = rule == nullptr ? OnResume::kFixed : rule->rule;
    if (does == OnResume::kOfProcess) continue;
    const bool stands =
        does != OnResume::kObeyed && StandsAlready(flag, field, json, asked_before, wanted);
    if (does == OnResume::kFixed && !stands) return Refuse(flag, field, json);
    if (does != OnResume::kFixed && !stands) {
      json[Json::json_pointer(field)] = wanted[Json::json_pointer(field)];
    }
  }
  KeepPictures(run, &json);
  return RunSpecFromJson(json);
}

bool NeedsOtherPlan(const RunSpec& before, const RunSpec& now) {
  const Json old_json = ToJson(before), new_json = ToJson(now);
  return std::any_of(std::begin(kRules), std::end(kRules), [&](const ResumeRule& rule) {
    const Json::json_pointer at{std::string(rule.field)};
    return rule.rule == OnResume::kReplans && old_json[at] != new_json[at];
  });
}

std::vector<std::string> ChangedFlags(const RunSpec& before, const RunSpec& now) {
  const Json old_json = ToJson(before), new_json = ToJson(now);
  std::vector<std::string> lines;
  for (const ResumeRule& rule : kRules) {
    if (rule.rule != OnResume::kObeyed && rule.rule != OnResume::kReplans) continue;
    const Json::json_pointer at{std::string(rule.field)};
    if (old_json[at] == new_json[at]) continue;
    lines.push_back(absl::StrCat(std::string(rule.flag), " ", TextOf(new_json[at]), " (was ",
                                 TextOf(old_json[at]), ")"));
  }
  return lines;
}

void AdaptState(const RunSpec& before, const RunSpec& now, TrainState* state) {
  if (now.lr != before.lr) {
    state->lr_factor = 1;
    state->rollback_limit = state->rollbacks + kRollbacks;
  }
  const bool other_length = now.epochs != before.epochs || now.steps != before.steps;
  if (state->done && (other_length || now.patience != before.patience)) {
    state->epochs_without_gain = 0;
  }
  if (now.keep == "best" && before.keep != "best") {
    ForgetBest(state);
  }
}

void ForgetBest(TrainState* state) {
  state->best_accuracy = TrainState().best_accuracy;
  state->best_loss = TrainState().best_loss;
  state->best_epoch = TrainState().best_epoch;
}

std::vector<std::string> AdaptSession(const std::string& optimizer, const RestoreReport& report,
                                      Session* session) {
  std::vector<std::string> lines;
  const auto tell = [&](const std::vector<std::string>& names, const char* what) {
    if (names.empty()) return;
    lines.push_back(absl::StrCat("            ", names.size(), " ", what, ": ", names[0],
                                 names.size() > 1 ? ", ..." : ""));
  };
  tell(report.started_params, "parameters had not learned and start as the model has them");
  tell(report.started_states, "states of the optimizer start at zero");
  tell(report.left_out, "states of the optimizer are not needed any more");
  if (optimizer != "adamw" || report.started_states.empty()) return lines;
  for (const ParamInfo& param : session->params()) {
    if (!param.state) continue;
    const std::vector<float> zeros(static_cast<size_t>(param.shape.elems()));
    if (!session->WriteParam(param.name, zeros).ok()) return lines;  // states can be written
  }
  session->set_step(0);
  lines.push_back("            AdamW's averages all start anew: one count of steps corrects them");
  return lines;
}

}  // namespace pocketune
