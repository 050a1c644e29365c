#include "frontends/torch/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/frontends/torch/torch_fixture.h"

namespace pocketune {
namespace {

using test::OldFile;
using test::PickleWriter;
using test::RowStrides;
using test::StateDict;
using test::StorageOf;
using test::TorchStorage;
using test::TorchTensor;
using testing::ElementsAre;
using testing::HasSubstr;

class TorchFileTest : public testing::Test {
 protected:
  using Opened = absl::StatusOr<std::unique_ptr<TorchFile>>;

  Opened OpenOld(const std::string& data, const std::vector<TorchStorage>& storages) {
    return OpenBytes(OldFile(data, storages));
  }
  Opened OpenBytes(const std::string& bytes) {
    test::WriteText(path_, bytes);
    return TorchFile::Open(path_);
  }
  Opened OpenZip(const std::string& data, const std::vector<TorchStorage>& storages) {
    test::WriteZipFile(path_, data, storages);
    return TorchFile::Open(path_);
  }
  static std::vector<float> ValuesOf(const TorchFile& file, const std::string& name) {
    const WeightsEntry* entry = file.Find(name);
    EXPECT_NE(entry, nullptr) << name;
    if (entry == nullptr) return {};
    const absl::StatusOr<std::vector<float>> values = file.Read(*entry);
    EXPECT_TRUE(values.ok()) << values.status();
    return values.ok() ? *values : std::vector<float>();
  }
  void ExpectRefused(const Opened& opened, const std::string& part) {
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(opened.status().message()), HasSubstr(path_ + ": "));
    EXPECT_THAT(std::string(opened.status().message()), HasSubstr(part));
    EXPECT_EQ(opened.status().message().find('\n'), std::string::npos);
  }

  test::TempFolder folder_;
  const std::string path_ = folder_.File("w.pth");
};

TEST_F(TorchFileTest, BothFormsGiveTheSameTensors) {
  const std::vector<TorchTensor> tensors = {{"fc.weight", {2, 3}, {3, 1}},
                                            {"fc.bias", {2}, {1}, "1"}};
  const std::vector<TorchStorage> storages = {StorageOf<float>("0", {1, 2, 3, 4, 5, 6}),
                                              StorageOf<float>("1", {7, 8})};
  for (const bool zip : {false, true}) {
    const std::string data = StateDict(tensors, storages);
    const Opened file = zip ? OpenZip(data, storages) : OpenOld(data, storages);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ((*file)->entries().size(), 2u);
    EXPECT_THAT((*file)->Find("fc.weight")->shape, ElementsAre(2, 3));
    EXPECT_THAT(ValuesOf(**file, "fc.weight"), ElementsAre(1, 2, 3, 4, 5, 6));
    EXPECT_THAT(ValuesOf(**file, "fc.bias"), ElementsAre(7, 8));
  }
}

TEST_F(TorchFileTest, StridesOffsetsAndSharedStoragesAreFollowed) {
  const std::vector<TorchStorage> storages = {StorageOf<float>("7", {0, 1, 2, 3, 4, 5, 6, 7})};
  const Opened file = OpenZip(StateDict({{"transposed", {3, 2}, {1, 3}, "7", 1},
                                         {"tail", {2}, {1}, "7", 6},
                                         {"scalar", {}, {}, "7", 5},
                                         {"none", {0, 4}, {4, 1}, "7"}},
                                        storages),
                              storages);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(ValuesOf(**file, "transposed"), ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(ValuesOf(**file, "tail"), ElementsAre(6, 7));
  EXPECT_THAT(ValuesOf(**file, "scalar"), ElementsAre(5));
  EXPECT_THAT(ValuesOf(**file, "none"), ElementsAre());
}

TEST_F(TorchFileTest, EveryFloatingPointTypeIsRead) {
  const std::vector<TorchStorage> storages = {
      StorageOf<double>("d", {0.5, -3}), StorageOf<uint16_t>("h", {0x3c00, 0xc000}),
      StorageOf<uint16_t>("b", {0x3fc0}), StorageOf<int64_t>("i", {12})};
  const Opened file = OpenOld(StateDict({{"d", {2}, {1}, "d", 0, "DoubleStorage"},
                                         {"h", {2}, {1}, "h", 0, "HalfStorage"},
                                         {"b", {1}, {1}, "b", 0, "BFloat16Storage"},
                                         {"n.num_batches_tracked", {}, {}, "i", 0, "LongStorage"}},
                                        storages),
                              storages);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(ValuesOf(**file, "d"), ElementsAre(0.5f, -3));
  EXPECT_THAT(ValuesOf(**file, "h"), ElementsAre(1, -2));
  EXPECT_THAT(ValuesOf(**file, "b"), ElementsAre(1.5f));
  EXPECT_FALSE((*file)->Read(*(*file)->Find("n.num_batches_tracked")).ok());
}

TEST_F(TorchFileTest, DictionariesWithinDictionariesJoinTheirKeys) {
  const std::vector<TorchStorage> storages = {StorageOf<float>("0", {1})};
  const Opened file = OpenZip(StateDict({{"a.b", {1}, {1}}}, storages, "state_dict"), storages);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(ValuesOf(**file, "state_dict.a.b"), ElementsAre(1));
}

TEST_F(TorchFileTest, WhatWouldRunIsNamedAndRefused) {
  ExpectRefused(
      OpenBytes(OldFile(
          PickleWriter().Name("os", "system").Raw("(").Text("touch hacked").Raw("tR").Stop(), {})),
      "more than tensors (got os.system, want");
  // A protocol 4 name, from two texts.
  ExpectRefused(OpenZip(PickleWriter().Text("builtins").Text("eval").Raw("\x93").Stop(), {}),
                "got builtins.eval");
  // INST, OBJ, NEWOBJ, EXT1 and PERSID are no instructions here.
  for (const char* op : {"ios\nsystem\n", "(o", ")\x81", "\x82\x01", "P0\n"}) {
    ExpectRefused(OpenZip(PickleWriter().Raw(op).Stop(), {}), "an instruction that");
  }
}

TEST_F(TorchFileTest, TensorsBeyondTheirStorageAreRefused) {
  const std::vector<TorchStorage> storages = {StorageOf<float>("0", {1, 2, 3, 4})};
  const auto refused = [&](const TorchTensor& tensor, const std::string& part) {
    ExpectRefused(OpenZip(StateDict({tensor}, storages), storages), part);
  };
  refused({"t", {5}, {1}}, "tensor t reaches beyond its storage");
  refused({"t", {2}, {1}, "0", 3}, "reaches beyond");
  refused({"t", {2, 2}, {3, 1}}, "reaches beyond");
  refused({"t", {1 << 20, 1 << 20}, {0, 0}}, "reaches beyond");
  refused({"t", {int64_t{1} << 62, 8}, {1, 1}}, "reaches beyond");
  refused({"t", {2}, {1}, "0", -1}, "described wrongly");
  refused({"t", {-1}, {1}}, "described wrongly");
  refused({"t", {2}, {1, 1}}, "described wrongly");
}

TEST_F(TorchFileTest, EveryTruncationIsRefused) {
  const std::vector<TorchStorage> storages = {StorageOf<float>("0", {1, 2})};
  const std::string whole = OldFile(StateDict({{"t", {2}, {1}}}, storages), storages);
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(OpenBytes(whole.substr(0, n)).ok()) << n;
  }
  EXPECT_TRUE(OpenBytes(whole).ok());
}

TEST_F(TorchFileTest, AFlippedBitOfAZipArchiveIsSeenByItsChecksum) {
  const std::vector<TorchStorage> storages = {StorageOf<float>("0", {1, 2, 3, 4})};
  ASSERT_TRUE(OpenZip(StateDict({{"t", {4}, {1}}}, storages), storages).ok());
  const std::vector<uint8_t> whole = test::ReadBytes(path_);
  const std::string numbers = storages[0].bytes;
  std::string text(whole.begin(), whole.end());
  const size_t at = text.find(numbers);
  ASSERT_NE(at, std::string::npos);
  text[at] ^= 1;
  const Opened file = OpenBytes(text);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto values = (*file)->Read(*(*file)->Find("t"));
  EXPECT_THAT(std::string(values.status().message()), HasSubstr("damaged"));
}

TEST_F(TorchFileTest, ArchivesOfOthersAreRefused) {
  test::WriteZip(path_, {{"a.txt", "b"}});
  ExpectRefused(TorchFile::Open(path_), "it has no data.pkl");
  const std::vector<TorchStorage> storages = {StorageOf<float>("0", std::vector<float>(1000))};
  test::WriteZipFile(path_, StateDict({{"t", {1000}, {1}}}, storages), storages, /*packed=*/true);
  ExpectRefused(TorchFile::Open(path_), "is packed");
  ExpectRefused(OpenBytes("hello, this is a text"), "not a file of torch.save");
  ExpectRefused(OpenZip(PickleWriter().Raw("]").Stop(), {}), "holds no dictionary of tensors");
  ExpectRefused(OpenZip(PickleWriter().Raw("}").Stop(), {}), "it holds no tensors");
  EXPECT_EQ(TorchFile::Open(folder_.File("none")).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(TorchFileTest, ADictionaryInItselfEnds) {
  // {"a": <itself>}
  ExpectRefused(OpenZip(PickleWriter().Raw("}q\x01").Text("a").Raw("h\x01s").Stop(), {}),
                "too deep");
}

TEST_F(TorchFileTest, AKeyOfAnotherSizeIsNotReadAsThisOne) {
  const std::vector<TorchStorage> storages = {StorageOf<float>("0", {1, 2})};
  const Opened file = OpenZip(
      StateDict({{"a", {2}, {1}}, {"b", {2}, {1}, "0", 0, "DoubleStorage"}}, storages), storages);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(ValuesOf(**file, "a"), ElementsAre(1, 2));
  EXPECT_FALSE((*file)->Read(*(*file)->Find("b")).ok());
}

}  // namespace
}  // namespace pocketune
