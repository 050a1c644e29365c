// NPZ archives. An input that does not begin as a zip archive is the array of pictures alone, and
// is packed, with right checksums, beside sound labels.
#include "absl/strings/match.h"
#include "tests/apps/data/data_test_util.h"
#include "tests/fuzz/dataset_check.h"

namespace pocketune::fuzz {
namespace {

using data::Bytes;

constexpr size_t kPictures = 5;

Bytes Labels() { return data::MakeNpy("|u1", "(5,)", {0, 1, 2, 1, 0}); }

}  // namespace

std::vector<std::string> Seeds() {
  const Bytes grey = data::MakeNpy("|u1", "(5, 3, 2)", data::Noise(kPictures * 6, 1));
  const Bytes colour = data::MakeNpy("|u1", "(5, 3, 2, 3)", data::Noise(kPictures * 18, 2));
  const Bytes floats = data::MakeNpy("<f4", "(5, 3, 2)", Bytes(kPictures * 24));
  const Bytes wide = data::MakeNpy("<i8", "(5, 1)", Bytes(kPictures * 8));
  const Bytes doubles = data::MakeNpy(">f8", "(5, 3, 2)", Bytes(kPictures * 48));
  const Bytes texts = data::MakeNpy(
      "<U1", "(5,)", {'a', 0, 0, 0, 'b', 0, 0, 0, 'a', 0, 0, 0, 0xe9, 0, 0, 0, 0x4e, 0x2d, 0, 0});
  const Bytes names = data::MakeNpy("|S3", "(5,)", Bytes(kPictures * 3, 'b'));
  return {ToString(grey),
          ToString(colour),
          ToString(floats),
          ToString(doubles),
          ToString(data::MakeZip({{"Xtrain.npy", floats}, {"ytrain.npy", texts}})),
          ToString(data::MakeZip({{"images.npy", doubles},
                                  {"target.npy", names},
                                  {"test_x.npy", floats},
                                  {"test_y.npy", wide}})),
          ToString(data::MakeZip({{"x.npy", grey}, {"y.npy", Labels()}})),
          ToString(data::MakeZip({{"x_train.npy", colour, true},
                                  {"y_train.npy", wide, true},
                                  {"x_test.npy", colour},
                                  {"y_test.npy", Labels()}}))};
}

}  // namespace pocketune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocketune;
  using namespace pocketune::fuzz;
  std::string bytes(View(data, size));
  if (!absl::StartsWith(bytes, "PK")) {
    bytes = ToString(data::MakeZip({{"x.npy", {bytes.begin(), bytes.end()}}, {"y.npy", Labels()}}));
  }
  const MemoryFile file(bytes);
  OpenAndCheck(file.path());
  return 0;
}
