#include "apps/cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/clock.h"

namespace pocketune::cli {
namespace {

constexpr int kBarCells = 24;
constexpr int kLeastBarCells = 6;
constexpr double kDrawEvery = 0.1;  // seconds
constexpr double kPrintEvery = 10.0;

int ColumnsOf(std::FILE* terminal) {
  winsize size = {};
  const bool known = ioctl(fileno(terminal), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

// At most `columns` wide: a line that wraps is not redrawn but repeated. The bar gives way first.
std::string LineOf(double fraction, const std::string& text, int columns) {
  std::string line = absl::StrFormat("%3.0f %%  %s", 100 * fraction, text);
  const int cells = std::min(kBarCells, columns - static_cast<int>(line.size()) - 4);
  if (cells < kLeastBarCells) return line.substr(0, std::max(0, columns - 1));
  const int full = static_cast<int>(fraction * cells);
  return absl::StrCat("[", std::string(full, '#'), std::string(cells - full, '.'), "] ", line);
}

}  // namespace

Progress::Progress(const CommonFlags& flags)
    : flags_(flags), terminal_(isatty(flags.json == "-" ? 2 : 1) == 1), last_draw_(NowSeconds()) {}

void Progress::Clear() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", flags_.json == "-" ? stderr : stdout);
  drawn_ = false;
}

void Progress::Note(const std::string& text) {
  Clear();
  Say(flags_, text);
}

void Progress::OnStep(const StepEvent& event) {
  // An exponential mean over about the last 50 steps.
  const double mix = seconds_per_step_ == 0 ? 1.0 : 0.02;
  seconds_per_step_ += mix * (event.seconds - seconds_per_step_);
  mean_loss_ += mix * (event.loss - mean_loss_);
  const std::string left = HumanSeconds(seconds_per_step_ * double(event.total_steps - event.step));
  Show(double(event.step) / double(event.total_steps),
       absl::StrFormat("step %d/%d  loss %.4f  %.0f ms/step  %s left", event.step,
                       event.total_steps, mean_loss_, 1e3 * seconds_per_step_, left));
}

void Progress::OnTrial(int64_t done, int64_t total, double seconds) {
  Show(double(done) / double(total),
       absl::StrFormat("trial %d of at most %d  %.1f s each  up to %s left", done, total, seconds,
                       HumanSeconds(seconds * double(total - done))));
}

void Progress::Show(double fraction, const std::string& text) {
  const double now = NowSeconds();
  if (flags_.quiet || now - last_draw_ < (terminal_ ? kDrawEvery : kPrintEvery)) return;
  last_draw_ = now;
  if (!terminal_) return Say(flags_, text);
  std::FILE* stream = flags_.json == "-" ? stderr : stdout;
  std::fprintf(stream, "\r%s\x1b[K", LineOf(fraction, text, ColumnsOf(stream)).c_str());
  std::fflush(stream);
  drawn_ = true;
}

void Progress::OnEpoch(const EpochEvent& event, int64_t epochs) {
  std::string text = absl::StrFormat("epoch %d", event.epoch + 1);
  if (epochs > 0) absl::StrAppend(&text, "/", epochs);
  absl::StrAppendFormat(&text, "  train loss %.4f", event.train_loss);
  if (event.validated) {
    absl::StrAppendFormat(&text, "  val loss %.4f  val accuracy %.1f %%%s", event.val_loss,
                          100 * event.val_accuracy, event.best ? "  (best)" : "");
  }
  Note(text);
}

}  // namespace pocketune::cli
