#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/common_flags.h"

namespace pocketune::cli {
namespace {

absl::Status ListAll(const CommonFlags& flags) {
  nlohmann::json models = nlohmann::json::array();
  Say(flags, absl::StrFormat("%-20s %-12s %7s %10s %10s  %s", "model", "input", "classes", "params",
                             "MACs", "what"));
  for (const ModelListing& m : ListModels()) {
    const std::string input =
        absl::StrFormat("%dx%dx%d", m.height, m.width, m.defaults.input_channels);
    Say(flags, absl::StrFormat("%-20s %-12s %7d %10s %10s  %s", m.name, input, m.defaults.classes,
                               HumanCount(m.params), HumanCount(m.forward_macs), m.summary));
    models.push_back({{"model", m.name},
                      {"summary", m.summary},
                      {"height", m.height},
                      {"width", m.width},
                      {"resolution", m.defaults.resolution},
                      {"channels", m.defaults.input_channels},
                      {"classes", m.defaults.classes},
                      {"width_multiplier", m.defaults.width},
                      {"params", m.params},
                      {"forward_macs", m.forward_macs}});
  }
  return EmitJson(flags, models);
}

}  // namespace

void AddModels(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  const Command command = commands.Add("models", "List the zoo: shapes, parameters, MACs");
  command.EndsWith("Example:\n  pocketune models --json -");
  AddCommonFlags(command, flags.get());
  command.Runs([=] { return ListAll(*flags); });
}

}  // namespace pocketune::cli
