// Runs a harness without libFuzzer: its seeds, then deterministic mutations of them. The parent
// process only watches, so that it can name the run in which the child died or hung.
//   --runs N      so many mutations at most (default 1000)
//   --seconds S   stop after so many (default 60)
//   --first N     number of the first mutation: `--first N --runs 1` repeats run N
//   --write-seeds FOLDER   a corpus for libFuzzer, and nothing else
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <thread>

#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/mutate.h"

namespace pocketune::fuzz {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kSeeds = -1;  // the run's number while seeds are replayed
constexpr auto kLongestRun = std::chrono::seconds(120);
constexpr auto kWatchEvery = std::chrono::milliseconds(10);

struct Options {
  int64_t runs = 1000;
  int64_t first = 0;
  double seconds = 60;
  std::string seed_folder;
};

void RunOne(const std::string& input) {
  // A copy on the heap of exactly this size: one byte beyond it is an error that ASan sees.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

void RunAll(const Options& options, std::atomic<int64_t>* at) {
  const std::vector<std::string> seeds = Seeds();
  for (size_t i = 0; i < seeds.size(); ++i) {
    const int64_t before = Accepted();
    RunOne(seeds[i]);
    if (Accepted() == before) std::fprintf(stderr, "seed %zu: refused\n", i);
    Require(Accepted() > before, "a seed is accepted");
  }
  RunOne("");
  const int64_t from_seeds = Accepted();
  const auto end = Clock::now() + std::chrono::duration<double>(options.seconds);
  int64_t run = options.first;
  for (; run < options.first + options.runs && Clock::now() < end; ++run) {
    at->store(run);
    RunOne(Mutate(seeds, static_cast<uint64_t>(run)));
  }
  std::printf("%zu seeds, %" PRId64 " mutations, %" PRId64 " of them accepted\n", seeds.size(),
              run - options.first, Accepted() - from_seeds);
}

// Waits for the child; true where it ended well.
bool Watch(pid_t child, const std::atomic<int64_t>& at) {
  int64_t last = kSeeds;
  auto since = Clock::now();
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    std::this_thread::sleep_for(kWatchEvery);
    const int64_t now = at.load();
    if (now != last) {
      last = now;
      since = Clock::now();
    } else if (Clock::now() - since > kLongestRun) {
      std::fprintf(stderr, "fuzz: a run takes too long\n");
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      break;
    }
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  const int64_t run = at.load();
  if (run == kSeeds) {
    std::fprintf(stderr, "fuzz: failed on the seeds\n");
  } else {
    std::fprintf(stderr, "fuzz: failed; again: --first %" PRId64 " --runs 1\n", run);
  }
  return false;
}

void WriteSeeds(const std::string& folder) {
  int i = 0;
  for (const std::string& seed : Seeds()) {
    std::ofstream(folder + "/seed" + std::to_string(i++), std::ios::binary) << seed;
  }
}

int Main(const Options& options) {
  if (!options.seed_folder.empty()) {
    WriteSeeds(options.seed_folder);
    return 0;
  }
  void* shared = mmap(nullptr, sizeof(std::atomic<int64_t>), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  Require(shared != MAP_FAILED, "mmap works");
  auto* at = new (shared) std::atomic<int64_t>(kSeeds);
  const pid_t child = fork();
  Require(child >= 0, "fork works");
  if (child == 0) {
    RunAll(options, at);
    return 0;
  }
  return Watch(child, *at) ? 0 : 1;
}

}  // namespace
}  // namespace pocketune::fuzz

int main(int argc, char** argv) {
  pocketune::fuzz::Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (value != nullptr && name == "--runs") {
      options.runs = std::atoll(value);
    } else if (value != nullptr && name == "--seconds") {
      options.seconds = std::atof(value);
    } else if (value != nullptr && name == "--first") {
      options.first = std::atoll(value);
    } else if (value != nullptr && name == "--write-seeds") {
      options.seed_folder = value;
    } else {
      std::fprintf(stderr, "%s: unknown or incomplete option (got %s)\n", argv[0], name.c_str());
      return 2;
    }
  }
  return pocketune::fuzz::Main(options);
}
