#include "engine/plan/plan_view.h"

namespace pocketune {

// Out of line: it is called in several places, of which small builds want one copy.
fb::ScheduleRole RoleOf(const fb::Schedule& schedule) {
  if (schedule.role() != fb::ScheduleRole::Unstated) return schedule.role();
  const std::string_view name = TextOf(schedule.name());
  if (name == "train") return fb::ScheduleRole::Train;
  return name == "eval" ? fb::ScheduleRole::Eval : fb::ScheduleRole::Unstated;
}

}  // namespace pocketune
