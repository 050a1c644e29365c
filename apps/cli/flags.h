// The command line: commands, their flags, and what is said of them. CLI11 reads it, in flags.cc
// alone: its headers take the compiler longer than any file of the commands.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace pocketune {
struct GivenFlag;
}

namespace pocketune::cli {

// A flag of a command, or a word that stands there without one. Copies are of the same flag; what
// limits it returns it.
class Flag {
 public:
  explicit Flag(CLI::Option* option) : option_(option) {}

  Flag Required() const;
  // Whole numbers from `least` to `most`.
  Flag Whole(int64_t least, int64_t most) const;
  // Numbers from `least` to `most`; "nan" is none.
  Flag Number(double least, double most) const;
  Flag OneOf(const std::vector<std::string>& words) const;
  // What the help calls its value.
  Flag Called(const std::string& value) const;
  // It cannot stand without `other`.
  Flag Needs(Flag other) const;
  // It cannot stand beside `other`.
  Flag Excludes(Flag other) const;

 private:
  CLI::Option* option_;
};

// Takes a value, and says in words what is wrong with it; "" where nothing is.
using TakeValue = std::function<std::string(const std::string& value)>;

// A command. Copies are of the same one, and the command line outlives them.
class Command {
 public:
  Command(CLI::App* app, std::function<absl::Status()>* run) : app_(app), run_(run) {}

  // A flag ("--lr", "--quiet,-q") or, without a dash, a word. `value` holds the default, and
  // outlives the parsing.
  Flag Add(const std::string& name, std::string* value, const std::string& help) const;
  Flag Add(const std::string& name, std::vector<std::string>* values,
           const std::string& help) const;
  Flag Add(const std::string& name, int* value, const std::string& help) const;
  Flag Add(const std::string& name, int64_t* value, const std::string& help) const;
  // From 0.
  Flag Add(const std::string& name, uint64_t* value, const std::string& help) const;
  Flag Add(const std::string& name, double* value, const std::string& help) const;
  // A flag without a value.
  Flag Add(const std::string& name, bool* value, const std::string& help) const;
  Flag AddTaken(const std::string& name, TakeValue take, const std::string& help) const;
  // A flag that takes any number of values.
  Flag AddAllTaken(const std::string& name, TakeValue take, const std::string& help) const;
  void Remove(const std::string& name) const;

  // What the help ends with.
  void EndsWith(const std::string& text) const;
  // What to do once all flags are read.
  void Runs(std::function<absl::Status()> run) const { *run_ = std::move(run); }

  // The flags that stand in the command line, which has been read, with their values as text.
  std::vector<GivenFlag> Given() const;
  // Does this flag? False also for one that the command does not have.
  bool IsGiven(const std::string& name) const;

 private:
  CLI::App* app_;
  std::function<absl::Status()>* run_;
};

// What a command line asks for: one of the three.
struct Asked {
  std::function<absl::Status()> run;
  std::string command;  // whose `run` it is
  std::string text;     // to be printed: help, version
  std::string error;    // why it cannot be obeyed
};

class Commands {
 public:
  Commands(const std::string& about, const std::string& version);
  ~Commands();
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;

  // A name of two words is that of a command in a group: "weights list".
  Command Add(const std::string& name, const std::string& summary);
  void AddGroup(const std::string& name, const std::string& summary);
  // What the help of the whole ends with.
  void EndsWith(const std::string& text);
  Asked Read(int argc, char** argv);

 private:
  // Also of a group.
  bool IsCommand(const std::string& word) const;

  std::unique_ptr<CLI::App> app_;
  std::map<std::string, std::function<absl::Status()>> runs_;  // by command
};

}  // namespace pocketune::cli
