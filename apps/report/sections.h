// The parts of the page, each HTML of its own.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/report/report.h"

namespace pocketune::report {

extern const char kStyle[];  // the page's CSS

std::string Header(const nlohmann::json& figures);
std::string Details(const nlohmann::json& figures);
std::string Curves(const std::vector<nlohmann::json>& epochs);
std::string MemoryMap(const nlohmann::json& map);
std::string Layers(const std::vector<LayerChange>& params);
std::string Confusion(const std::vector<std::string>& names,
                      const std::vector<std::vector<int64_t>>& counts);
std::string Footer(const nlohmann::json& figures);

}  // namespace pocketune::report
