// What a ModelBuilder holds, for frontends that are written on it.
#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "graph/ir/builder.h"
#include "graph/ir/loss_ports.h"
#include "pocketune/model_builder.h"

namespace pocketune {

struct ModelBuilder::Impl {
  Impl(std::string name, int batch_size, double eps)
      : batch(batch_size), norm_eps(eps), builder(&graph) {
    graph.name = std::move(name);
  }

  ValueId Param(const std::string& name, const Shape& shape, ParamRole role,
                HostData data = nullptr, ParamLayout layout = ParamLayout::kRows);
  ValueId Convolve(OpKind op, ValueId x, const ConvLayer& layer, const Shape& filter);
  ValueId Norm(ValueId x, const std::string& name, Activation act);
  ValueId Activate(ValueId x, Activation act);
  void Enter(Section to, int number = kNone);
  ValueId Pool(OpKind op, ValueId x, Attrs attrs);
  void SetPrediction(Task of, Tensor value, const LearningPorts& ports);
  void AddOutput(const std::string& name, Tensor value, PortRole role);
  // An error of an operator without a name of its own.
  void FailHere(const std::string& op, const std::string& what);
  // The forward graph without values of parameters, or the first error; leaves the builder empty.
  absl::StatusOr<Graph> Take();

  int batch;
  double norm_eps;
  Graph graph;
  GraphBuilder builder;
  Section section = Section::kStem;
  int block = kNone;
  int next_block = 0;
  bool has_sections = false;  // they were told, and are not to be inferred
  uint32_t dropouts = 0;
  Task task = Task::kClassification;
  bool has_prediction = false;
  LossPorts loss;
  bool taken = false;

 private:
  absl::Status CheckPorts() const;
};

// Names of what a loss for that task adds.
LossPorts LossPortsOf(Task task, const LearningPorts& ports);

// Sections and blocks of all parameters, from their paths and from which layer makes `prediction`:
// the rules stand with ModelBuilder.
void InferSections(Graph& graph, ValueId prediction);

}  // namespace pocketune
