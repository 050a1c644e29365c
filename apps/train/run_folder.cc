#include "apps/train/run_folder.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "apps/train/exit_code.h"
#include "apps/train/state_json.h"
#include "engine/base/file_io.h"
#include "graph/base/status_macros.h"

namespace pocketune {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

absl::Status WriteText(const std::string& path, const std::string& text) {
  const std::span<const uint8_t> chunk(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  return As(ExitCode::kIo, path, WriteFileAtomically(path.c_str(), std::span(&chunk, 1)));
}

// What a run makes; beside each its temporary file, whose name goes on behind a dot.
constexpr const char* kOwnFiles[] = {"lock",         "spec.json",    "plan",
                                     "checkpoint-a", "checkpoint-b", "checkpoint-best",
                                     "prefix-cache", "log.jsonl",    "report.html"};
// What file managers and tools leave in a folder that is empty to its owner.
constexpr const char* kLeftBySystem[] = {".DS_Store",   ".localized", ".directory", "Thumbs.db",
                                         "desktop.ini", ".gitkeep",   ".gitignore", "lost+found"};

bool IsOwn(const std::string& name) {
  return std::any_of(std::begin(kOwnFiles), std::end(kOwnFiles), [&](const std::string& own) {
    return name == own || name.rfind(own + ".", 0) == 0;
  });
}

bool IsLeftBySystem(const std::string& name) {
  return std::find(std::begin(kLeftBySystem), std::end(kLeftBySystem), name) !=
         std::end(kLeftBySystem);
}

std::vector<std::string> ClassNamesIn(const std::string& user) {
  const Json json = Json::parse(user, nullptr, /*allow_exceptions=*/false);
  std::vector<std::string> names;
  if (!json.is_object()) return names;
  for (const Json& name : json.value("class_names", Json::array())) {
    names.push_back(name.is_string() ? name.get<std::string>() : "?");
  }
  return names;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunFolder>> RunFolder::OpenToTrain(const std::string& path) {
  PT_TRY(CheckPlace(path));
  std::error_code error;
  fs::create_directories(path, error);
  if (error) {
    return Fail(ExitCode::kIo,
                absl::StrCat(path, ": the folder cannot be made: ", error.message()));
  }
  Result<RunLock> lock = RunLock::Acquire(path);
  if (!lock.ok()) {
    if (lock.status().code() == StatusCode::kFailedPrecondition) {
      return Fail(ExitCode::kLocked, path + ": another process is training in this folder");
    }
    return As(ExitCode::kIo, path, lock.status());
  }
  std::unique_ptr<RunFolder> folder(new RunFolder(path));
  folder->lock_.emplace(std::move(lock).value());
  return folder;
}

absl::StatusOr<std::unique_ptr<RunFolder>> RunFolder::OpenToRead(const std::string& path) {
  std::unique_ptr<RunFolder> folder(new RunFolder(path));
  if (!folder->has_plan()) {
    return Fail(ExitCode::kCheckpoint, path + ": no run here (plan.ptplan is missing)");
  }
  return folder;
}

bool RunFolder::HoldsRun(const std::string& path) {
  std::error_code error;
  return fs::exists(path + "/plan.ptplan", error);
}

absl::Status RunFolder::CheckPlace(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return absl::OkStatus();
  const bool has_run = HoldsRun(path) && fs::exists(path + "/spec.json", error);
  if (has_run) return absl::OkStatus();
  // The first file that a run makes: without it, files of the same names are somebody else's.
  const bool begun = fs::exists(path + "/lock", error);
  fs::directory_iterator entry(path, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (IsLeftBySystem(name) || (begun && IsOwn(name))) continue;
    return Fail(ExitCode::kUsage,
                absl::StrCat(path, ": the folder has other files in it (got ", name,
                             ", want a new or an empty folder, or a run's): take another --out"));
  }
  if (!error) return absl::OkStatus();
  return Fail(ExitCode::kIo, absl::StrCat(path, ": the folder cannot be read: ", error.message()));
}

absl::Status RunFolder::WritePlan(const Plan& plan) const {
  return WriteText(plan_path(), plan.bytes);
}

absl::Status RunFolder::TakePlan(const std::string& path) const {
  return As(ExitCode::kIo, plan_path(), CopyFileAtomically(path.c_str(), plan_path().c_str()));
}

absl::Status RunFolder::WriteSpec(const Json& json) const {
  return WriteText(path_ + "/spec.json", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

absl::StatusOr<Json> RunFolder::ReadSpec() const {
  std::ifstream in(path_ + "/spec.json");
  if (!in) {
    return Fail(ExitCode::kCheckpoint, absl::StrCat(path_, "/spec.json: ", std::strerror(errno)));
  }
  Json json = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Fail(ExitCode::kCheckpoint, path_ + "/spec.json: not readable");
  return json;
}

// States from before they said it are of the batch that the run had until it had another.
absl::Status RunFolder::ReadState(const std::string& user, TrainState* state) const {
  absl::StatusOr<TrainState> parsed = TrainStateFromJsonText(user);
  if (!parsed.ok()) return As(ExitCode::kCheckpoint, parsed.status());
  *state = *parsed;
  state->restored = true;
  if (state->batch > 0) return absl::OkStatus();
  const absl::StatusOr<Json> spec = ReadSpec();
  const absl::StatusOr<RunSpec> run = spec.ok() ? RunSpecFromJson(*spec) : spec.status();
  if (run.ok()) state->batch = spec->value("first_batch", run->model.batch);
  return absl::OkStatus();
}

absl::Status RunFolder::Save(const Session& session, const std::string& state) {
  return As(ExitCode::kIo, path_ + "/checkpoint", store_.Save(session, state));
}

absl::Status RunFolder::Restore(Session& session, TrainState* state,
                                std::vector<std::string>* class_names, std::string* warning,
                                RestoreReport* report) {
  Result<LoadedCheckpoint> loaded = store_.LoadNewest(session);
  if (!loaded.ok()) {
    if (loaded.status().code() == StatusCode::kNotFound) {
      return absl::NotFoundError(path_ + ": nothing was saved yet");
    }
    if (loaded.status().code() == StatusCode::kDataLoss) {
      return Fail(ExitCode::kCheckpoint,
                  absl::StrCat(path_, ": checkpoint-a and checkpoint-b are both damaged: ",
                               loaded.status().message()));
    }
    return As(ExitCode::kCheckpoint, path_, loaded.status());
  }
  if (warning != nullptr && !loaded->damaged.empty()) {
    *warning = absl::StrCat(path_, "/", loaded->damaged, " is damaged (", loaded->damage.message(),
                            "): taking ", loaded->file);
  }
  if (report != nullptr) *report = loaded->report;
  PT_TRY(ReadState(loaded->user, state));
  if (class_names != nullptr) *class_names = ClassNamesIn(loaded->user);
  return absl::OkStatus();
}

std::vector<std::string> RunFolder::ReadClassNames() {
  Result<CheckpointContents> newest = store_.ReadNewest();
  if (!newest.ok()) return {};
  return ClassNamesIn(newest->user);
}

absl::Status RunFolder::RestoreOlder(Session& session, TrainState* state) {
  Result<LoadedCheckpoint> loaded = store_.LoadOlder(session);
  if (!loaded.ok()) return As(ExitCode::kCheckpoint, path_, loaded.status());
  return ReadState(loaded->user, state);
}

absl::Status RunFolder::SaveBest(const Session& session) const {
  const std::string path = path_ + "/checkpoint-best";
  return As(ExitCode::kIo, path, session.Save(path.c_str(), ""));
}

absl::Status RunFolder::RestoreBest(Session& session) const {
  const std::string path = path_ + "/checkpoint-best";
  return As(ExitCode::kCheckpoint, path, session.Restore(path.c_str(), nullptr));
}

absl::Status RunFolder::Log(const EpochEvent& event) const {
  Json line = {{"epoch", event.epoch + 1},
               {"step", event.step},
               {"train_loss", event.train_loss},
               {"lr", event.lr},
               {"time", static_cast<int64_t>(std::time(nullptr))}};
  if (event.validated) {
    line["val_loss"] = event.val_loss;
    line["val_accuracy"] = event.val_accuracy;
  }
  const std::string path = path_ + "/log.jsonl";
  std::ofstream out(path, std::ios::app);
  out << line.dump() << '\n';
  out.close();
  if (out.good()) return absl::OkStatus();
  return Fail(ExitCode::kIo, path + ": the epoch could not be written down");
}

std::vector<Json> RunFolder::ReadLog() const {
  std::map<int64_t, Json> by_epoch;
  std::ifstream in(path_ + "/log.jsonl");
  for (std::string text; std::getline(in, text);) {
    Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (line.is_object() && line.contains("epoch") && line["epoch"].is_number_integer()) {
      const int64_t epoch = line["epoch"].get<int64_t>();
      by_epoch[epoch] = std::move(line);
    }
  }
  std::vector<Json> lines;
  for (auto& [epoch, line] : by_epoch) lines.push_back(std::move(line));
  return lines;
}

std::string FindFromRun(const std::string& path, const std::string& run_folder) {
  std::error_code error;
  if (path.empty() || fs::path(path).is_absolute() || fs::exists(path, error)) return path;
  const fs::path beside = fs::absolute(run_folder, error).lexically_normal() / ".." / path;
  return fs::exists(beside, error) ? beside.lexically_normal().string() : path;
}

absl::Status CheckDataIsThere(const std::string& path, const std::string& run_folder) {
  std::error_code error;
  if (fs::exists(path, error)) return absl::OkStatus();
  return Fail(ExitCode::kData,
              absl::StrCat(path, ": the pictures of ", run_folder,
                           " are not there any more: say where they are with --data"));
}

}  // namespace pocketune
