#include "apps/train/state_json.h"

#include <nlohmann/json.hpp>

namespace pocketune {
namespace {

using Json = nlohmann::json;

template <class State, class V>
void Visit(State& s, V&& v) {
  v("step", s.step);
  v("lr_factor", s.lr_factor);
  v("rollbacks", s.rollbacks);
  v("epoch_loss_sum", s.epoch_loss_sum);
  v("epoch_steps", s.epoch_steps);
  v("loss_first", s.loss_first);
  v("loss_last", s.loss_last);
  v("best_accuracy", s.best_accuracy);
  v("best_epoch", s.best_epoch);
  v("epochs_without_gain", s.epochs_without_gain);
  v("done", s.done);
}

// Fields that came later: a state without them has their defaults.
template <class State, class V>
void VisitLater(State& s, V&& v) {
  v("best_loss", s.best_loss);
  v("rollback_limit", s.rollback_limit);
  v("batch", s.batch);
}

template <class T>
bool Take(const Json& json, T& field) {
  if (!(std::is_same_v<T, bool> ? json.is_boolean() : json.is_number())) return false;
  field = json.get<T>();
  return true;
}

}  // namespace

std::string ToJsonText(const TrainState& state, const std::vector<std::string>& class_names) {
  Json json;
  const auto write = [&](const char* key, const auto& field) { json[key] = field; };
  Visit(state, write);
  VisitLater(state, write);
  json["class_names"] = class_names;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<TrainState> TrainStateFromJsonText(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  TrainState state;
  bool good = json.is_object();
  Visit(state, [&](const char* key, auto& field) {
    good = good && json.contains(key) && Take(json[key], field);
  });
  VisitLater(state, [&](const char* key, auto& field) {
    if (good && json.contains(key)) good = Take(json[key], field);
  });
  if (!good || state.step < 0) return absl::DataLossError("checkpoint: its state is not readable");
  return state;
}

}  // namespace pocketune
