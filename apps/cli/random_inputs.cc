#include "apps/cli/random_inputs.h"

#include <algorithm>

#include "apps/train/evaluator.h"
#include "engine/base/math.h"
#include "engine/base/rng.h"

namespace pocketune::cli {
namespace {

constexpr double kRate = 1e-4;  // small enough for any model to stay finite

int64_t Classes(const Session& session) {
  const std::vector<PortInfo> outputs = session.outputs("eval");
  const PortInfo* logits = FindPort(outputs, PortRole::kPrediction);
  return logits == nullptr ? 1 : logits->shape[-1];
}

void Fill(const PortInfo& port, int64_t classes, uint8_t* at) {
  const int64_t n = port.shape.elems();
  if (port.dtype == DType::kI32) {
    int32_t* labels = reinterpret_cast<int32_t*>(at);
    for (int64_t i = 0; i < n; ++i) labels[i] = static_cast<int32_t>(i * 7 % classes);
    return;
  }
  float* values = reinterpret_cast<float*>(at);
  const RandomStream stream(1, port.name);
  for (int64_t i = 0; i < n; ++i) {
    values[i] = port.role == PortRole::kSampleWeight ? 1.0f : 2.0f * stream.Uniform(i) - 1.0f;
  }
}

}  // namespace

RandomInputs::RandomInputs(int64_t bytes) : memory_(bytes, 1) {}

int64_t RandomInputs::InputBytes(const Shape& image, bool reconstruction) {
  const int64_t pixels = AlignUp(image.elems() * int64_t{sizeof(float)});
  return pixels * (reconstruction ? 2 : 1) + 2 * AlignUp(image[0] * int64_t{sizeof(float)});
}

int64_t TrainInputBytes(const Session& session) {
  return RandomInputs::InputBytes(ImageShape(session, "train"), false);
}

Status RandomInputs::Bind(Session& session) {
  trains_ = !session.inputs("train").empty();
  const int64_t classes = Classes(session);
  int64_t offset = 0;
  for (const PortInfo& port : session.inputs(trains_ ? "train" : "eval")) {
    const int64_t bytes = port.shape.elems() * SizeOf(port.dtype);
    if (offset + bytes > static_cast<int64_t>(memory_.size())) {
      return Status(StatusCode::kResourceExhausted, "too little memory for random inputs");
    }
    Fill(port, classes, memory_.data() + offset);
    PT_RETURN_IF_ERROR(session.Bind(port.name, memory_.data() + offset, bytes));
    offset += AlignUp(bytes);
  }
  bound_ = true;
  return OkStatus();
}

Status RandomInputs::Step(Session& session, float* loss) {
  if (!bound_) PT_RETURN_IF_ERROR(Bind(session));
  return trains_ ? session.TrainStep(kRate, loss) : session.EvalStep(loss);
}

}  // namespace pocketune::cli
