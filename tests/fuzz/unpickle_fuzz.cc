// PyTorch's files: an archive, the older form, or, where the input is none of the two, a pickle
// alone that is packed into an archive with right checksums.
#include "frontends/torch/torch_file.h"
#include "tests/frontends/torch/torch_fixture.h"
#include "tests/fuzz/fuzz_target.h"

namespace pocketune::fuzz {
namespace {

using test::StateDict;
using test::StorageOf;
using test::TorchStorage;
using test::TorchTensor;

std::vector<TorchStorage> Storages() {
  return {StorageOf<float>("0", {1, 2, 3, 4, 5, 6}), StorageOf<uint16_t>("1", {0x3c00, 0x3c01}),
          StorageOf<double>("2", {1, 2}), StorageOf<int64_t>("3", {9})};
}

std::string Data(const std::string& below) {
  return StateDict({{"conv.weight", {2, 1, 1, 3}, {3, 3, 3, 1}},
                    {"conv.turned", {3, 2}, {1, 3}},
                    {"part", {2}, {1}, "0", 4},
                    {"half", {2}, {1}, "1", 0, "HalfStorage"},
                    {"double", {2}, {1}, "2", 0, "DoubleStorage"},
                    {"num_batches_tracked", {}, {}, "3", 0, "LongStorage"}},
                   Storages(), below);
}

}  // namespace

std::vector<std::string> Seeds() {
  return {Data(""), Data("model"), test::OldFile(Data(""), Storages()),
          test::OldFile(Data("state_dict"), Storages())};
}

}  // namespace pocketune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocketune;
  using namespace pocketune::fuzz;
  const std::string bytes(View(data, size));
  // 0x80 0x02 0x8a is the magic number of the older form.
  const bool whole = bytes.rfind("PK", 0) == 0 || bytes.rfind("\x80\x02\x8a", 0) == 0;
  const MemoryFile memory(whole ? bytes : test::ZipOf(bytes, Storages()));
  const absl::StatusOr<std::unique_ptr<TorchFile>> file = TorchFile::Open(memory.path());
  RequireGoodError(file.status());
  if (!file.ok()) return 0;
  for (const WeightsEntry& entry : (*file)->entries()) {
    const absl::StatusOr<std::vector<float>> values = (*file)->Read(entry);
    RequireGoodError(values.status());
    int64_t elements = 1;
    for (const int64_t dim : entry.shape) elements *= dim;
    Require(!values.ok() || static_cast<int64_t>(values->size()) == elements,
            "a tensor has the elements of its shape");
  }
  Accept();
  return 0;
}
