#include "graph/memory/remat_search.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "engine/base/math.h"
#include "graph/memory/liveness.h"
#include "graph/memory/step_cost.h"

namespace pocketune {
namespace {

constexpr size_t kMaxRounds = 256;  // of choosing; with more candidates several a round
constexpr size_t kMaxTakeBacks = 256;
constexpr size_t kMaxChain = 12;  // nodes that run again for one value's sake

// Operands, results and cost of a node or of its second run. Values of the graph are 0 to V - 1,
// what their second runs make V to 2 V - 1.
struct Use {
  std::vector<ValueId> reads;
  std::vector<ValueId> makes;
  std::vector<NodeId> seconds_first;   // forward nodes whose second runs must stand before: they
                                       // read what this one overwrites
  bool may_reuse[2] = {false, false};  // result 0 may take the bytes of reads[i]
  int64_t scratch_bytes = 0;
  double ns = 0.0;
};

// What is alive when, with some values computed again.
struct Profile {
  std::vector<RematStep> order;
  std::vector<int> last;            // per root of 2 V: position of the last reader, or kNone
  std::vector<int> last_forward;    // per root of V: of the last forward reader or the producer
  std::vector<int> first_backward;  // of the first other reader, or kNone
  std::vector<int64_t> live_bytes;  // per position
  int64_t peak_bytes = 0;
  double excess = 0.0;  // bytes above the target, added up over the positions
  double extra_ns = 0.0;
  int second_runs = 0;
};

class Searcher {
 public:
  Searcher(const Graph& graph, int64_t target_bytes)
      : graph_(graph),
        target_bytes_(target_bytes),
        values_(static_cast<ValueId>(graph.values.size())),
        roots_(AliasRootsOf(graph)),
        twin_(graph.values.size(), kNone),
        again_(graph.values.size(), false),
        may_again_(graph.values.size(), false),
        taboo_(graph.values.size(), false) {
    FindTwins();
    CollectUses();
    FindCandidates();
  }

  RematPlan Run() {
    Profile profile = Simulate();
    for (size_t round = 0; round < kMaxRounds && profile.peak_bytes > target_bytes_; ++round) {
      if (!Improve(profile)) break;
    }
    TakeBack(profile);
    RematPlan plan;
    plan.instead.assign(values_, kNone);
    for (ValueId v = 0; v < values_; ++v) plan.instead[v] = Instead(v);
    plan.order = std::move(profile.order);
    plan.peak_bytes = profile.peak_bytes;
    plan.extra_ns = profile.extra_ns;
    plan.second_runs = profile.second_runs;
    return plan;
  }

 private:
  struct Move {
    double score = 0.0;  // bytes freed times positions above the target, per nanosecond
    std::vector<ValueId> roots;
  };

  bool IsForwardResult(ValueId v) const {
    const NodeId producer = graph_.value(v).producer;
    return producer != kNone && graph_.nodes[producer].phase == Phase::kForward;
  }

  // Normalizations that recompute_norm has put into the backward pass.
  void FindTwins() {
    std::map<ValueId, NodeId> norm_of_mean;
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (node.op == OpKind::kBatchNorm) norm_of_mean[node.results[1]] = static_cast<NodeId>(n);
      if (node.op != OpKind::kBatchNormFrozen || node.phase == Phase::kForward) continue;
      const auto found = norm_of_mean.find(node.operands[3]);
      if (found == norm_of_mean.end()) continue;
      const Node& norm = graph_.nodes[found->second];
      if (SecondOperandsOf(norm) == node.operands) twin_[norm.results[0]] = node.results[0];
    }
  }

  Use UseOf(const Node& node, bool again) const {
    Use use;
    use.reads = again ? SecondOperandsOf(node) : node.operands;
    use.makes = again ? std::vector<ValueId>{node.results[0] + values_} : node.results;
    for (int i = 0; i < 2; ++i) use.may_reuse[i] = FitsInPlace(graph_, roots_, node, i);
    use.scratch_bytes = AlignUp(node.scratch_bytes);
    use.ns = CostNs(graph_, node);
    return use;
  }

  void CollectUses() {
    bytes_.assign(values_, 0);
    for (ValueId v = 0; v < values_; ++v) {
      const ValueKind kind = graph_.value(v).kind;
      const bool in_arena = kind == ValueKind::kInput || kind == ValueKind::kResult;
      if (in_arena && roots_[v] == v) bytes_[v] = AlignUp(graph_.value(v).bytes());
    }
    for (const Node& node : graph_.nodes) {
      first_.push_back(UseOf(node, false));
      second_.push_back(UseOf(node, true));
    }
    const std::vector<std::vector<NodeId>> users = UsersOf(graph_);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (!node.info().Has(kUpdate)) continue;
      for (int i = 0; i < node.info().results; ++i) {
        for (NodeId user : users[node.operands[i]]) {
          if (graph_.nodes[user].phase == Phase::kForward) first_[n].seconds_first.push_back(user);
        }
      }
    }
  }

  void FindCandidates() {
    for (const Node& node : graph_.nodes) {
      const bool one = node.results.size() == 1 || node.op == OpKind::kBatchNorm;
      if (node.phase != Phase::kForward || node.info().Has(kUpdate) || !one) continue;
      const ValueId v = node.results[0];
      if (roots_[v] == v) may_again_[v] = true;
    }
    for (const Output& output : graph_.outputs) may_again_[roots_[output.value]] = false;
  }

  ValueId Instead(ValueId v) const {
    if (!IsForwardResult(v)) return kNone;
    if (twin_[v] != kNone) return twin_[v];
    return again_[roots_[v]] ? v + values_ : kNone;
  }
  ValueId RootOf(ValueId v) const {
    return v < values_ ? roots_[v] : roots_[v - values_] + values_;
  }
  int64_t BytesOf(ValueId root) const { return bytes_[root < values_ ? root : root - values_]; }
  const Use& UseOf(const RematStep& step) const {
    return step.again ? second_[step.node] : first_[step.node];
  }
  bool ReadsInstead(const RematStep& step) const {
    return step.again || graph_.nodes[step.node].phase != Phase::kForward;
  }

  // The node or the second run that makes `v`, which stands for a value in the backward pass.
  RematStep MakerOf(ValueId v) const {
    const bool again = v >= values_;
    return {graph_.value(again ? v - values_ : v).producer, again};
  }

  bool IsAgain(NodeId node) const { return again_[roots_[graph_.nodes[node].results[0]]]; }

  // Appends `step` and before it all that makes what it reads instead of forward values.
  void Emit(RematStep first, std::vector<bool>& done, std::vector<RematStep>& order) const {
    const size_t nodes = graph_.nodes.size();
    const auto index = [&](const RematStep& step) { return step.node + (step.again ? nodes : 0); };
    std::vector<std::pair<RematStep, size_t>> stack = {{first, 0}};
    while (!stack.empty()) {
      const RematStep step = stack.back().first;
      const Use& use = UseOf(step);
      size_t& next = stack.back().second;
      if (done[index(step)]) {
        stack.pop_back();
        continue;
      }
      RematStep maker;
      for (; maker.node == kNone && ReadsInstead(step) && next < use.reads.size(); ++next) {
        const ValueId instead = Instead(use.reads[next]);
        if (instead != kNone && !done[index(MakerOf(instead))]) maker = MakerOf(instead);
      }
      for (NodeId node : use.seconds_first) {
        const RematStep second = {node, true};
        if (IsAgain(node) && !done[index(second)]) maker = second;
      }
      if (maker.node != kNone) {
        stack.push_back({maker, 0});
        continue;
      }
      done[index(step)] = true;
      order.push_back(step);
      stack.pop_back();
    }
  }

  Profile Simulate() const {
    Profile profile;
    std::vector<bool> done(2 * graph_.nodes.size(), false);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      Emit({static_cast<NodeId>(n), false}, done, profile.order);
    }
    FindLives(profile);
    SumUp(profile);
    return profile;
  }

  void FindLives(Profile& profile) const {
    profile.last.assign(2 * values_, kNone);
    profile.last_forward.assign(values_, kNone);
    profile.first_backward.assign(values_, kNone);
    for (size_t at = 0; at < profile.order.size(); ++at) {
      const RematStep& step = profile.order[at];
      const Use& use = UseOf(step);
      for (ValueId v : use.makes) {
        if (RootOf(v) == v && v < values_) profile.last_forward[v] = static_cast<int>(at);
      }
      for (ValueId read : use.reads) {
        const bool instead = ReadsInstead(step) && Instead(read) != kNone;
        const ValueId root = RootOf(instead ? Instead(read) : read);
        profile.last[root] = static_cast<int>(at);
        if (root >= values_) continue;
        if (!ReadsInstead(step)) profile.last_forward[root] = static_cast<int>(at);
        if (ReadsInstead(step) && profile.first_backward[root] == kNone) {
          profile.first_backward[root] = static_cast<int>(at);
        }
      }
      if (!step.again) continue;
      ++profile.second_runs;
      profile.extra_ns += use.ns;
    }
    for (const Output& output : graph_.outputs) {
      profile.last[RootOf(output.value)] = static_cast<int>(profile.order.size()) - 1;
    }
  }

  void SumUp(Profile& profile) const {
    std::vector<int64_t> change(profile.order.size() + 1, 0);
    const auto add = [&](ValueId root, int first) {
      if (profile.last[root] == kNone) return;
      change[first] += BytesOf(root);
      change[profile.last[root] + 1] -= BytesOf(root);
    };
    for (ValueId v = 0; v < values_; ++v) {
      if (graph_.value(v).kind != ValueKind::kInput) continue;
      change[0] += bytes_[v];
      change[std::max(0, profile.last[v]) + 1] -= bytes_[v];
    }
    for (size_t at = 0; at < profile.order.size(); ++at) {
      for (ValueId v : UseOf(profile.order[at]).makes) {
        if (RootOf(v) == v) add(v, static_cast<int>(at));
      }
    }
    int64_t live = 0;
    for (size_t at = 0; at < profile.order.size(); ++at) {
      live += change[at];
      const int64_t bytes = live + UseOf(profile.order[at]).scratch_bytes - Reused(profile, at);
      profile.live_bytes.push_back(bytes);
      profile.peak_bytes = std::max(profile.peak_bytes, bytes);
      profile.excess += static_cast<double>(std::max<int64_t>(0, bytes - target_bytes_));
    }
  }

  // Bytes that result 0 at that position takes over from an operand that dies there.
  int64_t Reused(const Profile& profile, size_t at) const {
    const RematStep& step = profile.order[at];
    const Use& use = UseOf(step);
    if (RootOf(use.makes[0]) != use.makes[0] || profile.last[use.makes[0]] == kNone) return 0;
    for (int i = 0; i < 2; ++i) {
      if (!use.may_reuse[i]) continue;
      const ValueId read = use.reads[i];
      const bool instead = ReadsInstead(step) && Instead(read) != kNone;
      const ValueId root = RootOf(instead ? Instead(read) : read);
      if (profile.last[root] == static_cast<int>(at)) return BytesOf(root);
    }
    return 0;
  }

  // above[t]: positions before t with more alive than the target.
  std::vector<int> CountAbove(const Profile& profile) const {
    std::vector<int> above = {0};
    for (int64_t bytes : profile.live_bytes) {
      above.push_back(above.back() + (bytes > target_bytes_ ? 1 : 0));
    }
    return above;
  }

  // Computing the root `v` again; operands that are gone by then too, or they are kept.
  Move MoveOf(ValueId v, const Profile& profile, const std::vector<int>& above,
              bool operands_too) const {
    const int begin = profile.last_forward[v], end = profile.first_backward[v];
    if (end == kNone || begin >= end) return {};
    const auto freed = [&](ValueId root, int from) {
      return static_cast<double>(bytes_[root]) * std::max(0, above[end] - above[from + 1]);
    };
    double gain = freed(v, begin);
    if (gain <= 0) return {};
    double ns = 0.0;
    Move move;
    move.roots = {v};
    for (size_t i = 0; i < move.roots.size(); ++i) {
      const NodeId producer = graph_.value(move.roots[i]).producer;
      ns += second_[producer].ns;
      for (ValueId read : second_[producer].reads) {
        const ValueId root = roots_[read];
        const bool there = bytes_[root] == 0 || Instead(read) != kNone || profile.last[root] >= end;
        if (there || std::count(move.roots.begin(), move.roots.end(), root) > 0) continue;
        if (operands_too && may_again_[root] && move.roots.size() < kMaxChain) {
          move.roots.push_back(root);
        } else {
          gain -= freed(root, std::max(profile.last[root], 0));
        }
      }
    }
    move.score = gain / ns;
    return move;
  }

  // Takes the best moves; false where none lowers what is above the target.
  bool Improve(Profile& profile) {
    const std::vector<int> above = CountAbove(profile);
    std::vector<Move> moves;
    for (ValueId v = 0; v < values_; ++v) {
      if (!may_again_[v] || again_[v] || taboo_[v] || twin_[v] != kNone) continue;
      Move keeping = MoveOf(v, profile, above, false);
      Move chain = MoveOf(v, profile, above, true);
      Move& best = chain.score > keeping.score ? chain : keeping;
      if (best.score > 0) moves.push_back(std::move(best));
    }
    std::stable_sort(moves.begin(), moves.end(),
                     [](const Move& a, const Move& b) { return a.score > b.score; });
    const size_t several = 1 + moves.size() / kMaxRounds;
    for (size_t i = 0; i < moves.size(); i += several) {
      const size_t count = std::min(several, moves.size() - i);
      if (Take({moves.data() + i, count}, profile)) return true;
    }
    return false;
  }

  bool Take(std::span<const Move> moves, Profile& profile) {
    const std::vector<bool> before = again_;
    for (const Move& move : moves) {
      for (ValueId root : move.roots) again_[root] = true;
    }
    Profile after = Simulate();
    if (after.excess < profile.excess) {
      profile = std::move(after);
      return true;
    }
    again_ = before;
    for (const Move& move : moves) taboo_[move.roots[0]] = true;
    return false;
  }

  // Keeps values after all, dearest first, where that does not lead above what was reached.
  void TakeBack(Profile& profile) {
    std::vector<std::pair<double, ValueId>> chosen;
    for (ValueId v = 0; v < values_; ++v) {
      if (again_[v]) chosen.push_back({-second_[graph_.value(v).producer].ns, v});
    }
    std::sort(chosen.begin(), chosen.end());
    const int64_t limit = std::max(target_bytes_, profile.peak_bytes);
    for (size_t i = 0; i < std::min(chosen.size(), kMaxTakeBacks); ++i) {
      again_[chosen[i].second] = false;
      Profile after = Simulate();
      if (after.peak_bytes <= limit && after.extra_ns < profile.extra_ns) {
        profile = std::move(after);
      } else {
        again_[chosen[i].second] = true;
      }
    }
  }

  const Graph& graph_;
  const int64_t target_bytes_;
  const ValueId values_;  // V
  const std::vector<ValueId> roots_;
  std::vector<ValueId> twin_;    // per value: what computes it again already, or kNone
  std::vector<bool> again_;      // per root: is computed again
  std::vector<bool> may_again_;  // per root
  std::vector<bool> taboo_;      // per root: was tried and did not help
  std::vector<int64_t> bytes_;   // per root, 0 outside the arena
  std::vector<Use> first_;       // per node
  std::vector<Use> second_;
};

}  // namespace

OpKind SecondOpOf(const Node& node) {
  return node.op == OpKind::kBatchNorm ? OpKind::kBatchNormFrozen : node.op;
}

std::vector<ValueId> SecondOperandsOf(const Node& node) {
  std::vector<ValueId> operands = node.operands;
  if (node.op == OpKind::kBatchNorm) {
    operands.insert(operands.end(), {node.results[1], node.results[2]});
  }
  return operands;
}

RematPlan SearchRemat(const Graph& graph, int64_t target_bytes) {
  return Searcher(graph, target_bytes).Run();
}

}  // namespace pocketune
