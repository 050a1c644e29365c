#include "apps/cli/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/train/resume_flags.h"

namespace pocketune::cli {
namespace {

// Unlike CLI::Range not "nan".
CLI::Validator Within(double least, double most) {
  const std::string range = absl::StrCat("[", least, ", ", most, "]");
  return CLI::Validator(
      [=](std::string& text) {
        double value = 0;
        const bool good = CLI::detail::lexical_cast(text, value) && value >= least && value <= most;
        return good ? std::string() : "got " + text + ", want a number in " + range;
      },
      "FLOAT in " + range);
}

}  // namespace

Flag Flag::Required() const {
  option_->required();
  return *this;
}

Flag Flag::Whole(int64_t least, int64_t most) const {
  option_->check(CLI::Range(least, most));
  return *this;
}

Flag Flag::Number(double least, double most) const {
  option_->check(Within(least, most));
  return *this;
}

Flag Flag::OneOf(const std::vector<std::string>& words) const {
  option_->check(CLI::IsMember(words));
  return *this;
}

Flag Flag::Called(const std::string& value) const {
  option_->type_name(value);
  return *this;
}

Flag Flag::Needs(Flag other) const {
  option_->needs(other.option_);
  return *this;
}

Flag Flag::Excludes(Flag other) const {
  option_->excludes(other.option_);
  return *this;
}

Flag Command::Add(const std::string& name, std::string* value, const std::string& help) const {
  return Flag(app_->add_option(name, *value, help));
}

Flag Command::Add(const std::string& name, std::vector<std::string>* values,
                  const std::string& help) const {
  return Flag(app_->add_option(name, *values, help));
}

Flag Command::Add(const std::string& name, int* value, const std::string& help) const {
  return Flag(app_->add_option(name, *value, help));
}

Flag Command::Add(const std::string& name, int64_t* value, const std::string& help) const {
  return Flag(app_->add_option(name, *value, help));
}

Flag Command::Add(const std::string& name, uint64_t* value, const std::string& help) const {
  return Flag(app_->add_option(name, *value, help)->check(CLI::NonNegativeNumber));
}

Flag Command::Add(const std::string& name, double* value, const std::string& help) const {
  return Flag(app_->add_option(name, *value, help));
}

Flag Command::Add(const std::string& name, bool* value, const std::string& help) const {
  return Flag(app_->add_flag(name, *value, help));
}

Flag Command::AddTaken(const std::string& name, TakeValue take, const std::string& help) const {
  return Flag(app_->add_option_function<std::string>(
      name,
      [take = std::move(take)](const std::string& value) {
        const std::string error = take(value);
        if (!error.empty()) throw CLI::ValidationError(error);
      },
      help));
}

Flag Command::AddAllTaken(const std::string& name, TakeValue take, const std::string& help) const {
  return Flag(app_->add_option_function<std::vector<std::string>>(
      name,
      [take = std::move(take)](const std::vector<std::string>& values) {
        for (const std::string& value : values) {
          const std::string error = take(value);
          if (!error.empty()) throw CLI::ValidationError(error);
        }
      },
      help));
}

void Command::Remove(const std::string& name) const { app_->remove_option(app_->get_option(name)); }

void Command::EndsWith(const std::string& text) const { app_->footer(text); }

std::vector<GivenFlag> Command::Given() const {
  std::vector<GivenFlag> given;
  for (const CLI::Option* option : std::as_const(*app_).get_options()) {
    if (option->count() == 0) continue;
    std::string name = option->get_lnames().empty() ? "" : "--" + option->get_lnames().front();
    given.push_back({std::move(name), absl::StrJoin(option->results(), " ")});
  }
  return given;
}

bool Command::IsGiven(const std::string& name) const {
  const CLI::Option* option = std::as_const(*app_).get_option_no_throw(name);
  return option != nullptr && option->count() > 0;
}

Commands::Commands(const std::string& about, const std::string& version)
    : app_(std::make_unique<CLI::App>(about, "pocketune")) {
  app_->require_subcommand(1);
  app_->set_version_flag("--version", version);
}

Commands::~Commands() = default;

Command Commands::Add(const std::string& name, const std::string& summary) {
  const size_t space = name.find(' ');
  CLI::App* group =
      space == std::string::npos ? app_.get() : app_->get_subcommand(name.substr(0, space));
  const std::string last = space == std::string::npos ? name : name.substr(space + 1);
  return Command(group->add_subcommand(last, summary), &runs_[name]);
}

void Commands::AddGroup(const std::string& name, const std::string& summary) {
  app_->add_subcommand(name, summary)->require_subcommand(1);
}

void Commands::EndsWith(const std::string& text) { app_->footer(text); }

bool Commands::IsCommand(const std::string& word) const {
  const auto begins = [&](const auto& one) {
    return one.first == word || absl::StartsWith(one.first, word + " ");
  };
  return std::any_of(runs_.begin(), runs_.end(), begins);
}

Asked Commands::Read(int argc, char** argv) {
  Asked asked;
  if (argc > 1 && argv[1][0] != '-' && !IsCommand(argv[1])) {
    asked.error = absl::StrCat(argv[1], ": no such command (see pocketune --help)");
    return asked;
  }
  try {
    app_->parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    std::ostringstream text;
    app_->exit(success, text);
    asked.text = text.str();
    return asked;
  } catch (const CLI::ParseError& error) {
    asked.error = error.what();
    return asked;
  }
  for (const CLI::App* at = app_.get(); !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    asked.command += (asked.command.empty() ? "" : " ") + at->get_name();
  }
  asked.run = runs_.at(asked.command);
  return asked;
}

}  // namespace pocketune::cli
