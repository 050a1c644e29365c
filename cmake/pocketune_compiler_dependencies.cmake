# Third-party libraries of the compile side; read after pocketune_runtime_dependencies.cmake.
find_package(absl REQUIRED)
pocketune_dependency(absl LIBS absl::status absl::statusor absl::strings absl::str_format)
find_package(nlohmann_json REQUIRED)
pocketune_dependency(json LIBS nlohmann_json::nlohmann_json)
