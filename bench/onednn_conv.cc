#include "bench/onednn_conv.h"

#include <variant>

namespace pocketune::bench {
namespace {

using dnnl::memory;
using Forward = dnnl::convolution_forward;
using GradInput = dnnl::convolution_backward_data;
using GradFilter = dnnl::convolution_backward_weights;
using Tag = memory::format_tag;

enum class Pass { kForward, kGradInput, kGradFilter };

Pass PassOf(OpKind op) {
  switch (op) {
    case OpKind::kConv2d:
    case OpKind::kDepthwiseConv2d:
      return Pass::kForward;
    case OpKind::kConv2dGradInput:
    case OpKind::kDepthwiseConv2dGradInput:
      return Pass::kGradInput;
    case OpKind::kConv2dGradFilter:
    case OpKind::kDepthwiseConv2dGradFilter:
      return Pass::kGradFilter;
    default:
      Die("onednn: not a convolution");
  }
}

// oneDNN's names of a pass's two operands and of its result.
struct Roles {
  int operands[2];
  int result;
};

Roles RolesOf(Pass pass) {
  switch (pass) {
    case Pass::kForward:
      return {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS}, DNNL_ARG_DST};
    case Pass::kGradInput:
      return {{DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS}, DNNL_ARG_DIFF_SRC};
    case Pass::kGradFilter:
      break;
  }
  return {{DNNL_ARG_DIFF_DST, DNNL_ARG_SRC}, DNNL_ARG_DIFF_WEIGHTS};
}

bool IsFilter(int role) { return role == DNNL_ARG_WEIGHTS || role == DNNL_ARG_DIFF_WEIGHTS; }
bool IsInput(int role) { return role == DNNL_ARG_SRC || role == DNNL_ARG_DIFF_SRC; }

// Dimensions in oneDNN's order, whatever the layout.
memory::dims ActivationDims(const Shape& nhwc) { return {nhwc[0], nhwc[3], nhwc[1], nhwc[2]}; }

// A filter without groups is [O,H,W,I], that of a depthwise convolution [H,W,C], a group a channel.
memory::dims FilterDims(const Shape& w) {
  if (w.rank() == 3) return {w[2], 1, 1, w[0], w[1]};
  return {w[0], w[3], w[1], w[2]};
}

memory::desc Desc(const Shape& shape, bool filter, Tag tag) {
  return {filter ? FilterDims(shape) : ActivationDims(shape), memory::data_type::f32, tag};
}

memory::desc PlainDesc(const Shape& shape, bool filter) {
  const Tag filter_tag = shape.rank() == 3 ? Tag::hwigo : Tag::ohwi;
  return Desc(shape, filter, filter ? filter_tag : Tag::nhwc);
}

struct WindowDims {
  memory::dims stride, dilation, pad_begin, pad_end;
};

template <typename A>
WindowDims WindowOf(const A& a) {
  return {{a.stride[0], a.stride[1]},
          {a.dilation[0] - 1, a.dilation[1] - 1},
          {a.pad[0], a.pad[2]},
          {a.pad[1], a.pad[3]}};
}

WindowDims WindowOf(const Attrs& attrs) {
  if (const auto* a = std::get_if<ConvAttrs>(&attrs)) return WindowOf(*a);
  return WindowOf(std::get<ConvGradAttrs>(attrs));
}

// The layouts that oneDNN is asked for.
struct Wanted {
  memory::desc x, w, y;
};

Wanted WantedBy(const CaseData& data, const Roles& roles, OneDnnLayout layout) {
  Wanted wanted;
  const auto add = [&](int role, const Shape& shape) {
    const bool any = IsFilter(role) || layout == OneDnnLayout::kOwn;
    const memory::desc desc = Desc(shape, IsFilter(role), any ? Tag::any : Tag::nhwc);
    (IsFilter(role) ? wanted.w : IsInput(role) ? wanted.x : wanted.y) = desc;
  };
  add(roles.operands[0], data.operand(0).shape());
  add(roles.operands[1], data.operand(1).shape());
  add(roles.result, data.result(0).shape());
  return wanted;
}

}  // namespace

OneDnnConv::OneDnnConv(const CaseData& data, OneDnnLayout layout) : data_(data) {
  Choose(layout);
  const Roles roles = RolesOf(PassOf(data.kernel_case().op));
  for (const int role : {roles.operands[0], roles.operands[1], roles.result}) {
    args_[role] = memory(chosen_.query_md(dnnl::query::exec_arg_md, role), engine_);
  }
  for (size_t i = 0; i < 2; ++i) {
    const int role = roles.operands[i];
    const TensorView view = data.operand(i).view();
    Reorder({PlainDesc(view.shape, IsFilter(role)), engine_, view.data}, args_[role]);
  }
}

void OneDnnConv::Choose(OneDnnLayout layout) {
  const KernelCase& c = data_.kernel_case();
  const Pass pass = PassOf(c.op);
  const Wanted wanted = WantedBy(data_, RolesOf(pass), layout);
  const WindowDims window = WindowOf(c.attrs);
  const auto algorithm = dnnl::algorithm::convolution_direct;
  const Forward::primitive_desc forward(engine_, dnnl::prop_kind::forward_training, algorithm,
                                        wanted.x, wanted.w, wanted.y, window.stride,
                                        window.dilation, window.pad_begin, window.pad_end);
  if (pass == Pass::kForward) {
    chosen_ = forward;
    primitive_ = Forward(forward);
  } else if (pass == Pass::kGradInput) {
    const GradInput::primitive_desc grad(engine_, algorithm, wanted.x, wanted.w, wanted.y,
                                         window.stride, window.dilation, window.pad_begin,
                                         window.pad_end, forward);
    chosen_ = grad;
    primitive_ = GradInput(grad);
  } else {
    const GradFilter::primitive_desc grad(engine_, algorithm, wanted.x, wanted.w, wanted.y,
                                          window.stride, window.dilation, window.pad_begin,
                                          window.pad_end, forward);
    chosen_ = grad;
    primitive_ = GradFilter(grad);
  }
  implementation_ = chosen_.impl_info_str();
}

void OneDnnConv::Run() {
  primitive_.execute(stream_, args_);
  stream_.wait();
}

test::TensorData OneDnnConv::Result() {
  test::TensorData result(data_.result(0).type());
  const int role = RolesOf(PassOf(data_.kernel_case().op)).result;
  Reorder(args_[role], {PlainDesc(result.shape(), IsFilter(role)), engine_, result.view().data});
  return result;
}

void OneDnnConv::Reorder(memory from, memory to) {
  dnnl::reorder(from, to).execute(stream_, from, to);
  stream_.wait();
}

}  // namespace pocketune::bench
