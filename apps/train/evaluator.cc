#include "apps/train/evaluator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "apps/train/exit_code.h"
#include "apps/train/prefix_cache.h"
#include "engine/base/one_line.h"

namespace pocketune {
namespace {

void Count(std::span<const float> logits, int32_t label, int64_t sample, Evaluation* eval) {
  ++eval->samples;
  if (!AllFinite(logits)) {
    if (eval->not_finite++ == 0) eval->first_not_finite = sample;
    eval->loss = std::numeric_limits<double>::quiet_NaN();
    return;
  }
  const std::vector<int> top = TopClasses(logits, 5);
  if (top[0] == label) ++eval->correct;
  if (std::find(top.begin(), top.end(), label) != top.end()) ++eval->correct_top5;
  ++eval->confusion[label][top[0]];
  const std::vector<double> p = Probabilities(logits);
  eval->loss -= std::log(std::max(p[label], 1e-300));
}

// Of the samples of one class: right ones, all of them, and how many were taken for it.
struct ClassCounts {
  int64_t right = 0;
  int64_t samples = 0;
  int64_t answers = 0;
};

// Of each class that has samples.
std::vector<ClassCounts> CountsOf(const std::vector<std::vector<int64_t>>& confusion) {
  std::vector<ClassCounts> counts(confusion.size());
  for (size_t i = 0; i < confusion.size(); ++i) {
    counts[i].right = confusion[i][i];
    for (size_t j = 0; j < confusion.size(); ++j) {
      counts[i].samples += confusion[i][j];
      counts[i].answers += confusion[j][i];
    }
  }
  std::erase_if(counts, [](const ClassCounts& c) { return c.samples == 0; });
  return counts;
}

template <typename Score>
double MeanOf(const std::vector<ClassCounts>& counts, const Score& score) {
  double sum = 0;
  for (const ClassCounts& c : counts) sum += score(c);
  return counts.empty() ? 0 : sum / static_cast<double>(counts.size());
}

}  // namespace

double Evaluation::balanced_accuracy() const {
  return MeanOf(CountsOf(confusion),
                [](const ClassCounts& c) { return double(c.right) / double(c.samples); });
}

double Evaluation::macro_f1() const {
  return MeanOf(CountsOf(confusion), [](const ClassCounts& c) {
    return 2 * double(c.right) / double(c.samples + c.answers);
  });
}

absl::Status CheckFinite(const Evaluation& eval, const data::Dataset& dataset) {
  if (eval.not_finite == 0) return absl::OkStatus();
  return Fail(ExitCode::kNumerics,
              absl::StrCat(OneLine(dataset.samples()[eval.first_not_finite].name),
                           ": the model's answer is not finite, as for ", eval.not_finite, " of ",
                           eval.samples, " pictures"));
}

bool AllFinite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

Shape ImageShape(const Session& session, std::string_view schedule) {
  for (const PortInfo& port : session.inputs(schedule)) {
    if (port.name == "image") return port.shape;
  }
  return {};
}

std::vector<int> TopClasses(std::span<const float> logits, int k) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  k = std::min<int>(k, static_cast<int>(order.size()));
  std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int a, int b) {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  });
  order.resize(k);
  return order;
}

std::vector<double> Probabilities(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p(logits.size());
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += p[i] = std::exp(logits[i] - top);
  for (double& value : p) value /= sum;
  return p;
}

absl::StatusOr<Evaluation> Evaluate(Session& session, const data::Dataset& dataset,
                                    const data::Transform& transform, data::Split split,
                                    int64_t batch, data::LoaderSize loader_size,
                                    PrefixCache* cache) {
  data::LoaderOptions options = data::LoaderOptions::Eval(split, batch);
  options.threads = loader_size.threads;
  options.queue_batches = loader_size.queue_batches;
  if (cache != nullptr) options.known_bad = cache->bad();
  absl::StatusOr<std::unique_ptr<data::BatchLoader>> loader =
      data::BatchLoader::Create(&dataset, transform, options);
  if (!loader.ok()) return As(ExitCode::kData, loader.status());

  int64_t classes = 0;
  for (const PortInfo& port : session.outputs("eval")) {
    if (port.name == "logits") classes = port.shape[1];
  }
  Evaluation eval;
  eval.confusion.assign(classes, std::vector<int64_t>(classes, 0));
  std::vector<float> logits(batch * classes);
  for (;;) {
    absl::StatusOr<const data::Batch*> next = (*loader)->Next();
    if (!next.ok()) return As(ExitCode::kData, next.status());
    if (*next == nullptr) break;
    const data::Batch& b = **next;
    if (cache != nullptr) {
      PT_TRY(cache->Bind(b));
    } else {
      PT_TRY(As(ExitCode::kInternal, "eval",
                session.Bind("image", b.images.data(), int64_t(b.images.size() * sizeof(float)))));
    }
    PT_TRY(As(ExitCode::kInternal, "eval", session.Predict()));
    PT_TRY(As(ExitCode::kInternal, "eval", session.Read("eval", "logits", logits)));
    for (int64_t i = 0; i < batch; ++i) {
      if (b.weights[i] == 0.0f || b.labels[i] >= classes) continue;
      Count(std::span(logits).subspan(i * classes, classes), b.labels[i], b.samples[i], &eval);
    }
  }
  if (cache != nullptr) cache->Unbind();
  if (eval.samples > 0) eval.loss /= static_cast<double>(eval.samples);
  eval.skipped = (*loader)->skipped();
  return eval;
}

}  // namespace pocketune
