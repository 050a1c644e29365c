// What a session is made of, and its values, in C.
#include <algorithm>
#include <span>

#include "engine/c_api/session_handle.h"

namespace pocketune::capi {
namespace {

using Ports = std::vector<PortInfo> (Session::*)(std::string_view schedule) const;

ptn_status CountPorts(ptn_session* session, Ports ports, const char* schedule, size_t* out) {
  if (schedule == nullptr) return IsNull("ports", "schedule");
  if (out == nullptr) return IsNull("ports", "out");
  return OnSession(session, [&](SessionHandle& s) {
    *out = ((*s.session).*ports)(schedule).size();
    return PTN_OK;
  });
}

ptn_status BeyondTheLast(const char* where, size_t index, size_t count) {
  return Fail(StatusCode::kOutOfRange, 0,
              "%s: there are not so many (got index %zu, want below %zu)", where, index, count);
}

template <typename Info>
void GiveShape(const Shape& shape, Info* info) {
  info->rank = shape.rank();
  for (int i = 0; i < shape.rank(); ++i) info->dims[i] = shape[i];
  info->elements = shape.elems();
}

ptn_status GivePort(ptn_session* session, Ports ports, const char* schedule, size_t index,
                    ptn_tensor_info* out) {
  if (schedule == nullptr) return IsNull("ports", "schedule");
  return OnSession(session, [&](SessionHandle& s) {
    const std::vector<PortInfo> all = ((*s.session).*ports)(schedule);
    if (index >= all.size()) return BeyondTheLast("ports", index, all.size());
    const PortInfo& port = all[index];
    ptn_tensor_info info = {};
    info.dtype = static_cast<int32_t>(port.dtype);
    info.name = port.name.data();
    info.role = static_cast<int32_t>(port.role);
    GiveShape(port.shape, &info);
    info.bytes = info.elements * SizeOf(port.dtype);
    return GiveStruct("ports", info, out);
  });
}

// Of an array of floats that a caller gives for `name`.
template <typename Float>
ptn_status CheckFloats(const char* where, const char* name, Float* values) {
  if (name == nullptr) return IsNull(where, "name");
  if (values == nullptr) return IsNull(where, "the array of values");
  if (!IsMisaligned(values, alignof(float))) return PTN_OK;
  return Fail(StatusCode::kInvalidArgument, 0, "%s: the array of values is misaligned", where);
}

// Where there is one of that name, does it have so many elements?
template <typename Info>
ptn_status CheckElements(const char* where, const std::vector<Info>& infos, const char* name,
                         size_t elements) {
  const auto found =
      std::find_if(infos.begin(), infos.end(), [&](const Info& info) { return info.name == name; });
  if (found == infos.end()) {
    return Fail(StatusCode::kInvalidArgument, 0, "%s: there is none of that name (got %s)", where,
                name);
  }
  const auto want = static_cast<size_t>(found->shape.elems());
  if (want == elements) return PTN_OK;
  return Fail(StatusCode::kInvalidArgument, 0,
              "%s: %s has another number of elements (got %zu, want %zu)", where, name, elements,
              want);
}

using ReadValues = Status (Session::*)(std::string_view name, std::span<float> out) const;

ptn_status ReadWith(ReadValues read, ptn_session* session, const char* name, float* out,
                    size_t elements) {
  if (const ptn_status bad = CheckFloats("parameter", name, out)) return bad;
  return OnSession(session, [&](SessionHandle& s) {
    if (const ptn_status bad = CheckElements("parameter", s.params, name, elements)) return bad;
    return Tell(((*s.session).*read)(name, {out, elements}), name);
  });
}

// A figure of the session, through a pointer that must not be null.
template <typename T, typename Figure>
ptn_status GiveFigure(ptn_session* session, T* out, const Figure& figure) {
  if (out == nullptr) return IsNull("session", "out");
  return OnSession(session, [&](SessionHandle& s) {
    *out = figure(*s.session);
    return PTN_OK;
  });
}

}  // namespace
}  // namespace pocketune::capi

using namespace pocketune;
using namespace pocketune::capi;

extern "C" {

ptn_status ptn_session_input_count(ptn_session* session, const char* schedule, size_t* out) {
  return CountPorts(session, &Session::inputs, schedule, out);
}
ptn_status ptn_session_input(ptn_session* session, const char* schedule, size_t index,
                             ptn_tensor_info* out) {
  return GivePort(session, &Session::inputs, schedule, index, out);
}
ptn_status ptn_session_output_count(ptn_session* session, const char* schedule, size_t* out) {
  return CountPorts(session, &Session::outputs, schedule, out);
}
ptn_status ptn_session_output(ptn_session* session, const char* schedule, size_t index,
                              ptn_tensor_info* out) {
  return GivePort(session, &Session::outputs, schedule, index, out);
}

ptn_status ptn_session_read(ptn_session* session, const char* schedule, const char* output,
                            float* out, size_t elements) {
  if (schedule == nullptr) return IsNull("read", "schedule");
  if (const ptn_status bad = CheckFloats("read", output, out)) return bad;
  return OnSession(session, [&](SessionHandle& s) {
    const std::vector<PortInfo> outputs = s.session->outputs(schedule);
    if (const ptn_status bad = CheckElements("read", outputs, output, elements)) return bad;
    return Tell(s.session->Read(schedule, output, {out, elements}));
  });
}

ptn_status ptn_session_param_count(ptn_session* session, size_t* out) {
  if (out == nullptr) return IsNull("parameter", "out");
  return OnSession(session, [&](SessionHandle& s) {
    *out = s.params.size();
    return PTN_OK;
  });
}

ptn_status ptn_session_param(ptn_session* session, size_t index, ptn_param_info* out) {
  return OnSession(session, [&](SessionHandle& s) {
    if (index >= s.params.size()) return BeyondTheLast("parameter", index, s.params.size());
    const ParamInfo& param = s.params[index];
    ptn_param_info info = {};
    info.name = param.name.data();
    GiveShape(param.shape, &info);
    info.trainable = param.trainable ? 1 : 0;
    info.state = param.state ? 1 : 0;
    info.layout = static_cast<int32_t>(param.layout);
    return GiveStruct("parameter", info, out);
  });
}

ptn_status ptn_session_read_param(ptn_session* session, const char* name, float* out,
                                  size_t elements) {
  return ReadWith(&Session::ReadParam, session, name, out, elements);
}
ptn_status ptn_session_read_base_param(ptn_session* session, const char* name, float* out,
                                       size_t elements) {
  return ReadWith(&Session::ReadBaseParam, session, name, out, elements);
}

ptn_status ptn_session_write_param(ptn_session* session, const char* name, const float* values,
                                   size_t elements) {
  if (const ptn_status bad = CheckFloats("parameter", name, values)) return bad;
  return OnSession(session, [&](SessionHandle& s) {
    if (const ptn_status bad = CheckElements("parameter", s.params, name, elements)) return bad;
    return Tell(s.session->WriteParam(name, {values, elements}), name);
  });
}

ptn_status ptn_session_memory(ptn_session* session, ptn_memory* out) {
  return OnSession(session, [&](SessionHandle& s) {
    const SessionMemory m = s.session->memory();
    ptn_memory memory = {};
    memory.slots = m.slots;
    memory.arena_bytes = m.arena_bytes;
    memory.param_bytes = m.param_bytes;
    memory.optimizer_bytes = m.optimizer_bytes;
    memory.packed_bytes = m.packed_bytes;
    memory.predicted_peak_bytes = m.predicted_peak_bytes;
    return GiveStruct("memory", memory, out);
  });
}

ptn_status ptn_session_threads(ptn_session* session, uint32_t* out) {
  return GiveFigure(session, out,
                    [](const Session& s) { return static_cast<uint32_t>(s.threads()); });
}

ptn_status ptn_session_step(ptn_session* session, uint64_t* out) {
  return GiveFigure(session, out, [](const Session& s) { return s.step(); });
}

ptn_status ptn_session_set_step(ptn_session* session, uint64_t step) {
  return OnSession(session, [&](SessionHandle& s) {
    s.session->set_step(step);
    return PTN_OK;
  });
}

// Names and metadata are strings of the plan, which end with a zero byte there.
ptn_status ptn_session_metadata(ptn_session* session, const char** out) {
  return GiveFigure(session, out, [](const Session& s) {
    const std::string_view metadata = s.metadata();
    return metadata.empty() ? "" : metadata.data();
  });
}

ptn_status ptn_session_find_not_finite(ptn_session* session, const char** out) {
  return GiveFigure(session, out, [](const Session& s) {
    const std::string_view name = s.FindNotFinite();
    return name.empty() ? nullptr : name.data();
  });
}

}  // extern "C"
