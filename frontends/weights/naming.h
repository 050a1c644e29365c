// Other libraries' names for the networks of the zoo.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pocketune {

// How one library names the layers of a family of models.
struct Naming {
  const char* owner;  // as a message says it: "timm's"
  const char* note;   // what whoever takes such a file should know; may be empty
  // Its names for these parameters of the zoo, in their order; nothing where one of them is of
  // another family.
  std::optional<std::vector<std::string>> (*translate)(const std::vector<std::string>& params);
};

std::span<const Naming> Namings();

}  // namespace pocketune
