// Fine-tunes a plan on samples in memory; stops, predicts, goes on: fine_tune PLAN FOLDER
#include <cstdio>

#include "pocketune/cpu.h"
#include "pocketune/train.h"
using namespace pocketune;
Status FineTune(Session& session, const char* folder) {
  const Shape shape = session.inputs("train")[0].shape;  // of "image": [batch, height, width, 1]
  const int64_t count = 40, pixels = shape.elems() / shape[0];
  std::vector<float> images(count * pixels), logits(5);  // of five classes
  std::vector<int32_t> labels(count);
  for (int64_t i = 0; i < count; ++i) labels[i] = i % 2;
  for (int64_t i = 0; i < count * pixels; ++i) images[i] = i / pixels % 2 == 0 ? i % 3 : i % 5;
  MemorySource samples(count);
  samples.Add("image", std::span<const float>(images));
  samples.Add("label", std::span<const int32_t>(labels));
  FolderStore store(folder);  // of checkpoints, for this process or the next
  std::atomic<int> stop{0};
  auto on_step = [&](const StepEvent& event) {
    std::printf("step %d of %d: loss %.4f\n", int(event.step), int(event.total_steps), event.loss);
    stop = event.step == 15;  // as any thread, or a signal handler, may: the battery is low
  };
  auto made = Trainer::Create(&session, &samples, nullptr, &store, {.epochs = 3}, {on_step},
                              {.stop_signal = &stop});
  PT_RETURN_IF_ERROR(made.status());
  const Status restored = made.value()->Restore();  // from what the folder holds, if anything
  if (!restored.ok() && restored.code() != StatusCode::kNotFound) return restored;
  PT_RETURN_IF_ERROR(made.value()->Run().status());  // to the end, or saved where it is stopped
  PT_RETURN_IF_ERROR(session.Bind("predict", "image", images.data(), pixels * sizeof(float)));
  PT_RETURN_IF_ERROR(session.Predict("predict"));  // one sample, whatever the batch
  PT_RETURN_IF_ERROR(session.Read("predict", "logits", logits));
  std::printf("step %d: class %d\n", int(session.step()), TopClasses(logits, 1)[0]);
  return OkStatus();
}

int main(int argc, char** argv) {
  auto session = OpenCpuSession(argc == 3 ? argv[1] : "", {.threads = 2});
  const Status status = session.ok() ? FineTune(*session.value(), argv[2]) : session.status();
  return status.ok() ? 0 : (std::fprintf(stderr, "fine_tune: %s\n", status.message()), 1);
}
