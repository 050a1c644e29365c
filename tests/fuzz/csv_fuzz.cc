// CSV lists. The input is the list; beside it are two pictures and a folder, and above it a picture
// that no list may reach.
#include "tests/apps/data/data_test_util.h"
#include "tests/fuzz/dataset_check.h"

namespace pocketune::fuzz {
namespace {

class ListFolder {
 public:
  ListFolder() {
    const std::string picture = ToString(data::EncodePng(data::MakeImage(3, 5, 3, 1)));
    for (const char* name : {"a.png", "list/a.png", "list/b c.png", "list/d/e.png"}) {
      data::WriteFile(folder_ / name, picture);
    }
  }
  std::string list() const { return folder_ / "list/list.csv"; }

 private:
  data::TempDir folder_;
};

}  // namespace

std::vector<std::string> Seeds() {
  return {"file,label\na.png,ant\nd/e.png,bee\n",
          "\xef\xbb\xbflabel,split,file,more\r\n10,train,a.png,\r\n\"2\",val,\"b "
          "c.png\",\"x,\"\"y\"\r\n"
          "2,test,./d/../d/e.png,1\r\n",
          "sep=;\nImage ; Class;Set\n a.png;\"ant\" ;Train\nd\\e.png;caf\xe9;dev\n",
          std::string("\xff\xfe"
                      "f\0i\0l\0e\0,\0l\0a\0b\0e\0l\0\n\0a\0.\0p\0n\0g\0,\0x\0",
                      38)};
}

}  // namespace pocketune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocketune::fuzz;
  static const ListFolder folder;
  pocketune::data::WriteFile(folder.list(), std::string(View(data, size)));
  OpenAndCheck(folder.list());
  return 0;
}
