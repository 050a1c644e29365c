#ifdef POCKETUNE_XNNPACK

#include "backends/cpu/xnn_kernels.h"

#include <xnnpack.h>

#include <cstring>
#include <limits>
#include <new>

#include "backends/cpu/cpu_features.h"
#include "backends/cpu/cpu_kernels.h"
#include "backends/cpu/xnn_allocator.h"

namespace pocketune {
namespace {

// All that makes an operator but its weights.
struct OperatorSpec {
  bool convolution = false;  // else a fully connected layer with group_in inputs, group_out outputs
  size_t height = 0, width = 0;
  size_t group_in = 0, group_out = 0;
  uint32_t groups = 1;
  uint32_t kernel[2] = {1, 1}, stride[2] = {1, 1}, dilation[2] = {1, 1};
  uint32_t pad[4] = {0, 0, 0, 0};  // top, bottom, left, right
  uint32_t flags = 0;
  Act act = Act::kNone;
};

struct State {
  OperatorSpec spec;
  xnn_operator_t op = nullptr;
  size_t batch = 0;  // images or rows; the rest is what the last setup was given, too
  const float* input = nullptr;
  float* output = nullptr;
  pthreadpool_t pool = nullptr;
};

float LowerBound(Act act) {
  return act == Act::kNone ? -std::numeric_limits<float>::infinity() : 0.0f;
}
float UpperBound(Act act) {
  return act == Act::kRelu6 ? 6.0f : std::numeric_limits<float>::infinity();
}

xnn_status Create(const OperatorSpec& s, const float* weights, const float* bias,
                  xnn_operator_t* op) {
  const float low = LowerBound(s.act), high = UpperBound(s.act);
  const size_t in = s.groups * s.group_in, out = s.groups * s.group_out;
  if (!s.convolution) {
    return xnn_create_fully_connected_nc_f32(in, out, in, out, weights, bias, low, high, s.flags,
                                             op);
  }
  return xnn_create_convolution2d_nhwc_f32(s.pad[0], s.pad[3], s.pad[1], s.pad[2], s.kernel[0],
                                           s.kernel[1], s.stride[0], s.stride[1], s.dilation[0],
                                           s.dilation[1], s.groups, s.group_in, s.group_out, in,
                                           out, weights, bias, low, high, s.flags, op);
}

// Tells the operator where its arrays are. Only the first call, in Prepare, allocates: XNNPACK
// keeps indirection buffers relative to the input's address.
bool Setup(State* s, size_t batch, const float* input, float* output, pthreadpool_t pool) {
  const OperatorSpec& spec = s->spec;
  const xnn_status status =
      spec.convolution ? xnn_setup_convolution2d_nhwc_f32(s->op, batch, spec.height, spec.width,
                                                          input, output, pool)
                       : xnn_setup_fully_connected_nc_f32(s->op, batch, input, output, pool);
  if (status != xnn_status_success) {
    s->batch = 0;  // unlike that of any run: the next one tries again
    return false;
  }
  s->batch = batch;
  s->input = input;
  s->output = output;
  s->pool = pool;
  return true;
}

bool Initialized() {
  static const bool initialized = xnn_initialize(XnnAllocator()) == xnn_status_success;
  return initialized;
}

Status Make(const OperatorSpec& spec, const float* weights, const float* bias, pthreadpool_t pool,
            void** state) {
  if (!Initialized()) {
    return Status(StatusCode::kFailedPrecondition, "XNNPACK does not support this processor");
  }
  void* memory = XnnAllocate(sizeof(State));
  if (memory == nullptr) {
    return Status(StatusCode::kResourceExhausted, "no memory for packed weights");
  }
  State* s = new (memory) State();
  s->spec = spec;
  // Any aligned addresses will do until the first run.
  alignas(64) static float somewhere[16];
  if (Create(spec, weights, bias, &s->op) != xnn_status_success ||
      !Setup(s, 1, somewhere, somewhere, pool)) {
    ReleaseXnn(s);
    return Status(StatusCode::kResourceExhausted, "XNNPACK refuses the operator");
  }
  *state = s;
  return OkStatus();
}

// Operand 1 holds the weights, operand 2 the bias of all ops here.
template <typename SpecFn>
Status PrepareWith(const SpecFn& spec_of, const KernelArgs& args, void** state) {
  const OperatorSpec spec =
      spec_of(args.operands[0].shape, args.operands[1].shape, args.results[0].shape, args.attrs);
  const float* bias = args.operands.size() > 2 ? args.operands[2].as<float>() : nullptr;
  return Make(spec, args.operands[1].as<float>(), bias, args.pool->raw(), state);
}

// What the operator takes is a matter of tile sizes that XNNPACK keeps to itself: it is made once,
// of zeros, and measured.
template <typename SpecFn>
int64_t MeasureWith(const SpecFn& spec_of, const KernelQuery& query) {
  const OperatorSpec spec = spec_of(query.operands[0].shape, query.operands[1].shape,
                                    query.results[0].shape, AttrsBytes(*query.attrs).data());
  Initialized();
  const auto bytes = static_cast<size_t>(query.operands[1].shape.elems()) * sizeof(float);
  float* zeros = static_cast<float*>(XnnAllocate(bytes));
  if (zeros == nullptr) return 0;
  std::memset(zeros, 0, bytes);
  const int64_t before = XnnHeldByThread();
  void* state = nullptr;
  int64_t held = 0;
  if (Make(spec, zeros, nullptr, nullptr, &state).ok()) {
    held = XnnHeldByThread() - before;
    ReleaseXnn(state);
  }
  XnnFree(zeros);
  return held;
}

OperatorSpec ConvolutionSpec(const Shape& x, const Shape& w, const Shape& y, const void* attrs) {
  const ConvAttrs& a = *static_cast<const ConvAttrs*>(attrs);
  OperatorSpec s;
  s.convolution = true;
  s.height = static_cast<size_t>(x[1]);
  s.width = static_cast<size_t>(x[2]);
  s.groups = static_cast<uint32_t>(a.groups);
  s.group_in = static_cast<size_t>(w[3]);
  s.group_out = static_cast<size_t>(w[0] / a.groups);
  s.kernel[0] = static_cast<uint32_t>(w[1]);
  s.kernel[1] = static_cast<uint32_t>(w[2]);
  for (int i = 0; i < 2; ++i) s.stride[i] = static_cast<uint32_t>(a.stride[i]);
  for (int i = 0; i < 2; ++i) s.dilation[i] = static_cast<uint32_t>(a.dilation[i]);
  for (int i = 0; i < 4; ++i) s.pad[i] = static_cast<uint32_t>(a.pad[i]);
  s.act = a.act;
  return s;
}

OperatorSpec MatmulSpec(const Shape& a, const Shape& b, const Shape& y, const void* attrs) {
  const MatmulAttrs& at = *static_cast<const MatmulAttrs*>(attrs);
  OperatorSpec s;
  s.group_in = static_cast<size_t>(a[-1]);
  s.group_out = static_cast<size_t>(y[-1]);
  s.flags = at.trans_b ? 0 : XNN_FLAG_TRANSPOSE_WEIGHTS;
  s.act = at.act;
  return s;
}

// dx[pixel, c] = sum over o of dy[pixel, o] w[o, c].
OperatorSpec GradInputSpec(const Shape& dy, const Shape& w, const Shape& dx, const void* attrs) {
  OperatorSpec s;
  s.group_in = static_cast<size_t>(w[0]);
  s.group_out = static_cast<size_t>(w[3]);
  s.flags = XNN_FLAG_TRANSPOSE_WEIGHTS;
  return s;
}

// Weights and bias never change, all is f32 and not empty, and the level is the machine's own.
bool IsFrozen(const KernelQuery& query) {
  uint32_t needed = 0;
  for (size_t i = 0; i < query.operands.size(); ++i) {
    if (query.operands[i].dtype != DType::kF32 || query.operands[i].shape.elems() == 0)
      return false;
    if (i > 0) needed |= 1u << i;
  }
  const Isa isa = query.isa == Isa::kAuto ? CurrentIsa() : query.isa;
  return (query.constant_operands & needed) == needed && isa == MachineIsa() && Initialized();
}

bool IsClamp(Act act) { return act == Act::kNone || act == Act::kRelu || act == Act::kRelu6; }

}  // namespace

void RunXnn(const KernelArgs& args) {
  State* s = static_cast<State*>(args.state);
  const float* input = args.operands[0].as<float>();
  float* output = args.results[0].as<float>();
  pthreadpool_t pool = args.pool->raw();
  const Shape& y = args.results[0].shape;
  const auto batch = static_cast<size_t>(s->spec.convolution ? y[0] : y.elems() / y[-1]);
  const bool same =
      batch == s->batch && input == s->input && output == s->output && pool == s->pool;
  const bool ran = (same || Setup(s, batch, input, output, pool)) &&
                   xnn_run_operator(s->op, pool) == xnn_status_success;
  if (!ran) args.page->Raise(kFaultKernel);
}

void ReleaseXnn(void* state) {
  if (state == nullptr) return;
  xnn_delete_operator(static_cast<State*>(state)->op);
  XnnFree(state);
}

bool XnnConv2d::Supports(const KernelQuery& query) {
  return IsFrozen(query) && IsClamp(std::get<ConvAttrs>(*query.attrs).act);
}
Status XnnConv2d::Prepare(const KernelArgs& args, void** state) {
  return PrepareWith(ConvolutionSpec, args, state);
}
int64_t XnnConv2d::StateBytes(const KernelQuery& query) {
  return MeasureWith(ConvolutionSpec, query);
}

bool XnnMatmul::Supports(const KernelQuery& query) {
  const MatmulAttrs& attrs = std::get<MatmulAttrs>(*query.attrs);
  return IsFrozen(query) && IsClamp(attrs.act) && !attrs.trans_a &&
         query.operands[1].shape.rank() == 2;
}
Status XnnMatmul::Prepare(const KernelArgs& args, void** state) {
  return PrepareWith(MatmulSpec, args, state);
}
int64_t XnnMatmul::StateBytes(const KernelQuery& query) { return MeasureWith(MatmulSpec, query); }

bool XnnConv2dGradInput::Supports(const KernelQuery& query) {
  const ConvGradAttrs& a = std::get<ConvGradAttrs>(*query.attrs);
  const Shape& w = query.operands[1].shape;
  const bool no_pad = a.pad[0] == 0 && a.pad[1] == 0 && a.pad[2] == 0 && a.pad[3] == 0;
  return IsFrozen(query) && no_pad && a.groups == 1 && a.stride[0] == 1 && a.stride[1] == 1 &&
         w[1] == 1 && w[2] == 1;
}
Status XnnConv2dGradInput::Prepare(const KernelArgs& args, void** state) {
  return PrepareWith(GradInputSpec, args, state);
}
int64_t XnnConv2dGradInput::StateBytes(const KernelQuery& query) {
  return MeasureWith(GradInputSpec, query);
}

}  // namespace pocketune

#endif  // POCKETUNE_XNNPACK
