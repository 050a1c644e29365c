// IDX folders. The input is the length of the file of pictures (u16, little-endian), that file and
// the file of labels, each plain or gzip-ed.
#include "tests/apps/data/data_test_util.h"
#include "tests/fuzz/dataset_check.h"

namespace pocketune::fuzz {
namespace {

std::string Seed(const data::Bytes& images, const data::Bytes& labels) {
  data::Bytes seed;
  data::AppendLittle(images.size(), 2, &seed);
  seed.insert(seed.end(), images.begin(), images.end());
  seed.insert(seed.end(), labels.begin(), labels.end());
  return ToString(seed);
}

}  // namespace

std::vector<std::string> Seeds() {
  const data::Bytes images = data::MakeIdx(0x803, {7, 5, 3}, data::Noise(105, 1));
  const data::Bytes labels = data::MakeIdx(0x801, {7}, {0, 1, 2, 0, 1, 2, 0});
  return {Seed(images, labels), Seed(data::Gzip(images), data::Gzip(labels))};
}

}  // namespace pocketune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocketune;
  using namespace pocketune::fuzz;
  static const data::TempDir folder;
  const std::string_view input = View(data, size);
  if (size < 2) return 0;
  const size_t images = data[0] | size_t{data[1]} << 8;
  const std::string_view files = input.substr(2);
  const size_t split = std::min(images, files.size());
  data::WriteFile(folder / "train-images-idx3-ubyte", std::string(files.substr(0, split)));
  data::WriteFile(folder / "train-labels-idx1-ubyte", std::string(files.substr(split)));
  OpenAndCheck(folder.path());
  return 0;
}
