// One HTML page that shows a run: figures, loss curve, memory over the step, what learned.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace pocketune {

struct LayerChange {
  std::string name;
  int64_t params = 0;
  bool trainable = false;
  double change = 0.0;  // |now - before| / |before|, L2
};

struct ReportInput {
  nlohmann::json figures;              // the JSON object of `train`
  std::vector<nlohmann::json> epochs;  // lines of log.jsonl
  nlohmann::json memory_map;           // MemoryMapJson of the training schedule
  std::vector<LayerChange> layers;
  std::vector<std::string> class_names;
  std::vector<std::vector<int64_t>> confusion;  // [true][predicted]
};

// Writes a page without any outside resource or script. Text from outside is escaped.
absl::Status WriteReport(const ReportInput& input, const std::string& path);

}  // namespace pocketune
