#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <utility>

#include "tests/apps/data/data_test_util.h"
#include "tests/apps/data/picture_loader.h"
#include "tests/support/few_threads.h"
#include "tests/support/sanitized.h"

namespace pocketune::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Transform MakeTransform(int height = 11, int width = 7) {
  TransformOptions options;
  options.height = height;
  options.width = width;
  options.flip_probability = 0.5f;
  options.crop_padding = 2;
  return *Transform::Create(options);
}

std::unique_ptr<Dataset> OpenAllTraining(const std::string& path) {
  DatasetOptions options;
  options.val_fraction = options.test_fraction = 0;
  absl::StatusOr<std::unique_ptr<Dataset>> dataset = OpenDataset(path, options);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return *std::move(dataset);
}

PictureOptions TrainOptions(int64_t batch, int threads = 2) {
  PictureOptions options;
  options.loader.batch = batch;
  options.loader.seed = 9;
  options.loader.size.threads = threads;
  return options;
}

std::unique_ptr<PictureLoader> MakeLoader(const Dataset& dataset, const PictureOptions& options) {
  absl::StatusOr<std::unique_ptr<PictureLoader>> loader =
      PictureLoader::Create(&dataset, MakeTransform(), options);
  EXPECT_TRUE(loader.ok()) << loader.status();
  return *std::move(loader);
}

// Copies of the next `n` batches, or fewer at the end.
std::vector<PictureBatch> Take(PictureLoader* loader, int n) {
  std::vector<PictureBatch> batches;
  while (int(batches.size()) < n) {
    absl::StatusOr<std::unique_ptr<PictureBatch>> batch = loader->Next();
    EXPECT_TRUE(batch.ok()) << batch.status();
    if (!batch.ok() || *batch == nullptr) break;
    batches.push_back(std::move(**batch));
  }
  return batches;
}

void ExpectSame(const std::vector<PictureBatch>& a, const std::vector<PictureBatch>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].epoch, b[i].epoch);
    EXPECT_EQ(a[i].index, b[i].index);
    EXPECT_EQ(a[i].images, b[i].images);
    EXPECT_EQ(a[i].labels, b[i].labels);
    EXPECT_EQ(a[i].weights, b[i].weights);
    EXPECT_EQ(a[i].samples, b[i].samples);
  }
}

class LoaderTest : public ::testing::Test {
 protected:
  LoaderTest() { WriteImageFolder(dir_.path(), 13); }  // 39 pictures
  void Break(const std::string& name) { WriteFile(dir_ / name, "not a picture"); }

  TempDir dir_;
};

TEST_F(LoaderTest, GivesTheSameBatchesForAnyNumberOfThreadsQueueAndCache) {
  Break("bee/003.jpg");
  const auto dataset = OpenAllTraining(dir_.path());
  const int n = 3 * 4 + 1;
  const std::vector<PictureBatch> want = Take(MakeLoader(*dataset, TrainOptions(11, 1)).get(), n);
  ASSERT_THAT(want, SizeIs(n));
  for (int threads : {1, 2, 3}) {
    PictureOptions options = TrainOptions(11, threads);
    options.loader.size.queue_batches = threads + 1;
    options.source.cache_bytes = threads == 1 ? 0 : 10 * 11 * 7 * 3;  // none, or ten pictures
    const auto loader = MakeLoader(*dataset, options);
    ExpectSame(Take(loader.get(), n), want);
    EXPECT_THAT(loader->skipped(), SizeIs(1));
  }
}

TEST_F(LoaderTest, SharesPicturesWithAnotherLoader) {
  Break("bee/003.jpg");
  const auto dataset = OpenAllTraining(dir_.path());
  const std::vector<PictureBatch> want = Take(MakeLoader(*dataset, TrainOptions(11)).get(), 3);
  const auto source = std::make_shared<DatasetSource>(
      dataset.get(), MakeTransform(), Split::kTrain,
      DatasetSourceOptions{.cache_bytes = int64_t{1} << 20, .keeps_all = true});
  PictureOptions options = PictureOptions::Eval(Split::kTrain, 13);
  options.loader.tolerate_bad = true;
  Take(PictureLoader::Create(source, MakeTransform(), options)->get(), 3);
  // Only what the cache holds can be read now.
  for (const Sample& sample : dataset->samples()) Break(sample.name);
  ExpectSame(Take(PictureLoader::Create(source, MakeTransform(), TrainOptions(11))->get(), 3),
             want);
}

TEST_F(LoaderTest, AugmentsEachPictureAsTheTransformSays) {
  const auto dataset = OpenAllTraining(dir_.path());
  const PictureBatch batch = Take(MakeLoader(*dataset, TrainOptions(8)).get(), 1)[0];
  const Transform transform = MakeTransform();
  const int64_t elems = transform.elems();
  for (int i = 0; i < 8; ++i) {
    Image image;
    TransformScratch scratch;
    std::vector<uint8_t> prepared(elems);
    std::vector<float> one(elems);
    ASSERT_TRUE(dataset->DecodeImage(batch.samples[i], transform.decode_hint(), &image).ok());
    transform.Prepare(image, &scratch, prepared);
    transform.Finish(prepared, batch.augmentations[i], one);
    EXPECT_TRUE(std::equal(one.begin(), one.end(), batch.images.begin() + i * elems));
  }
}

TEST_F(LoaderTest, DoesTheSameOnDemandAsInTraining) {
  const auto dataset = OpenAllTraining(dir_.path());
  TransformOptions flips = MakeTransform().options();
  flips.crop_padding = 0;
  const Transform transform = *Transform::Create(flips);
  const auto source = std::make_shared<DatasetSource>(dataset.get(), transform, Split::kTrain);
  EXPECT_EQ(source->Variants(), 2);
  const PictureBatch batch =
      Take(PictureLoader::Create(source, transform, TrainOptions(8))->get(), 1)[0];
  std::set<int> seen;
  for (int i = 0; i < 8; ++i) {
    PictureOptions options = PictureOptions::Eval(Split::kTrain, 1);
    options.loader.samples = {batch.samples[i]};
    options.loader.variant =
        source->VariantOf(batch.samples[i], {.training = true, .seed = 9, .epoch = 0});
    seen.insert(options.loader.variant);
    const PictureBatch one = Take(PictureLoader::Create(source, transform, options)->get(), 1)[0];
    EXPECT_TRUE(std::equal(one.images.begin(), one.images.end(),
                           batch.images.begin() + i * transform.elems()));
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(LoaderTest, SeesEverySampleOncePerEpochInAnotherOrder) {
  const auto dataset = OpenAllTraining(dir_.path());
  const auto loader = MakeLoader(*dataset, TrainOptions(8));
  EXPECT_EQ(loader->batches_per_epoch(), 5);
  EXPECT_EQ(loader->samples_per_epoch(), 39);
  std::vector<std::vector<int64_t>> orders;
  for (int epoch = 0; epoch < 2; ++epoch) {
    orders.emplace_back();
    for (const PictureBatch& batch : Take(loader.get(), 5)) {
      EXPECT_EQ(batch.epoch, epoch);
      for (int64_t s : batch.samples) {
        if (s >= 0) orders.back().push_back(s);
      }
    }
    EXPECT_EQ(std::set<int64_t>(orders.back().begin(), orders.back().end()).size(), 39u);
    EXPECT_THAT(orders.back(), SizeIs(39));
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_FALSE(std::is_sorted(orders[0].begin(), orders[0].end()));
}

TEST_F(LoaderTest, PadsTheShortBatchWithWeightZeroOrDropsIt) {
  const auto dataset = OpenAllTraining(dir_.path());
  PictureOptions options = TrainOptions(17);
  const PictureBatch last = Take(MakeLoader(*dataset, options).get(), 3)[2];
  for (int i = 0; i < 17; ++i) {
    EXPECT_EQ(last.weights[i], i < 5 ? 1.f : 0.f);
    EXPECT_EQ(last.samples[i] >= 0, i < 5);
  }
  const int64_t elems = 11 * 7 * 3;
  EXPECT_TRUE(std::all_of(last.images.begin() + 5 * elems, last.images.end(),
                          [](float v) { return v == 0; }));
  EXPECT_THAT(std::vector<int32_t>(last.labels.begin() + 5, last.labels.end()), ::testing::Each(0));

  options.loader.drop_last = true;
  const auto dropping = MakeLoader(*dataset, options);
  EXPECT_EQ(dropping->batches_per_epoch(), 2);
  EXPECT_EQ(dropping->samples_per_epoch(), 34);
  for (const PictureBatch& batch : Take(dropping.get(), 5)) {
    EXPECT_THAT(batch.weights, ::testing::Each(1.f));
  }
}

TEST_F(LoaderTest, ContinuesAnywhereAsAnUninterruptedRun) {
  Break("cat/001.jpg");
  const auto dataset = OpenAllTraining(dir_.path());
  const std::vector<PictureBatch> all = Take(MakeLoader(*dataset, TrainOptions(11)).get(), 12);
  for (int from : {0, 1, 3, 4, 7, 11}) {
    const auto loader = MakeLoader(*dataset, TrainOptions(11, 3));
    Take(loader.get(), 2);  // some other place first
    loader->Seek(from / 4, from % 4);
    ExpectSame(Take(loader.get(), 12 - from), {all.begin() + from, all.end()});
  }
  // The end of an epoch is the start of the next.
  const auto loader = MakeLoader(*dataset, TrainOptions(11));
  loader->Seek(0, 4);
  ExpectSame(Take(loader.get(), 1), {all[4]});
}

TEST_F(LoaderTest, EvaluatesInTheOrderOfTheDataOnce) {
  Break("ant/002.jpg");
  const auto dataset = OpenAllTraining(dir_.path());
  const auto loader = MakeLoader(*dataset, PictureOptions::Eval(Split::kTrain, 10));
  const std::vector<PictureBatch> batches = Take(loader.get(), 100);
  ASSERT_THAT(batches, SizeIs(4));
  std::vector<int64_t> samples;
  for (const PictureBatch& batch : batches) {
    samples.insert(samples.end(), batch.samples.begin(), batch.samples.end());
  }
  // Number 2 is bad, the last of the four batches is one short.
  for (int64_t i = 0; i < 40; ++i) EXPECT_EQ(samples[i], i == 2 || i == 39 ? -1 : i);
  EXPECT_EQ(batches[0].weights[2], 0.f);
  EXPECT_THAT(loader->skipped(), SizeIs(1));
  EXPECT_THAT(loader->skipped()[0].reason, HasSubstr("ant/002.jpg: unknown kind of picture"));
  ASSERT_TRUE(loader->Next().ok());
  EXPECT_EQ(*loader->Next(), nullptr);
}

TEST_F(LoaderTest, ReplacesABadPictureByTheNextGoodOneOfTheEpoch) {
  const auto dataset = OpenAllTraining(dir_.path());
  const std::vector<PictureBatch> good = Take(MakeLoader(*dataset, TrainOptions(39)).get(), 1);
  const int64_t bad = good[0].samples[20];
  Break(dataset->samples()[bad].name);
  const auto loader = MakeLoader(*dataset, TrainOptions(39));
  const std::vector<PictureBatch> got = Take(loader.get(), 3);
  std::vector<int64_t> want = good[0].samples;
  want[20] = want[21];
  EXPECT_EQ(got[0].samples, want);
  EXPECT_THAT(got[0].weights, ::testing::Each(1.f));
  ASSERT_THAT(loader->skipped(), SizeIs(1));  // three epochs, counted once
  EXPECT_EQ(loader->skipped()[0].sample, bad);
}

TEST_F(LoaderTest, StopsAboveFivePercentOfBadPictures) {
  for (const char* name : {"ant/000.jpg", "bee/000.jpg"}) {
    Break(name);  // the second makes 5.1 %
  }
  const auto dataset = OpenAllTraining(dir_.path());
  for (int threads : {1, 3}) {
    const auto loader = MakeLoader(*dataset, TrainOptions(13, threads));
    absl::Status status;
    for (int i = 0; i < 3 && status.ok(); ++i) status = loader->Next().status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("split train: too many bad pictures (got 2 of 39, want at most 5 %)"));
    EXPECT_FALSE(loader->Next().ok());  // and it stays so
  }
}

TEST_F(LoaderTest, GoesOnWithTwoPercentOfBadPictures) {
  Break("cat/012.jpg");
  const auto dataset = OpenAllTraining(dir_.path());
  EXPECT_THAT(Take(MakeLoader(*dataset, TrainOptions(13)).get(), 9), SizeIs(9));
}

TEST_F(LoaderTest, NeverStopsForASingleBadPicture) {
  const TempDir small;
  WriteImageFolder(small.path(), 2);
  WriteFile(small / "ant/001.jpg", Bytes{});
  const auto dataset = OpenAllTraining(small.path());
  EXPECT_THAT(Take(MakeLoader(*dataset, TrainOptions(5)).get(), 6), SizeIs(6));
}

TEST_F(LoaderTest, ToleratesAnyNumberOfBadPicturesWhereAsked) {
  const std::unique_ptr<Dataset> dataset = OpenAllTraining(dir_.path());
  PictureOptions options = PictureOptions::Eval(Split::kTrain, 2);
  options.loader.samples = {7, 3, 5};
  options.loader.tolerate_bad = true;
  for (const int64_t sample : options.loader.samples) Break(dataset->samples()[sample].name);
  std::unique_ptr<PictureLoader> loader = MakeLoader(*dataset, options);
  EXPECT_THAT(Take(loader.get(), 9), SizeIs(2));
  EXPECT_THAT(loader->skipped(), SizeIs(3));
}

TEST_F(LoaderTest, GivesTheSameBatchesWithoutPicturesWhereTheBadOnesAreKnown) {
  const std::unique_ptr<Dataset> dataset = OpenAllTraining(dir_.path());
  Break(dataset->samples()[20].name);
  const auto source =
      std::make_shared<DatasetSource>(dataset.get(), MakeTransform(), Split::kTrain);
  std::unique_ptr<PictureLoader> loading =
      *PictureLoader::Create(source, MakeTransform(), TrainOptions(4));
  PictureOptions options = TrainOptions(4);
  options.loader.from_rows = true;
  options.loader.known_bad = {20};
  std::unique_ptr<PictureLoader> loader = *PictureLoader::Create(source, MakeTransform(), options);
  const std::vector<PictureBatch> want = Take(loading.get(), 25), got = Take(loader.get(), 25);
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(got[i].samples, want[i].samples) << i;
    EXPECT_EQ(got[i].labels, want[i].labels) << i;
    EXPECT_EQ(got[i].weights, want[i].weights) << i;
    EXPECT_THAT(got[i].images, IsEmpty());
  }
  ASSERT_THAT(loader->skipped(), SizeIs(1));
  EXPECT_EQ(loader->skipped()[0].sample, 20);
  EXPECT_EQ(loader->skipped()[0].reason, loading->skipped()[0].reason);
}

TEST(LoaderErrorTest, StopsWhereNoPictureIsGood) {
  const TempDir dir;
  WriteFile(dir / "a/1.jpg", "x");
  const auto dataset = OpenAllTraining(dir.path());
  const auto loader = MakeLoader(*dataset, TrainOptions(5));
  EXPECT_TRUE(absl::IsDataLoss(loader->Next().status()));
}

TEST_F(LoaderTest, TakesAVanishedFileForAnErrorOfReadingNotForABadPicture) {
  const auto dataset = OpenAllTraining(dir_.path());
  std::filesystem::remove(dir_ / "cat/005.jpg");
  const auto loader = MakeLoader(*dataset, TrainOptions(39));
  const absl::Status status = loader->Next().status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("cat/005.jpg: cannot open"));
  EXPECT_THAT(loader->skipped(), IsEmpty());
}

TEST_F(LoaderTest, ReadsCachedPicturesFromMemory) {
  const auto dataset = OpenAllTraining(dir_.path());
  const auto loader = MakeLoader(*dataset, TrainOptions(13));
  Take(loader.get(), 6);
  for (const Sample& sample : dataset->samples()) std::filesystem::remove(dir_ / sample.name);
  EXPECT_THAT(Take(loader.get(), 6), SizeIs(6));
}

TEST_F(LoaderTest, TakesMoreThreadsThanThereAreCoresAndStartsNoMoreThanServe) {
  const auto dataset = OpenAllTraining(dir_.path());
  const std::vector<PictureBatch> want = Take(MakeLoader(*dataset, TrainOptions(11, 1)).get(), 5);
  for (int threads : {64, 65, 255, 100'000}) {
    SCOPED_TRACE(threads);
    const auto loader = MakeLoader(*dataset, TrainOptions(11, threads));
    EXPECT_EQ(loader->threads(), 64);
    ExpectSame(Take(loader.get(), 5), want);
  }
}

TEST_F(LoaderTest, LoadsTheSameWithTheThreadsThatTheSystemStartsAndWithNone) {
  Break("bee/003.jpg");
  const auto dataset = OpenAllTraining(dir_.path());
  const int n = 3 * 4 + 1;
  const std::vector<PictureBatch> want = Take(MakeLoader(*dataset, TrainOptions(11, 1)).get(), n);
  for (int limit : {0, 1, 2}) {
    SCOPED_TRACE(limit);
    const test::FewThreads few(limit);
    const auto loader = MakeLoader(*dataset, TrainOptions(11, 4));
    EXPECT_EQ(loader->threads(), limit);
    ExpectSame(Take(loader.get(), n), want);
    EXPECT_THAT(loader->skipped(), SizeIs(1));
    loader->Seek(1, 1);
    ExpectSame(Take(loader.get(), 1), {want[5]});
  }
}

// What RLIMIT_DATA limits.
rlim_t PrivateBytes() {
  std::ifstream statm("/proc/self/statm");
  rlim_t pages = 0;
  for (int field = 0; field < 6; ++field) statm >> pages;
  return pages * 4096;
}

// In a process of its own: the test's must keep its memory.
TEST(LoaderMemoryDeathTest, SaysThatMemoryIsShortWhereAThreadHasTooLittle) {
#ifdef PT_SANITIZED
  GTEST_SKIP() << "sanitizers take memory of their own, and end the process where there is none";
#endif
  const TempDir dir;
  // In the second the library allocates: coefficients of all scans.
  const Image image = MakeImage(4000, 4000, 3, 1);
  WriteFile(dir / "png/bee/0.png", EncodePng(image));
  WriteFile(dir / "jpeg/bee/0.jpg", EncodeJpeg(image, JpegScans::kProgressive));
  const auto load = [&](int threads, const std::string& folder) {
    const auto dataset = OpenAllTraining(dir / folder);
    const test::FewThreads few(threads);
    // Room for the stacks of two threads, and not for a picture of 48 MB.
    const rlim_t room = PrivateBytes() + (26 << 20);
    const rlimit limit = {room, room};
    setrlimit(RLIMIT_DATA, &limit);
    const auto loader = MakeLoader(*dataset, TrainOptions(1, 2));
    const absl::Status status = loader->Next().status();
    std::fprintf(stderr, "%s, twice: %d", std::string(status.message()).c_str(),
                 loader->Next().status() == status);
    std::_Exit(static_cast<int>(status.code()));
  };
  for (const std::string folder : {"png", "jpeg"}) {
    for (int threads : {2, 0}) {
      EXPECT_EXIT(load(threads, folder),
                  ::testing::ExitedWithCode(static_cast<int>(absl::StatusCode::kResourceExhausted)),
                  "too little memory (for the pictures|to decode it), twice: 1");
    }
  }
}

TEST_F(LoaderTest, RefusesBadOptions) {
  const auto dataset = OpenAllTraining(dir_.path());
  const auto error_of = [&](const PictureOptions& options) {
    return PictureLoader::Create(dataset.get(), MakeTransform(), options).status().code();
  };
  PictureOptions options = TrainOptions(0);
  EXPECT_EQ(error_of(options), absl::StatusCode::kInvalidArgument);
  options = TrainOptions(5, 0);
  EXPECT_EQ(error_of(options), absl::StatusCode::kInvalidArgument);
  options = TrainOptions(int64_t{1} << 60);
  EXPECT_EQ(error_of(options), absl::StatusCode::kInvalidArgument);
  options = TrainOptions(40);
  options.loader.drop_last = true;
  EXPECT_EQ(error_of(options), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(error_of(PictureOptions::Eval(Split::kVal, 5)), absl::StatusCode::kFailedPrecondition);
}

TEST(LoaderShutdownTest, StopsWhileBatchesAreBeingFilled) {
  const TempDir dir;
  WriteImageFolder(dir.path(), 30);
  const auto dataset = OpenAllTraining(dir.path());
  for (int i = 0; i < 20; ++i) {
    const auto loader = MakeLoader(*dataset, TrainOptions(7, 3));
    loader->Seek(i, i % 3);
    EXPECT_THAT(Take(loader.get(), i % 2), SizeIs(i % 2));
  }
}

TEST(LoaderInMemoryTest, DeliversTinyBatchesOfIdx) {
  const TempDir dir;
  WriteFile(dir / "train-images-idx3-ubyte", MakeIdx(0x803, {5, 4, 3}, Noise(60, 4)));
  WriteFile(dir / "train-labels-idx1-ubyte", MakeIdx(0x801, {5}, {0, 1, 2, 0, 1}));
  const auto dataset = OpenAllTraining(dir.path());
  TransformOptions options;
  options.height = 4;
  options.width = 3;
  options.channels = 1;
  PictureOptions eval = PictureOptions::Eval(Split::kTrain, 2);
  const auto loader = PictureLoader::Create(dataset.get(), *Transform::Create(options), eval);
  ASSERT_TRUE(loader.ok());
  const std::vector<PictureBatch> batches = Take(loader->get(), 9);
  ASSERT_THAT(batches, SizeIs(3));
  EXPECT_THAT(batches[1].labels, ElementsAre(2, 0));
  const Bytes pixels = Noise(60, 4);
  for (int i = 0; i < 24; ++i) {
    EXPECT_FLOAT_EQ(batches[0].images[i], float(pixels[i]) / 127.5f - 1);
  }
}

}  // namespace
}  // namespace pocketune::data
