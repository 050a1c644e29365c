#include <cmath>
#include <cstring>
#include <type_traits>

#include "engine/base/checksum.h"
#include "pocketune/train.h"

namespace pocketune {
namespace {

// The bytes: magic, version, fields of 8 bytes each in little-endian order, checksum of all before.
constexpr uint64_t kMagic = 0x4554415453545021;  // the text !PTSTATE
constexpr uint64_t kVersion = 2;                 // 2: has the batch
constexpr size_t kFields = 14;
constexpr size_t kBytes = (2 + kFields + 1) * sizeof(uint64_t);
constexpr size_t kBytesOfVersion1 = kBytes - sizeof(uint64_t);  // it lacks the last

void Append(uint64_t word, std::string* bytes) {
  for (int shift = 0; shift < 64; shift += 8) bytes->push_back(static_cast<char>(word >> shift));
}

uint64_t WordAt(std::string_view bytes, size_t index) {
  uint64_t word = 0;
  for (size_t i = 8; i > 0; --i) {
    word = word << 8 | static_cast<uint8_t>(bytes[index * sizeof(word) + i - 1]);
  }
  return word;
}

template <class T>
uint64_t WordOf(T field) {
  if constexpr (std::is_same_v<T, bool>) return field ? 1 : 0;
  uint64_t word = 0;
  std::memcpy(&word, &field, sizeof(field));
  return word;
}

// False where the word is no value of that type.
template <class T>
bool Take(uint64_t word, T* field) {
  if constexpr (std::is_same_v<T, bool>) {
    *field = word != 0;
    return word <= 1;
  }
  std::memcpy(field, &word, sizeof(*field));
  return true;
}

// What a training may have come to.
bool IsSound(const TrainState& s) {
  const bool finite = std::isfinite(s.lr_factor) && std::isfinite(s.epoch_loss_sum) &&
                      std::isfinite(s.loss_first) && std::isfinite(s.loss_last) &&
                      std::isfinite(s.best_accuracy) && std::isfinite(s.best_loss);
  return finite && s.step >= 0 && s.lr_factor >= 0 && s.lr_factor <= 1 && s.rollbacks >= 0 &&
         s.epoch_steps >= 0 && s.epoch_steps <= s.step && s.best_epoch >= -1 &&
         s.epochs_without_gain >= 0 && s.rollback_limit >= 0 && s.batch >= 0;
}

Status DataLoss(const char* message) { return Status(StatusCode::kDataLoss, message); }

}  // namespace

std::string EncodeTrainState(const TrainState& state) {
  std::string bytes;
  bytes.reserve(kBytes);
  Append(kMagic, &bytes);
  Append(kVersion, &bytes);
  TrainState::Visit(state, [&](const char*, const auto& field) { Append(WordOf(field), &bytes); });
  Append(Checksum(bytes.data(), bytes.size()), &bytes);
  return bytes;
}

Result<TrainState> DecodeTrainState(std::string_view bytes) {
  if (bytes.size() < 2 * sizeof(uint64_t) || WordAt(bytes, 0) != kMagic) {
    return DataLoss("training state: not one");
  }
  if (WordAt(bytes, 1) > kVersion) {
    return Status(StatusCode::kUnimplemented, "training state: of a newer version");
  }
  const bool first = WordAt(bytes, 1) == 1;
  const size_t length = first ? kBytesOfVersion1 : kBytes;
  if (WordAt(bytes, 1) < 1 || bytes.size() != length) {
    return DataLoss("training state: it has another length");
  }
  const size_t checked = length - sizeof(uint64_t);
  if (Checksum(bytes.data(), checked) != WordAt(bytes, checked / sizeof(uint64_t))) {
    return DataLoss("training state: its checksum is wrong");
  }
  TrainState state;
  size_t at = 2;
  bool good = true;
  TrainState::Visit(state, [&](const char*, auto& field) {
    if (at * sizeof(uint64_t) < checked) good = Take(WordAt(bytes, at++), &field) && good;
  });
  if (!good || !IsSound(state)) return DataLoss("training state: a number cannot be");
  state.restored = true;
  return state;
}

}  // namespace pocketune
