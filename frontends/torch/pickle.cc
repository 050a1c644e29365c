#include "frontends/torch/pickle.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/one_line.h"

namespace pocketune {
namespace {

// What a name that a pickle may hold stands for.
enum class Callee : uint8_t { kTensor, kParameter, kDict, kStorageType };

struct Name {
  std::string_view text;
  Callee callee;
};

constexpr Name kNames[] = {
    {"torch._utils _rebuild_tensor_v2", Callee::kTensor},
    {"torch._utils _rebuild_tensor", Callee::kTensor},
    {"torch._utils _rebuild_parameter", Callee::kParameter},
    {"collections OrderedDict", Callee::kDict},
    {"torch DoubleStorage", Callee::kStorageType},
    {"torch FloatStorage", Callee::kStorageType},
    {"torch HalfStorage", Callee::kStorageType},
    {"torch BFloat16Storage", Callee::kStorageType},
    {"torch LongStorage", Callee::kStorageType},
    {"torch IntStorage", Callee::kStorageType},
    {"torch ShortStorage", Callee::kStorageType},
    {"torch CharStorage", Callee::kStorageType},
    {"torch ByteStorage", Callee::kStorageType},
    {"torch BoolStorage", Callee::kStorageType},
};

const Name* FindName(std::string_view text) {
  const auto* found = std::find_if(std::begin(kNames), std::end(kNames),
                                   [&](const Name& name) { return name.text == text; });
  return found == std::end(kNames) ? nullptr : found;
}

// One pickle. The first error sticks: what is done after it has no effect.
class Unpickler {
 public:
  explicit Unpickler(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  absl::StatusOr<Pickle> Run() {
    for (;;) {
      const uint8_t op = static_cast<uint8_t>(Number(1));
      if (!error_.ok()) return error_;
      if (op == '.') break;
      if (!Plain(op) && !Text(op) && !Container(op) && !Memo(op) && !Call(op)) {
        return Bad(absl::StrCat("an instruction that dictionaries of tensors do not need (code ",
                                static_cast<int>(op), " at byte ", at_ - 1, ")"));
      }
      if (!error_.ok()) return error_;
    }
    if (stack_.size() != 1 || !marks_.empty()) return Bad("no single value at its end");
    pickle_.root = stack_[0];
    pickle_.bytes = static_cast<int64_t>(at_);
    return std::move(pickle_);
  }

 private:
  static absl::Status Bad(const std::string& what) {
    return absl::InvalidArgumentError("its pickle has " + what);
  }
  void Fail(const std::string& what) { error_.Update(Bad(what)); }

  std::string_view Take(uint64_t count) {
    if (count > bytes_.size() - at_) {
      error_.Update(absl::DataLossError("its pickle ends early"));
      return {};
    }
    const auto* begin = reinterpret_cast<const char*>(bytes_.data()) + at_;
    at_ += count;
    return {begin, static_cast<size_t>(count)};
  }

  // Little-endian, not negative but for eight bytes.
  int64_t Number(int count) {
    uint64_t number = 0;
    const std::string_view raw = Take(static_cast<uint64_t>(count));
    for (size_t i = raw.size(); i-- > 0;) number = number << 8 | static_cast<uint8_t>(raw[i]);
    return static_cast<int64_t>(number);
  }

  std::string_view Line() {
    const auto* begin = reinterpret_cast<const char*>(bytes_.data()) + at_;
    const size_t end = std::string_view(begin, bytes_.size() - at_).find('\n');
    if (end == std::string_view::npos) return Take(bytes_.size() - at_ + 1);  // ends early
    return Take(end + 1).substr(0, end);
  }

  // Counts items before they are made: a short pickle may name a long tuple again and again.
  bool Spend(size_t items) {
    items_ += items;
    if (items_ > kMaxPickleItems) Fail(absl::StrCat("more than ", kMaxPickleItems, " items"));
    return items_ <= kMaxPickleItems;
  }
  void Push(PickleValue value) {
    if (pickle_.values.size() >= kMaxPickleValues) {
      return Fail(absl::StrCat("more than ", kMaxPickleValues, " values"));
    }
    pickle_.values.push_back(std::move(value));
    PushIndex(static_cast<int32_t>(pickle_.values.size() - 1));
  }
  void PushIndex(int32_t index) {
    if (Spend(1)) stack_.push_back(index);
  }
  void PushInt(int64_t number) { Push({.kind = PickleKind::kInt, .number = number}); }
  void PushText(std::string_view text) {
    Push({.kind = PickleKind::kText, .text = std::string(text)});
  }

  // Where the values begin that belong to what is open: behind the last mark.
  size_t Floor() const { return marks_.empty() ? 0 : marks_.back(); }

  int32_t Pop() {
    if (stack_.size() <= Floor()) {
      Fail("an instruction that lacks its operands");
      return -1;
    }
    const int32_t top = stack_.back();
    stack_.pop_back();
    return top;
  }

  // The value that was pushed last and is still there; nullptr, with an error, where there is none.
  PickleValue* Top() {
    if (stack_.size() <= Floor()) {
      Fail("an instruction that lacks its operands");
      return nullptr;
    }
    return &pickle_.values[static_cast<size_t>(stack_.back())];
  }

  std::vector<int32_t> PopToMark() {
    if (marks_.empty()) {
      Fail("an instruction that lacks its mark");
      return {};
    }
    const auto from = stack_.begin() + static_cast<int64_t>(marks_.back());
    std::vector<int32_t> items(from, stack_.end());
    stack_.erase(from, stack_.end());
    marks_.pop_back();
    return items;
  }

  std::vector<int32_t> PopItems(int count) {
    std::vector<int32_t> items(static_cast<size_t>(count));
    for (size_t i = items.size(); i-- > 0;) items[i] = Pop();
    return items;
  }

  // PROTO, FRAME, NONE, truth and numbers.
  bool Plain(uint8_t op) {
    switch (op) {
      case 0x80:
        Number(1);
        break;
      case 0x95:
        Number(8);
        break;
      case 'N':
        Push({});
        break;
      case 0x88:
        Push({.kind = PickleKind::kBool, .number = 1});
        break;
      case 0x89:
        Push({.kind = PickleKind::kBool});
        break;
      case 'K':
        PushInt(Number(1));
        break;
      case 'M':
        PushInt(Number(2));
        break;
      case 'J':
        PushInt(static_cast<int32_t>(Number(4)));
        break;
      case 0x8a:
        Long();
        break;
      case 'G':
        Take(8);
        Push({.kind = PickleKind::kFloat});
        break;
      default:
        return false;
    }
    return true;
  }

  // LONG1: a signed number of up to eight bytes.
  void Long() {
    const int64_t count = Number(1);
    if (count > 8) return Fail("a number of more than 64 bits");
    const int64_t number = Number(static_cast<int>(count));
    const int unused = static_cast<int>(8 * (8 - count));
    PushInt(count == 0 ? 0
                       : static_cast<int64_t>(static_cast<uint64_t>(number) << unused) >> unused);
  }

  // Texts of Python 2 are bytes, and taken as they are.
  bool Text(uint8_t op) {
    switch (op) {
      case 'X':
        PushText(Take(static_cast<uint64_t>(Number(4))));
        break;  // BINUNICODE
      case 0x8c:
        PushText(Take(static_cast<uint64_t>(Number(1))));
        break;  // SHORT_BINUNICODE
      case 0x8d:
        PushText(Take(static_cast<uint64_t>(Number(8))));
        break;   // BINUNICODE8
      case 'T':  // BINSTRING
      case 'B':
        PushText(Take(static_cast<uint64_t>(Number(4))));
        break;   // BINBYTES
      case 'U':  // SHORT_BINSTRING
      case 'C':
        PushText(Take(static_cast<uint64_t>(Number(1))));
        break;  // SHORT_BINBYTES
      default:
        return false;
    }
    return true;
  }

  bool Container(uint8_t op) {
    switch (op) {
      case '(':
        marks_.push_back(stack_.size());
        break;
      case '0':
        Pop();
        break;
      case '1':
        PopToMark();
        break;
      case ')':
        Push({.kind = PickleKind::kTuple});
        break;
      case 0x85:
      case 0x86:
      case 0x87:
        Push({.kind = PickleKind::kTuple, .items = PopItems(op - 0x84)});
        break;
      case 't':
        Push({.kind = PickleKind::kTuple, .items = PopToMark()});
        break;
      case ']':
        Push({.kind = PickleKind::kList});
        break;
      case '}':
        Push({.kind = PickleKind::kDict});
        break;
      case 'a':
        Append(PickleKind::kList, PopItems(1));
        break;
      case 'e':
        Append(PickleKind::kList, PopToMark());
        break;
      case 's':
        Append(PickleKind::kDict, PopItems(2));
        break;
      case 'u':
        Append(PickleKind::kDict, PopToMark());
        break;
      default:
        return false;
    }
    if (marks_.size() > kMaxPickleItems) Fail("too many marks");
    return true;
  }

  void Append(PickleKind to, const std::vector<int32_t>& items) {
    PickleValue* const top = Top();
    if (!error_.ok()) return;
    if (top->kind != to || (to == PickleKind::kDict && items.size() % 2 != 0)) {
      return Fail("items for what is no list or dictionary");
    }
    top->items.insert(top->items.end(), items.begin(), items.end());
  }

  bool Memo(uint8_t op) {
    switch (op) {
      case 'q':
        Remember(Number(1));
        break;
      case 'r':
        Remember(Number(4));
        break;
      case 0x94:
        Remember(static_cast<int64_t>(memo_.size()));
        break;
      case 'h':
        Recall(Number(1));
        break;
      case 'j':
        Recall(Number(4));
        break;
      default:
        return false;
    }
    return true;
  }
  void Remember(int64_t key) {
    if (memo_.size() >= kMaxPickleValues) return Fail("more than it may remember");
    if (Top() != nullptr && error_.ok()) memo_[key] = stack_.back();
  }
  void Recall(int64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) return Fail("a value that was never there");
    PushIndex(found->second);
  }

  // Names, and what would be calls in Python.
  bool Call(uint8_t op) {
    switch (op) {
      case 'c': {
        const std::string module(Line());
        PushName(absl::StrCat(module, " ", std::string(Line())));
        break;
      }
      case 0x93: {  // STACK_GLOBAL
        const std::vector<int32_t> words = PopItems(2);
        if (!error_.ok()) break;
        PushName(absl::StrCat(pickle_.at(words[0]).text, " ", pickle_.at(words[1]).text));
        break;
      }
      case 'R':
        Reduce();
        break;
      case 'b':
        Build();
        break;
      case 'Q': {  // BINPERSID
        const int32_t id = Pop();
        if (!error_.ok()) break;
        if (pickle_.at(id).kind != PickleKind::kTuple) {
          Fail("a storage that is none");
        } else if (Spend(pickle_.at(id).items.size())) {
          Push({.kind = PickleKind::kStorage, .items = pickle_.at(id).items});
        }
        break;
      }
      default:
        return false;
    }
    return true;
  }

  void PushName(std::string text) {
    if (error_.ok() && FindName(text) == nullptr) {
      std::replace(text.begin(), text.end(), ' ', '.');
      return Fail(absl::StrCat("more than tensors (got ", OneLine(text.substr(0, 100)),
                               ", want tensors, dictionaries, texts and numbers): on a computer "
                               "with PyTorch, save the model's state_dict() alone"));
    }
    Push({.kind = PickleKind::kName, .text = std::move(text)});
  }

  void Reduce() {
    const std::vector<int32_t> call = PopItems(2);
    if (!error_.ok()) return;
    const PickleValue& callee = pickle_.at(call[0]);
    const PickleValue& args = pickle_.at(call[1]);
    const Name* name = callee.kind == PickleKind::kName ? FindName(callee.text) : nullptr;
    if (name == nullptr || args.kind != PickleKind::kTuple) return Fail("a call that is none");
    if (!Spend(args.items.size())) return;
    const std::vector<int32_t> items = args.items;
    switch (name->callee) {
      case Callee::kTensor:
        Push({.kind = PickleKind::kTensor, .items = items});
        return;
      case Callee::kParameter:
        if (items.empty()) return Fail("a parameter without a tensor");
        return PushIndex(items[0]);
      case Callee::kDict:
        return MakeDict(items);
      case Callee::kStorageType:
        return Fail("a storage of its own");
    }
  }

  // OrderedDict() or OrderedDict([(key, value), ...]).
  void MakeDict(const std::vector<int32_t>& args) {
    PickleValue dict = {.kind = PickleKind::kDict};
    if (!args.empty()) {
      if (!Spend(2 * pickle_.at(args[0]).items.size())) return;
      for (const int32_t pair : pickle_.at(args[0]).items) {
        const std::vector<int32_t>& items = pickle_.at(pair).items;
        if (items.size() != 2) return Fail("a dictionary of no pairs");
        dict.items.insert(dict.items.end(), items.begin(), items.end());
      }
    }
    Push(std::move(dict));
  }

  // Attributes of an OrderedDict (state dicts have `_metadata`): left out.
  void Build() {
    Pop();
    const PickleValue* const top = Top();
    if (error_.ok() && top->kind != PickleKind::kDict) Fail("attributes of what is no dictionary");
  }

  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
  absl::Status error_;
  Pickle pickle_;
  std::vector<int32_t> stack_;
  std::vector<size_t> marks_;  // sizes of the stack
  std::unordered_map<int64_t, int32_t> memo_;
  size_t items_ = 0;
};

}  // namespace

absl::StatusOr<Pickle> ReadPickle(std::span<const uint8_t> bytes) {
  return Unpickler(bytes.first(std::min<size_t>(bytes.size(), kMaxPickleBytes))).Run();
}

}  // namespace pocketune
