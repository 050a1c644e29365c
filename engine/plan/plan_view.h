// Reading a verified plan's FlatBuffer in the words of the engine.
#pragma once

#include <span>
#include <string_view>

#include "engine/ops/implied.h"
#include "engine/ops/op_info.h"
#include "engine/plan/plan_generated.h"
#include "pocketune/types.h"

namespace pocketune {

// Empty for an absent string. Lives as long as the buffer.
inline std::string_view TextOf(const flatbuffers::String* text) {
  return text == nullptr ? std::string_view() : std::string_view(text->c_str(), text->size());
}

inline Shape ShapeOf(const flatbuffers::Vector<int32_t>& dims) {
  Shape shape;
  for (const int32_t d : dims) shape.Append(d);
  return shape;
}

inline TensorType TypeOf(const fb::Tensor& tensor) {
  return {ShapeOf(*tensor.dims()), static_cast<DType>(tensor.dtype())};
}

inline int64_t BytesOf(const TensorType& type) { return type.shape.elems() * SizeOf(type.dtype); }

inline std::span<const uint8_t> AttrBytesOf(const fb::Step& step) {
  if (step.attrs() == nullptr) return {};
  return {step.attrs()->data(), step.attrs()->size()};
}

// As stated, or in plans that state none by the name.
fb::ScheduleRole RoleOf(const fb::Schedule& schedule);

inline uint32_t LoopCount(const fb::Schedule& schedule) {
  return schedule.loops() == nullptr ? 0 : schedule.loops()->size();
}

// That it takes in the arena.
inline int64_t RoomOf(const fb::Tensor& tensor) { return BytesOf(TypeOf(tensor)) / tensor.parts(); }

// Values of a parameter or a state are f32.
inline int64_t BytesOf(const fb::Param& param) {
  return ShapeOf(*param.dims()).elems() * SizeOf(DType::kF32);
}

// A running mean or variance: kNormMean and kNormVar of the compile side's ParamRole.
inline bool IsStatistic(const fb::Param& param) { return param.role() == 4 || param.role() == 5; }

// These are within their ranges: the verifier has seen to it.
inline ParamLayout LayoutOf(const fb::Param& param) {
  if (param.layout() > 0) return static_cast<ParamLayout>(param.layout() - 1);
  return ImpliedLayout(param.role() == 0, static_cast<int>(param.dims()->size()));
}
inline PortRole InputRoleOf(const fb::Port& port) {
  if (port.role() > 0) return static_cast<PortRole>(port.role() - 1);
  return ImpliedInputRole(TextOf(port.name()));
}
inline PortRole OutputRoleOf(const fb::Port& port) {
  if (port.role() > 0) return static_cast<PortRole>(port.role() - 1);
  return ImpliedOutputRole(TextOf(port.name()));
}

// Does the tensor hold the same bytes for as long as the plan runs?
inline bool IsConstant(const fb::Plan& plan, const fb::Tensor& tensor) {
  if (tensor.storage() == fb::Storage::Const) return true;
  return tensor.storage() == fb::Storage::Param &&
         !plan.params()->Get(static_cast<uint32_t>(tensor.offset()))->trainable();
}

}  // namespace pocketune
