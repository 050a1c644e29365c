// Trains a compiled plan for some steps on made-up data: train_plan PLAN [STEPS [CHECKPOINT]]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "pocketune/cpu.h"
#include "pocketune/session.h"

using pocketune::PortInfo;
using pocketune::Result;
using pocketune::Session;
using pocketune::Status;

namespace {

int Fail(const char* what, const Status& status) {
  std::fprintf(stderr, "train_plan: %s: %s\n", what, status.message());
  return 1;
}

// One batch: stripes whose direction is the class. A plan reads it in place, step after step.
struct Batch {
  std::vector<float> image;
  std::vector<int32_t> label;
  std::vector<float> weight;
};

Batch MakeBatch(const pocketune::Shape& image) {
  const int64_t samples = image[0];
  Batch batch;
  batch.label.resize(samples);
  batch.weight.assign(samples, 1.0f);  // 0 for a sample that only fills up the batch
  batch.image.reserve(image.elems());
  for (int64_t n = 0; n < samples; ++n) {
    batch.label[n] = static_cast<int32_t>(n % 2);
    for (int64_t y = 0; y < image[1]; ++y) {
      for (int64_t x = 0; x < image[2]; ++x) {
        const float pixel = ((n % 2 == 0 ? x : y) + n) % 4 < 2 ? 1.0f : -1.0f;
        batch.image.insert(batch.image.end(), image[3], pixel);
      }
    }
  }
  return batch;
}

// Binds the batch to the plan's inputs.
Status Bind(Session& session, const Batch& batch) {
  PT_RETURN_IF_ERROR(session.Bind("image", batch.image.data(), batch.image.size() * sizeof(float)));
  PT_RETURN_IF_ERROR(
      session.Bind("label", batch.label.data(), batch.label.size() * sizeof(int32_t)));
  return session.Bind("weight", batch.weight.data(), batch.weight.size() * sizeof(float));
}

}  // namespace

int main(int argc, char** argv) {
  const int steps = argc > 2 ? std::atoi(argv[2]) : 2;
  if (argc < 2 || argc > 4 || steps < 1) {
    std::fprintf(stderr, "usage: train_plan PLAN [STEPS [CHECKPOINT]]\n");
    return 2;
  }
  Result<std::unique_ptr<Session>> opened = pocketune::OpenCpuSession(argv[1], {.threads = 2});
  if (!opened.ok()) return Fail(argv[1], opened.status());
  Session& session = *opened.value();

  Batch batch;
  for (const PortInfo& input : session.inputs("train")) {
    if (input.name == "image") batch = MakeBatch(input.shape);
  }
  if (const Status bound = Bind(session, batch); !bound.ok()) return Fail("bind", bound);

  for (int step = 1; step <= steps; ++step) {
    float loss = 0.0f;
    const Status trained = session.TrainStep(/*learning_rate=*/0.01, &loss);
    if (!trained.ok()) return Fail("train", trained);
    std::printf("step %d: loss %.4f\n", step, loss);
  }
  if (argc == 4) {
    const Status saved = session.Save(argv[3], /*user=*/"");
    if (!saved.ok()) return Fail(argv[3], saved);
  }
  std::printf("arena %lld bytes\n", static_cast<long long>(session.memory().arena_bytes));
  return 0;
}
