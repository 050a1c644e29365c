// pocketune: compile, train, evaluate and look at models on this device.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/measure.h"
#include "apps/cli/standard_output.h"
#include "apps/train/exit_code.h"
#include "backends/cpu/cpu_kernels.h"

namespace pocketune::cli {
namespace {

constexpr char kTooLittleMemory[] = "pocketune: there is too little memory for this\n";

// Commands of the contract that an open issue still has to build.
bool IsPlanned(const std::string& word) { return word == "import"; }

std::string Version() {
  return std::string("pocketune " POCKETUNE_VERSION ", backends: cpu (") + NameOf(CurrentIsa()) +
         POCKETUNE_XNNPACK_TEXT ")";
}

int Report(const absl::Status& status) {
  const ExitCode code = ExitCodeOf(status);
  if (!status.message().empty()) SayError(status);
  return static_cast<int>(code);
}

int Usage(const std::string& message) {
  std::fprintf(stderr, "pocketune: %s\n", message.c_str());
  return static_cast<int>(ExitCode::kUsage);
}

// Where a standard stream is closed, the next file to be opened would take its place and get what
// is printed. Opened so that writing to it fails.
void HoldStandardStreams() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) (void)open("/dev/null", O_RDONLY);
  }
}

int Main(int argc, char** argv) {
  // A file-size limit or a closed pipe is a failed write, which is reported, not a death.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  // The child that measures a plan's memory: nothing else may run in it.
  if (argc > 1 && std::string(argv[1]) == kMeasureCommand) return MeasureMain(argc, argv);
  if (argc > 1 && IsPlanned(argv[1])) return Usage(std::string(argv[1]) + ": not built yet");
  Commands commands("Fine-tune models on the device they run on.", Version());
  commands.EndsWith(
      "Example:\n"
      "  pocketune train photos/\n"
      "  pocketune infer --checkpoint photos-run a.jpg b.jpg --top 3\n\n"
      "Exit codes: 0 done, 2 usage, 3 bad model, plan or weights, 4 bad data, 5 no usable\n"
      "checkpoint, 6 input/output, 7 over budget, 8 stopped by the numerical guard, 9 locked or\n"
      "not supported, 70 internal error, 129/130/143 (128 + N) stopped by signal N after saving.");
  AddModels(commands);
  AddWeights(commands);
  AddTrain(commands);
  AddSearch(commands);
  AddEval(commands);
  AddInfer(commands);
  AddExport(commands);
  AddCompile(commands);
  AddInspect(commands);
  AddIr(commands);
  AddBench(commands);
  const Asked asked = commands.Read(argc, argv);
  if (!asked.error.empty()) return Usage(asked.error);
  if (!asked.text.empty()) {
    WriteStandardOutput(asked.text);
    return Report(StandardOutputStatus());
  }
  const absl::Status done = asked.run();
  if (!done.ok() || asked.command != "train") {
    return Report(done.ok() ? StandardOutputStatus() : done);
  }
  // What a training says is how far it is; what it has learned lies in the run's folder.
  Report(StandardOutputStatus());
  return 0;
}

// For what is thrown where nothing can catch it: one line and an exit code, as for any error, and
// no core. Takes no memory: there may be none.
[[noreturn]] void EndForUncaught() {
  ExitCode code = ExitCode::kInternal;
  const char* line = "pocketune: internal error: something was thrown and not caught\n";
  try {
    if (std::current_exception() != nullptr) std::rethrow_exception(std::current_exception());
  } catch (const std::bad_alloc&) {
    code = ExitCode::kLocked;
    line = kTooLittleMemory;
  } catch (...) {
  }
  (void)!write(STDERR_FILENO, line, std::strlen(line));
  _exit(static_cast<int>(code));
}

// After an error that main alone could catch.
int ReportThrown() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    std::fputs(kTooLittleMemory, stderr);
    return static_cast<int>(ExitCode::kLocked);
  } catch (const std::exception& error) {
    return Report(Fail(ExitCode::kInternal, std::string("internal error: ") + error.what()));
  } catch (...) {
    return Report(Fail(ExitCode::kInternal, "internal error: something unknown was thrown"));
  }
}

}  // namespace
}  // namespace pocketune::cli

int main(int argc, char** argv) {
  using namespace pocketune;
  cli::HoldStandardStreams();
  std::set_terminate(cli::EndForUncaught);
  try {
    return cli::Main(argc, argv);
  } catch (...) {
    return cli::ReportThrown();
  }
}
