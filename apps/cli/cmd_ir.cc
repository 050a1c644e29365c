#include <fstream>
#include <iterator>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "backends/cpu/cpu_kernels.h"
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

void AddIr(CLI::App& app, Run* run) {
  auto flags = std::make_shared<CommonFlags>();
  auto ir = std::make_shared<IrFlags>();
  CLI::App* command = app.add_subcommand("ir", "Run compiler passes over a graph in text form");
  command->footer("Example:\n  pocketune ir --passes=canonicalize,dce graph.ptir");
  CLI::Option* file = command->add_option("file", ir->file, "A graph (.ptir, docs/ir.md)");
  command->add_option("--passes", ir->passes, "Passes to run, comma-separated");
  command->add_flag("--list", ir->list, "List the passes")->excludes(file);
  command->add_flag("--locs", ir->locs, "Print where in the model each node comes from");
  AddCommonFlags(command, flags.get());
  command->callback([=] {
    if (ir->file.empty() && !ir->list) throw CLI::RequiredError("file");
    *run = [=] { return RunIr(*ir, *flags); };
  });
}

}  // namespace pocketune::cli
