#include "apps/cli/measure.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/cli/child.h"
#include "apps/cli/random_inputs.h"
#include "apps/train/exit_code.h"
#include "backends/cpu/cpu_kernels.h"
#include "engine/base/clock.h"
#include "engine/base/resident_memory.h"
#include "pocketune/cpu.h"

extern char** environ;

namespace pocketune::cli {
namespace {

// The reason goes to stdout too: the parent says it.
int GiveUp(const char* plan_path, const Status& status) {
  const absl::Status failure = As(ExitCode::kModel, plan_path, status);
  std::fputs(std::string(failure.message()).c_str(), stdout);
  return static_cast<int>(ExitCodeOf(failure));
}

int Measure(char** argv) {
  const int threads = std::atoi(argv[3]);
  const Isa isa = IsaNamed(argv[4]).value_or(Isa::kAuto);
  const int steps = std::atoi(argv[5]);
  RandomInputs inputs(std::atoll(argv[6]));
  SessionOptions options;
  options.threads = threads;
  if (isa != Isa::kAuto) (void)SetIsa(isa).ok();
  RestartResidentPeak();
  const int64_t baseline = ResidentBytes();
  const double begin = NowSeconds();
  Result<std::unique_ptr<Session>> opened = OpenCpuSession(argv[2], options);
  if (!opened.ok()) return GiveUp(argv[2], opened.status());
  Session& session = *opened.value();
  double first_end = 0;
  float loss = 0;
  for (int i = 0; i < steps; ++i) {
    const Status status = inputs.Step(session, &loss);
    if (!status.ok()) return GiveUp(argv[2], status);
    if (i == 0) first_end = NowSeconds();
  }
  const int64_t peak = PeakResidentBytes();
  std::printf("%" PRId64 " %" PRId64 " %" PRId64 " %.6f %.6f\n", baseline, peak - baseline,
              session.memory().packed_bytes, (first_end - begin) * 1e3, first_end * 1e3);
  return 0;
}

}  // namespace

int MeasureMain(int argc, char** argv) {
  if (argc != 7) return static_cast<int>(ExitCode::kUsage);
  (void)BelongTo(getppid());
  try {
    return Measure(argv);
  } catch (const std::bad_alloc&) {
    return GiveUp(argv[2], Status(StatusCode::kResourceExhausted, "too little memory"));
  }
}

absl::StatusOr<Measurement> MeasurePlan(const std::string& plan_path, int threads,
                                        const std::string& isa, int steps, int64_t input_bytes) {
  int fds[2];
  if (pipe(fds) != 0) return Fail(ExitCode::kIo, "measure: no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
  posix_spawn_file_actions_addclose(&actions, fds[0]);
  posix_spawn_file_actions_addclose(&actions, fds[1]);
  std::vector<std::string> words = {"pocketune",
                                    kMeasureCommand,
                                    plan_path,
                                    std::to_string(threads),
                                    isa,
                                    std::to_string(steps),
                                    std::to_string(input_bytes)};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const double start = NowSeconds();  // the clock is the machine's: the child's has the same zero
  const int error = posix_spawn(&child, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(fds[1]);
  std::string text;
  char buffer[256];
  for (ssize_t n; error == 0 && (n = read(fds[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  close(fds[0]);
  if (error != 0) {
    return Fail(ExitCode::kLocked,
                absl::StrCat("measure: no process can be started: ", std::strerror(error)));
  }
  int wait_status = 0;
  if (waitpid(child, &wait_status, 0) != child || !WIFEXITED(wait_status)) {
    return Fail(ExitCode::kInternal, "measure: the child process failed");
  }
  if (const int code = WEXITSTATUS(wait_status); code != 0) {
    return Fail(static_cast<ExitCode>(code), "measure: " + text);
  }
  Measurement m;
  if (std::sscanf(text.c_str(), "%" SCNd64 " %" SCNd64 " %" SCNd64 " %lf %lf",
                  &m.baseline_rss_bytes, &m.measured_peak_bytes, &m.packed_bytes, &m.first_step_ms,
                  &m.start_ms) != 5) {
    return Fail(ExitCode::kInternal, "measure: the child process printed no figures");
  }
  m.start_ms -= start * 1e3;
  return m;
}

}  // namespace pocketune::cli
