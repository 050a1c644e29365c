// What the tests of the readers of datasets share.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "apps/data/dataset.h"
#include "tests/apps/data/data_test_util.h"

namespace pocketune::data {

inline std::string ErrorOf(const std::string& path, const DatasetOptions& options = {}) {
  const auto dataset = OpenDataset(path, options);
  return dataset.ok() ? "" : std::string(dataset.status().message());
}

// Opens what must open.
inline std::unique_ptr<Dataset> Open(const std::string& path, const DatasetOptions& options = {}) {
  absl::StatusOr<std::unique_ptr<Dataset>> dataset = OpenDataset(path, options);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return dataset.ok() ? *std::move(dataset) : nullptr;
}

inline std::vector<std::string> NamesIn(const Dataset& dataset, Split split) {
  std::vector<std::string> names;
  for (int64_t i : dataset.Indices(split)) names.push_back(dataset.samples()[i].name);
  return names;
}

}  // namespace pocketune::data
