#include "graph/ir/model_identity.h"

#include <algorithm>
#include <string_view>
#include <type_traits>
#include <variant>

#include "engine/base/checksum.h"

namespace pocketune {
namespace {

// What the numbers are made of, piece by piece; texts carry their length.
class Hash {
 public:
  template <typename T>
  void Add(T value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    sum_.Add(&value, sizeof(value));
  }
  void Add(std::string_view text) {
    Add(static_cast<uint64_t>(text.size()));
    sum_.Add(text.data(), text.size());
  }
  void Add(const Shape& shape) {
    Add(shape.rank());
    for (const int64_t d : shape.dims()) Add(d);
  }
  void Add(const HostData& data) {
    Add(static_cast<uint64_t>(data == nullptr ? 0 : data->size()));
    if (data != nullptr) sum_.Add(data->data(), data->size() * sizeof(float));
  }
  uint64_t Value() const { return std::max<uint64_t>(1, sum_.Value()); }

 private:
  ChecksumStream sum_;
};

// Shapes among the attributes follow from the operands and hold the batch.
void AddAttrs(const Attrs& attrs, Hash& hash) {
  const auto field = [&](const char* name, const auto& value) {
    using T = std::decay_t<decltype(value)>;
    if constexpr (!std::is_same_v<T, Shape>) {
      hash.Add(std::string_view(name));
      if constexpr (std::is_array_v<std::remove_reference_t<decltype(value)>>) {
        for (const auto element : value) hash.Add(element);
      } else {
        hash.Add(value);
      }
    }
  };
  std::visit([&](const auto& a) { std::decay_t<decltype(a)>::Visit(a, field); }, attrs);
}

}  // namespace

uint64_t ModelIdentity(const Graph& forward) {
  Hash hash;
  std::vector<int64_t> number(forward.values.size(), kNone);  // of each value, in order of meeting
  int64_t next = 0;
  for (size_t i = 0; i < forward.values.size(); ++i) {
    const Value& value = forward.values[i];
    if (value.kind == ValueKind::kResult) continue;
    number[i] = next++;
    hash.Add(value.kind);
    hash.Add(std::string_view(value.name));
    if (value.kind == ValueKind::kInput) continue;  // its size is not the model's
    hash.Add(value.role);
    hash.Add(value.type.shape);
    if (value.kind == ValueKind::kConst) hash.Add(value.data);
  }
  for (const Node& node : forward.nodes) {
    if (node.op == OpKind::kDropout) {
      number[node.results[0]] = number[node.operands[0]];
      continue;
    }
    hash.Add(std::string_view(node.info().name));
    AddAttrs(node.attrs, hash);
    for (const ValueId id : node.operands) hash.Add(id == kNone ? int64_t{kNone} : number[id]);
    for (const ValueId id : node.results) number[id] = next++;
  }
  for (const Output& output : forward.outputs) {
    hash.Add(std::string_view(output.name));
    hash.Add(number[output.value]);
  }
  return hash.Value();
}

uint64_t WeightsIdentity(const std::vector<Value>& params) {
  Hash hash;
  for (const Value& param : params) hash.Add(param.data);
  return hash.Value();
}

uint32_t SlicesIdentity(const Value& param) {
  if (param.slices == nullptr) return 0;
  Hash hash;
  hash.Add(param.slices->axis);
  for (const int32_t n : param.slices->numbers) hash.Add(n);
  return std::max<uint32_t>(1, static_cast<uint32_t>(hash.Value()));
}

}  // namespace pocketune
