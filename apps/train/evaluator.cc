#include "apps/train/evaluator.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "apps/train/exit_code.h"
#include "apps/train/prefix_cache.h"

namespace pocketune {
namespace {

void Count(std::span<const float> logits, int32_t label, Evaluation* eval) {
  const std::vector<int> top = TopClasses(logits, 5);
  ++eval->samples;
  if (top[0] == label) ++eval->correct;
  if (std::find(top.begin(), top.end(), label) != top.end()) ++eval->correct_top5;
  ++eval->confusion[label][top[0]];
  const std::vector<double> p = Probabilities(logits);
  eval->loss -= std::log(std::max(p[label], 1e-300));
}

}  // namespace

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
      Count(std::span(logits).subspan(i * classes, classes), b.labels[i], &eval);
    }
  }
  if (cache != nullptr) cache->Unbind();
  if (eval.samples > 0) eval.loss /= static_cast<double>(eval.samples);
  eval.skipped = (*loader)->skipped();
  return eval;
}

}  // namespace pocketune
