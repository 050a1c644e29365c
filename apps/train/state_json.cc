#include "apps/train/state_json.h"

#include <nlohmann/json.hpp>
#include <string_view>

namespace pocketune {
namespace {

using Json = nlohmann::json;

// Fields that came later: a state without them has their defaults.
bool CameLater(std::string_view key) {
  return key == "best_loss" || key == "rollback_limit" || key == "batch";
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
  TrainState::Visit(state, [&](const char* key, const auto& field) { json[key] = field; });
  json["class_names"] = class_names;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<TrainState> TrainStateFromJsonText(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  TrainState state;
  bool good = json.is_object();
  TrainState::Visit(state, [&](const char* key, auto& field) {
    good = good && (json.contains(key) ? Take(json[key], field) : CameLater(key));
  });
  if (!good || state.step < 0) return absl::DataLossError("checkpoint: its state is not readable");
  return state;
}

}  // namespace pocketune
