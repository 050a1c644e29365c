// MCUNet (Lin et al., NeurIPS 2020), the models of MCUNetV3 (Lin et al., NeurIPS 2022) and
// ProxylessNAS (Cai et al., ICLR 2019): one block shape, one table a model.
#include <span>
#include <string>

#include "frontends/zoo/models.h"
#include "frontends/zoo/net_builder.h"

namespace pocketune {
namespace {

// Expand to `mid` channels by 1x1 (left out where it equals the input's and the block is the
// first), depthwise kernel x kernel with the stride, project to `out` by 1x1. A residual joins
// where stride is 1 and the channels agree, but not in the first block.
struct BlockRow {
  int kernel, mid, out, stride;
};

constexpr BlockRow kMcunetIn0[] = {
    {3, 24, 16, 1},  {5, 64, 16, 2},  {3, 48, 16, 1},   {3, 64, 16, 1},   {7, 80, 24, 2},
    {5, 96, 24, 1},  {5, 120, 24, 1}, {7, 120, 48, 2},  {5, 192, 48, 1},  {3, 240, 56, 1},
    {5, 224, 56, 1}, {3, 280, 56, 1}, {3, 336, 112, 2}, {5, 448, 112, 1}, {3, 672, 192, 1}};
constexpr BlockRow kMcunetIn1[] = {
    {3, 16, 8, 1},   {3, 32, 16, 2},  {3, 48, 16, 1},  {7, 48, 24, 2},  {3, 120, 24, 1},
    {3, 120, 40, 2}, {7, 160, 40, 1}, {5, 160, 48, 1}, {3, 144, 48, 1}, {3, 192, 48, 1},
    {7, 240, 96, 2}, {5, 384, 96, 1}, {5, 384, 96, 1}, {3, 576, 160, 1}};
constexpr BlockRow kMcunetIn2[] = {
    {3, 16, 8, 1},   {5, 24, 16, 2},  {7, 96, 16, 1},  {3, 80, 16, 1},  {5, 80, 16, 1},
    {3, 80, 24, 2},  {7, 144, 24, 1}, {5, 144, 24, 1}, {7, 96, 40, 2},  {5, 200, 40, 1},
    {3, 200, 48, 1}, {5, 240, 48, 1}, {3, 192, 48, 1}, {5, 288, 96, 2}, {5, 384, 96, 1},
    {5, 288, 96, 1}, {3, 384, 96, 1}, {5, 480, 160, 1}};
constexpr BlockRow kMcunetIn3[] = {
    {3, 16, 8, 1},   {7, 24, 16, 2},  {3, 80, 16, 1},  {7, 80, 16, 1},  {5, 64, 16, 1},
    {5, 80, 24, 2},  {5, 120, 24, 1}, {5, 120, 24, 1}, {3, 120, 40, 2}, {7, 240, 40, 1},
    {5, 160, 40, 1}, {5, 200, 48, 1}, {7, 240, 48, 1}, {3, 240, 48, 1}, {3, 288, 96, 2},
    {7, 480, 96, 1}, {3, 384, 96, 1}, {7, 480, 160, 1}};
constexpr BlockRow kMcunetIn4[] = {
    {3, 32, 16, 1},   {7, 48, 24, 2},  {3, 120, 24, 1}, {5, 96, 24, 1},   {7, 120, 40, 2},
    {3, 160, 40, 1},  {7, 160, 40, 1}, {7, 120, 80, 2}, {3, 240, 80, 1},  {7, 240, 80, 1},
    {3, 320, 96, 1},  {5, 288, 96, 1}, {5, 288, 96, 1}, {7, 384, 192, 2}, {7, 576, 192, 1},
    {5, 576, 192, 1}, {5, 768, 320, 1}};
constexpr BlockRow kMbv2W035[] = {
    {3, 16, 8, 1},   {3, 48, 8, 2},   {3, 48, 8, 1},   {3, 48, 16, 2},  {3, 96, 16, 1},
    {3, 96, 16, 1},  {3, 96, 24, 2},  {3, 144, 24, 1}, {3, 144, 24, 1}, {3, 144, 24, 1},
    {3, 144, 32, 1}, {3, 192, 32, 1}, {3, 192, 32, 1}, {3, 192, 56, 2}, {3, 336, 56, 1},
    {3, 336, 56, 1}, {3, 336, 112, 1}};
constexpr BlockRow kProxylessW03[] = {
    {3, 16, 8, 1},   {5, 24, 16, 2},  {3, 48, 16, 1},  {7, 48, 16, 2},  {3, 48, 16, 1},
    {5, 48, 16, 1},  {5, 48, 16, 1},  {7, 96, 24, 2},  {5, 72, 24, 1},  {5, 72, 24, 1},
    {5, 72, 24, 1},  {5, 144, 32, 1}, {5, 96, 32, 1},  {5, 96, 32, 1},  {5, 96, 32, 1},
    {7, 192, 64, 2}, {7, 384, 64, 1}, {7, 192, 64, 1}, {7, 192, 64, 1}, {7, 384, 96, 1}};
constexpr BlockRow kProxylessnasMobile[] = {
    {3, 32, 16, 1},   {5, 48, 32, 2},    {3, 96, 32, 1},   {7, 96, 40, 2},   {3, 120, 40, 1},
    {5, 120, 40, 1},  {5, 120, 40, 1},   {7, 240, 80, 2},  {5, 240, 80, 1},  {5, 240, 80, 1},
    {5, 240, 80, 1},  {5, 480, 96, 1},   {5, 288, 96, 1},  {5, 288, 96, 1},  {5, 288, 96, 1},
    {7, 576, 192, 2}, {7, 1152, 192, 1}, {7, 576, 192, 1}, {7, 576, 192, 1}, {7, 1152, 320, 1}};

struct Net {
  const char* name;
  int stem;
  int mix;  // channels of the 1x1 layer before the pool, 0 for none
  std::span<const BlockRow> blocks;
};

const Net kNets[] = {
    {"mcunet-in0", 24, 0, kMcunetIn0},
    {"mcunet-in1", 16, 0, kMcunetIn1},
    {"mcunet-5fps", 16, 0, kMcunetIn1},
    {"mcunet-in2", 16, 0, kMcunetIn2},
    {"mcunet-in3", 16, 0, kMcunetIn3},
    {"mcunet-in4", 32, 0, kMcunetIn4},
    {"mbv2-w0.35", 16, 0, kMbv2W035},
    {"proxyless-w0.3", 16, 0, kProxylessW03},
    {"proxylessnas-mobile", 32, 1280, kProxylessnasMobile},
};

const Net& NetOf(const std::string& name) {
  for (const Net& net : kNets) {
    if (name == net.name) return net;
  }
  return kNets[0];  // not reached: the zoo lists no other name
}

Tensor Block(NetBuilder& net, Tensor x, const std::string& prefix, const BlockRow& row,
             bool first) {
  const Tensor input = x;
  const int64_t in = net.channels(x);
  const auto bn = [](const std::string& conv) { return conv + ".bn"; };
  if (!first) {
    const std::string expand = prefix + ".pointwise1";
    x = net.Conv(x,
                 {.name = expand, .norm = bn(expand), .out = row.mid, .act = Activation::kRelu6});
  }
  const std::string depthwise = prefix + ".depthwise";
  x = net.Depthwise(x, {.name = depthwise,
                        .norm = bn(depthwise),
                        .kernel = {row.kernel, row.kernel},
                        .stride = row.stride,
                        .act = Activation::kRelu6});
  const std::string project = prefix + ".pointwise2";
  x = net.Conv(x, {.name = project, .norm = bn(project), .out = row.out});
  return !first && row.stride == 1 && in == row.out ? net.Add(input, x) : x;
}

}  // namespace

absl::StatusOr<Graph> BuildMcuNet(const ModelSpec& spec) {
  const Net& rows = NetOf(spec.name);
  NetBuilder net(spec, 1e-5);
  Tensor x = net.Image(spec.resolution, spec.resolution, spec.input_channels);
  x = net.Conv(x, {.name = "first_conv",
                   .norm = "first_conv.bn",
                   .out = rows.stem,
                   .kernel = {3, 3},
                   .stride = 2,
                   .act = Activation::kRelu6});
  for (size_t i = 0; i < rows.blocks.size(); ++i) {
    net.NextBlock();
    x = Block(net, x, "blocks." + std::to_string(i), rows.blocks[i], i == 0);
  }
  if (rows.mix != 0) {
    net.EnterTail();
    x = net.Conv(x, {.name = "feature_mix",
                     .norm = "feature_mix.bn",
                     .out = rows.mix,
                     .act = Activation::kRelu6});
  }
  return net.Finish(net.Classifier(net.GlobalAveragePool(x), "classifier"));
}

}  // namespace pocketune
