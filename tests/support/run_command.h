// Runs programs, above all the command line itself, and keeps what they print.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace pocketune::test {

struct CommandOptions {
  int64_t max_file_bytes = -1;     // RLIMIT_FSIZE of the program; -1: none
  int64_t max_private_bytes = -1;  // RLIMIT_DATA: heap and private mappings; -1: none
  std::string cgroup;              // folder of a control group to run in; empty: the parent's
  std::string stdout_path;         // instead of keeping what it prints
  bool close_stdout = false;
  int ignored_signal = 0;  // as SIGHUP under nohup; 0: none. All others are as a shell leaves them.
};

struct CommandResult {
  int exit_code = -1;  // -1 where a signal ended the program
  int signal = 0;
  std::string out;
  std::string err;
};

// A program that runs beside the test; killed on destruction.
class Command {
 public:
  explicit Command(const std::vector<std::string>& args, const CommandOptions& options = {})
      : out_(std::tmpfile()), err_(std::tmpfile()) {
    std::vector<char*> argv;
    for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) Become(argv.data(), options);
  }
  ~Command() {
    if (pid_ > 0) {
      Signal(SIGKILL);
      Wait();
    }
    std::fclose(out_);
    std::fclose(err_);
  }
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  void Signal(int signal) const { kill(pid_, signal); }

  CommandResult Wait() {
    CommandResult result;
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = 0;
    if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
    result.out = TextOf(out_);
    result.err = TextOf(err_);
    return result;
  }

 private:
  [[noreturn]] void Become(char** argv, const CommandOptions& options) const {
    dup2(fileno(out_), 1);
    dup2(fileno(err_), 2);
    if (!options.stdout_path.empty()) dup2(open(options.stdout_path.c_str(), O_WRONLY), 1);
    if (options.close_stdout) close(1);
    for (const int stop : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) signal(stop, SIG_DFL);
    if (options.ignored_signal != 0) signal(options.ignored_signal, SIG_IGN);
    Limit(RLIMIT_FSIZE, options.max_file_bytes);
    Limit(RLIMIT_DATA, options.max_private_bytes);
    if (!options.cgroup.empty()) {
      const int procs = open((options.cgroup + "/cgroup.procs").c_str(), O_WRONLY);
      if (procs < 0 || write(procs, "0", 1) != 1) _exit(126);
      close(procs);
    }
    execvp(argv[0], argv);
    _exit(127);
  }

  static void Limit(__rlimit_resource resource, int64_t bytes) {
    if (bytes < 0) return;
    const rlimit limit = {static_cast<rlim_t>(bytes), static_cast<rlim_t>(bytes)};
    setrlimit(resource, &limit);
  }

  static std::string TextOf(std::FILE* file) {
    std::string text;
    std::rewind(file);
    char buffer[4096];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
    return text;
  }

  std::FILE* out_;
  std::FILE* err_;
  pid_t pid_ = 0;
};

// The command line's binary with `args`, e.g. {"train", "--quiet"}.
inline std::vector<std::string> Pocketune(std::vector<std::string> args) {
  args.insert(args.begin(), POCKETUNE_BINARY_DIR "/bin/pocketune");
  return args;
}

inline CommandResult RunPocketune(std::vector<std::string> args,
                                  const CommandOptions& options = {}) {
  return Command(Pocketune(std::move(args)), options).Wait();
}

}  // namespace pocketune::test
