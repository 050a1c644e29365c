// What a Model holds, for the compile side.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "graph/ir/graph.h"
#include "graph/ir/loss_ports.h"
#include "pocketune/model.h"

namespace pocketune {

struct Model::Impl {
  std::string name;
  Task task = Task::kClassification;
  int batch = 1;
  LossPorts loss = {};  // of the loss that is attached to the output of the role kPrediction
  Graph forward;        // batch norm as batch_norm_frozen, every parameter with its data
  std::map<std::string, HostData> learned;  // what a run has made of them since, by name
  uint64_t replaced_plan = 0;               // PlanOrigin::replaces of plans compiled from it

  static Model Wrap(Impl impl) { return Model(std::make_unique<Impl>(std::move(impl))); }
};

}  // namespace pocketune
