// A model whose layers a search may choose among.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "apps/search/search_space.h"
#include "frontends/model.h"

namespace pocketune::test {

inline Model ModelOf(const std::string& name, int batch = 1) {
  Outcome<Model> model =
      Model::FromZoo({.name = name, .classes = 10, .batch = batch}, "", 1, nullptr);
  EXPECT_TRUE(model.ok()) << model.message();
  return std::move(model.value());
}

inline SearchSpace SpaceOf(const Model& model) {
  absl::StatusOr<SearchSpace> space = SearchSpace::Of(model.impl().forward);
  EXPECT_TRUE(space.ok()) << space.status();
  return *std::move(space);
}

}  // namespace pocketune::test
