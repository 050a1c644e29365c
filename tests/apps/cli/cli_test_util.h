// What the tests of the command line share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/support/picture_sets.h"
#include "tests/support/run_command.h"
#include "tests/support/temp_folder.h"

namespace pocketune::test {

// One line that begins with the program's name.
inline void ExpectOneLine(const std::string& err) {
  EXPECT_EQ(err.rfind("pocketune: ", 0), 0u) << err;
  EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
  EXPECT_TRUE(!err.empty() && err.back() == '\n') << err;
}

// Every file below a folder, by path.
inline std::map<std::string, std::vector<uint8_t>> FilesBelow(const std::string& folder) {
  std::map<std::string, std::vector<uint8_t>> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string path = entry.path().string();
    files[path] = entry.is_regular_file() ? ReadBytes(path) : std::vector<uint8_t>();
  }
  return files;
}

inline std::vector<std::string> TrainArgs(const std::string& data, const std::string& out) {
  return {"train",     "--model", "small-cnn", "--batch", "4",     "--epochs", "2",
          "--threads", "2",       "--data",    data,      "--out", out};
}

// `args` with the flag set to `value`, in place of what it was.
inline std::vector<std::string> With(std::vector<std::string> args, const std::string& flag,
                                     const std::string& value) {
  const auto at = std::find(args.begin(), args.end(), flag);
  if (at != args.end()) args.erase(at, at + 2);
  args.insert(args.end(), {flag, value});
  return args;
}

}  // namespace pocketune::test
