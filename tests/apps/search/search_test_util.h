// A model whose layers a search may choose among.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "apps/search/search_space.h"
#include "graph/ir/model.h"
#include "pocketune/zoo.h"

namespace pocketune::test {

inline Model ModelOf(const std::string& name, int batch = 1) {
  Outcome<ZooModel> model =
      BuildZooModel({.name = name, .classes = 10, .batch = batch}, "", 1, nullptr);
  EXPECT_TRUE(model.ok()) << model.message();
  return std::move(model->model);
}

inline SearchSpace SpaceOf(const Model& model) {
  absl::StatusOr<SearchSpace> space = SearchSpace::Of(model.impl().forward);
  EXPECT_TRUE(space.ok()) << space.status();
  return *std::move(space);
}

}  // namespace pocketune::test
