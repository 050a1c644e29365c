#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/common_flags.h"
#include "backends/cpu/cpu_kernels.h"
#include "graph/base/status_macros.h"
#include "graph/ir/text.h"
#include "graph/passes/pass_manager.h"

namespace pocketune::cli {
namespace {

struct IrFlags {
  std::string file;
  std::string passes;
  bool list = false;
  bool locs = false;
};

absl::Status RunIr(const IrFlags& ir, CommonFlags flags) {
  PT_TRY(ApplyCommonFlags(&flags, Runs::kNothing));
  if (ir.list) {
    for (const PassInfo& pass : AllPasses()) {
      Say(flags, absl::StrFormat("%-22s %s", pass.name, pass.summary));
    }
    return absl::OkStatus();
  }
  std::ifstream in(ir.file, std::ios::binary);
  if (!in) return Fail(ExitCode::kIo, ir.file + ": cannot be read");
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  absl::StatusOr<Graph> graph = Parse(text);
  if (!graph.ok()) {
    return Fail(ExitCode::kModel, ir.file + ": " + std::string(graph.status().message()));
  }
  PassContext context;
  context.kernels = CpuKernels();
  context.slots = flags.threads;
  const std::vector<std::string> names =
      ir.passes.empty() ? std::vector<std::string>() : absl::StrSplit(ir.passes, ',');
  const absl::Status status = RunPasses(*graph, context, names);
  if (!status.ok()) {
    return As(absl::IsNotFound(status) ? ExitCode::kUsage : ExitCode::kModel, status);
  }
  PrintText(flags, Print(*graph, {.locs = ir.locs}));
  nlohmann::json records = nlohmann::json::array();
  for (const PassRecord& record : context.records) {
    records.push_back({{"pass", record.pass},
                       {"ms", record.ms},
                       {"nodes_before", record.nodes_before},
                       {"nodes_after", record.nodes_after}});
  }
  return EmitJson(flags, {{"passes", records}});
}

}  // namespace

void AddIr(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  auto ir = std::make_shared<IrFlags>();
  const Command command = commands.Add("ir", "Run compiler passes over a graph in text form");
  command.EndsWith("Example:\n  pocketune ir --passes=canonicalize,dce graph.ptir");
  const Flag file = command.Add("file", &ir->file, "A graph (.ptir, docs/ir.md)");
  command.Add("--passes", &ir->passes, "Passes to run, comma-separated");
  command.Add("--list", &ir->list, "List the passes").Excludes(file);
  command.Add("--locs", &ir->locs, "Print where in the model each node comes from");
  AddCommonFlags(command, flags.get());
  command.Runs([=] {
    if (ir->file.empty() && !ir->list) {
      return Fail(ExitCode::kUsage, "file is required");
    }
    return RunIr(*ir, *flags);
  });
}

}  // namespace pocketune::cli
