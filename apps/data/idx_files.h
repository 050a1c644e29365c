// Finds the IDX files of a folder, as the archives of MNIST and its kin unpack them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/data/dataset.h"
#include "apps/data/dataset_formats.h"

namespace pocketune::data {

// Paths below the folder.
struct IdxPair {
  std::string images;
  std::string labels;
  Split split;
};

// The pictures and labels of one data set, training first; none where the folder holds no IDX
// files. Names are [SET-]train|test|t10k|val...-images-idx3-ubyte[.gz], with "-" or "." between the
// words, in any case, and -labels-idx1-ubyte for the labels. They may lie in folders of their own,
// where no pictures do; files nearest to the folder count. DATA_LOSS for several sets, or pictures
// without labels.
absl::StatusOr<std::vector<IdxPair>> FindIdxPairs(const std::string& directory);

absl::StatusOr<DatasetContents> ReadIdx(const std::string& directory,
                                        const std::vector<IdxPair>& pairs);

}  // namespace pocketune::data
