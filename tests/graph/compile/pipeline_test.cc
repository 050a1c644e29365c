#include "graph/compile/pipeline.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "engine/plan/plan_file.h"
#include "graph/lower/plan_text.h"
#include "pocketune/compiler.h"
#include "pocketune/zoo.h"
#include "tests/support/temp_folder.h"

namespace pocketune {
namespace {

// Of each parameter that learns, by name.
std::map<std::string, double> DecayOf(const TrainSpec& spec) {
  const test::TempFolder temp;
  const Outcome<ZooModel> model = BuildZooModel({.name = "small-cnn"}, "", 1, nullptr);
  const Outcome<Plan> plan = Compile(model->model, spec, {});
  EXPECT_TRUE(plan.ok()) << plan.message();
  EXPECT_TRUE(plan.value().Write(temp.File("plan")).ok());
  Result<PlanFile> file = PlanFile::Open(temp.File("plan").c_str());
  std::map<std::string, double> decay;
  for (const fb::Schedule* schedule : *file->plan().schedules()) {
    const Graph graph = GraphOfSchedule(file->plan(), *schedule);
    for (const Node& node : graph.nodes) {
      if (node.phase != Phase::kUpdate || !std::holds_alternative<OptimizerAttrs>(node.attrs)) {
        continue;
      }
      decay[graph.value(node.operands[0]).name] = std::get<OptimizerAttrs>(node.attrs).weight_decay;
    }
  }
  return decay;
}

TEST(TrainingTest, BiasesAndNormsDecayOnlyWhereAsked) {
  for (const char* optimizer : {"sgd", "momentum", "nesterov", "adamw"}) {
    for (const bool all : {false, true}) {
      const auto decay =
          DecayOf({.optimizer = optimizer, .weight_decay = 0.25, .decay_bias_and_norm = all});
      EXPECT_EQ(decay.size(), 4u * 3 + 2) << optimizer;
      for (const auto& [name, value] : decay) {
        const bool norm = name.find(".bn.") != std::string::npos;
        const bool weight = name.ends_with(".weight") && !norm;
        EXPECT_EQ(value, weight || all ? 0.25 : 0.0) << optimizer << " " << name;
      }
    }
    EXPECT_EQ(DecayOf({.optimizer = optimizer, .weight_decay = 0.25}),
              DecayOf({.optimizer = optimizer, .weight_decay = 0.25, .decay_bias_and_norm = false}))
        << optimizer;
  }
}

}  // namespace
}  // namespace pocketune
