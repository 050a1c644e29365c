#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "engine/ops/implied.h"
#include "graph/ir/text.h"

namespace pocketune {
namespace {

enum class TokenKind { kEnd, kWord, kString, kValue, kPunct, kBad };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string_view text;  // of a string the part between the quotes, of a value its number
  int line = 1;
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || IsDigit(c) || c == '_' || c == '.' ||
         c == '-';
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Token Next() {
    SkipSpace();
    if (at_ == text_.size()) return {TokenKind::kEnd, {}, line_};
    const char c = text_[at_];
    if (c == '"') return String();
    if (c == '%') {
      ++at_;
      return Take(TokenKind::kValue, [](std::string_view, char d) { return IsDigit(d); });
    }
    if (IsWord(c)) return Take(TokenKind::kWord, ContinuesWord);
    ++at_;
    return {TokenKind::kPunct, text_.substr(at_ - 1, 1), line_};
  }

 private:
  // A plus sign belongs to a number after its exponent's e alone.
  static bool ContinuesWord(std::string_view word, char c) {
    return IsWord(c) || (c == '+' && word.back() == 'e' && (IsDigit(word[0]) || word[0] == '-'));
  }

  template <class Fn>
  Token Take(TokenKind kind, const Fn& continues) {
    const size_t start = at_;
    while (at_ < text_.size() && continues(text_.substr(start, at_ - start), text_[at_])) ++at_;
    return {kind, text_.substr(start, at_ - start), line_};
  }

  Token String() {
    const size_t start = ++at_;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n') {
      at_ += text_[at_] == '\\' ? 2 : 1;
    }
    if (at_ >= text_.size() || text_[at_] != '"') {
      at_ = text_.size();
      return {TokenKind::kBad, "a string without end", line_};
    }
    return {TokenKind::kString, text_.substr(start, at_++ - start), line_};
  }

  void SkipSpace() {
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\n') {
        ++line_;
      } else if (text_.substr(at_, 2) == "//") {
        while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
      } else if (text_[at_] != ' ' && text_[at_] != '\t' && text_[at_] != '\r') {
        return;
      }
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

// Recursive descent, one function per production of docs/ir.md. Each returns false after an error,
// the first of which is kept.
class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text), token_(lexer_.Next()) {}

  absl::StatusOr<Graph> Run() {
    if (!ParseGraph()) return absl::InvalidArgumentError(error_);
    return std::move(graph_);
  }

 private:
  bool Fail(const std::string& fact) {
    if (error_.empty()) error_ = absl::StrCat("line ", token_.line, ": ", fact);
    return false;
  }
  bool FailHere(const char* wanted) {
    if (token_.kind == TokenKind::kEnd)
      return Fail(absl::StrCat("the text ends (want ", wanted, ")"));
    const std::string got = absl::CEscape(
        absl::string_view(token_.text.data(), std::min<size_t>(token_.text.size(), 40)));
    return Fail(absl::StrCat("unexpected text (got \"", got, "\", want ", wanted, ")"));
  }

  bool At(TokenKind kind, std::string_view text) const {
    return token_.kind == kind && token_.text == text;
  }
  bool Accept(TokenKind kind, std::string_view text) {
    if (!At(kind, text)) return false;
    token_ = lexer_.Next();
    return true;
  }
  bool AcceptPunct(const char* c) { return Accept(TokenKind::kPunct, c); }
  bool AcceptWord(const char* word) { return Accept(TokenKind::kWord, word); }
  bool Punct(const char* c) {
    return AcceptPunct(c) || FailHere(absl::StrCat("'", c, "'").c_str());
  }
  bool Word(const char* word) { return AcceptWord(word) || FailHere(word); }

  bool ParseString(std::string* out) {
    if (token_.kind != TokenKind::kString) return FailHere("a string");
    std::string why;
    if (!absl::CUnescape(absl::string_view(token_.text.data(), token_.text.size()), out, &why)) {
      return Fail("a string has a bad escape");
    }
    token_ = lexer_.Next();
    return true;
  }

  template <class T>
  bool ParseNumber(T* out) {
    if (token_.kind != TokenKind::kWord) return FailHere("a number");
    const char* end = token_.text.data() + token_.text.size();
    const auto [stop, error] = std::from_chars(token_.text.data(), end, *out);
    if (error != std::errc() || stop != end) return FailHere("a number in range");
    token_ = lexer_.Next();
    return true;
  }

  template <class E>
  bool ParseEnum(E last, const char* wanted, E* out) {
    for (int i = 0; i <= static_cast<int>(last); ++i) {
      if (!AcceptWord(NameOf(static_cast<E>(i)))) continue;
      *out = static_cast<E>(i);
      return true;
    }
    return FailHere(wanted);
  }

  // A word that may be there; `*out` stays what it is where it is not.
  template <class E>
  void ParseOptional(E last, E* out) {
    for (int i = 0; i <= static_cast<int>(last); ++i) {
      if (!AcceptWord(NameOf(static_cast<E>(i)))) continue;
      *out = static_cast<E>(i);
      return;
    }
  }

  bool ParseGraph();
  bool ParseStatement();
  bool ParseDeclaration(Value value);
  bool ParseParam(Value* value);
  bool ParseSlices(Value* value);
  bool ParseNode(std::vector<Value> results, const std::vector<int64_t>& offsets);
  bool ParseOperands(Node* node);
  bool ParseFacts(Node* node);
  bool ParseParts(int* parts);
  bool ParseLoop();
  bool ParseReturn();
  bool ParseType(TensorType* type);
  bool ParseDims(Shape* shape);
  bool ParseOffset(int64_t* offset, int64_t* bytes);
  bool ParseOptionalOffset(const Value& value, int64_t* offset);
  bool ParseUse(ValueId* id);
  bool ParseAttrs(Attrs* attrs);
  bool CheckTypes(const Node& node, const std::vector<Value>& results);

  // An attribute's value, one overload per type.
  bool ParseField(bool& field) {
    field = At(TokenKind::kWord, "true");
    return AcceptWord("true") || AcceptWord("false") || FailHere("true or false");
  }
  bool ParseField(Act& field) { return ParseEnum(Act::kTanh, "an activation", &field); }
  bool ParseField(Shape& field) { return ParseDims(&field); }
  template <class T>
  bool ParseField(T& field) {
    return ParseNumber(&field);
  }
  template <int N>
  bool ParseField(int32_t (&field)[N]) {
    if (!Punct("[")) return false;
    for (int i = 0; i < N; ++i) {
      if (i > 0 && !Punct(",")) return false;
      if (!ParseNumber(&field[i])) return false;
      if (N == Shape::kMaxRank && At(TokenKind::kPunct, "]")) break;  // the rest has its default
    }
    return Punct("]");
  }

  ValueId AddValue(Value value, int64_t offset) {
    graph_.values.push_back(std::move(value));
    if (graph_.stage == Stage::kPlanned) graph_.offsets.push_back(offset);
    return static_cast<ValueId>(graph_.values.size()) - 1;
  }

  Lexer lexer_;
  Token token_;
  std::string error_;
  Graph graph_;
};

bool Parser::ParseGraph() {
  if (!Word("pocketune-ir") || !Word("1") || !Word("graph") || !ParseString(&graph_.name) ||
      !Word("stage") || !Punct("=") || !ParseEnum(Stage::kPlanned, "a stage", &graph_.stage)) {
    return false;
  }
  if (graph_.stage == Stage::kPlanned &&
      (!Word("arena") || !Punct("=") || !ParseNumber(&graph_.arena_bytes))) {
    return false;
  }
  if (!Punct("{")) return false;
  while (token_.kind == TokenKind::kValue) {
    if (!ParseStatement()) return false;
  }
  while (AcceptWord("loop")) {
    if (!ParseLoop()) return false;
  }
  if (AcceptWord("return") && !ParseReturn()) return false;
  if (!Punct("}")) return false;
  return token_.kind == TokenKind::kEnd || FailHere("the end of the text");
}

// "%4: f32[2,3]" and what follows: a declaration, or a node whose first result this is.
bool Parser::ParseStatement() {
  std::vector<Value> values;
  std::vector<int64_t> offsets;
  do {
    const std::string number = absl::StrCat(graph_.values.size() + values.size());
    if (token_.kind != TokenKind::kValue || token_.text != number) {
      return FailHere(absl::StrCat("definition of %", number).c_str());
    }
    token_ = lexer_.Next();
    Value value;
    if (!Punct(":") || !ParseType(&value.type)) return false;
    if (AcceptWord("part") && !ParseParts(&value.parts)) return false;
    if (values.empty() && token_.kind == TokenKind::kWord)
      return ParseDeclaration(std::move(value));
    if (token_.kind == TokenKind::kString && !ParseString(&value.name)) return false;
    offsets.push_back(kNone);
    if (!ParseOptionalOffset(value, &offsets.back())) return false;
    values.push_back(std::move(value));
  } while (AcceptPunct(","));
  return Punct("=") && ParseNode(std::move(values), offsets);
}

bool Parser::ParseDeclaration(Value value) {
  if (!ParseEnum(ValueKind::kConst, "input, param or const", &value.kind) ||
      !ParseString(&value.name)) {
    return false;
  }
  if (value.kind == ValueKind::kInput) {
    value.port = ImpliedInputRole(value.name);
    ParseOptional(PortRole::kOther, &value.port);
  }
  if (value.kind == ValueKind::kParam && !ParseParam(&value)) return false;
  if (value.kind != ValueKind::kInput && AcceptWord("data")) {
    if (!Punct("=")) return false;
    if (token_.kind != TokenKind::kWord) return FailHere("a checksum");
    token_ = lexer_.Next();
  }
  int64_t offset = kNone;
  if (!ParseOptionalOffset(value, &offset)) return false;
  AddValue(std::move(value), offset);
  return true;
}

bool Parser::ParseParam(Value* value) {
  if (!ParseEnum(ParamRole::kState, "a role", &value->role)) return false;
  const bool is_weight = value->role == ParamRole::kWeight;
  value->layout = ImpliedLayout(is_weight, value->type.shape.rank());
  ParseOptional(ParamLayout::kDepthwise, &value->layout);
  if (!ParseEnum(Section::kClassifier, "a section", &value->section)) return false;
  if (value->section == Section::kBlock && !ParseNumber(&value->block)) return false;
  value->trainable = AcceptWord("train");
  return !AcceptWord("slices") || ParseSlices(value);
}

// "3 [0,4,7]"
bool Parser::ParseSlices(Value* value) {
  LearningSlices slices;
  if (!ParseNumber(&slices.axis) || !Punct("[")) return false;
  do {
    slices.numbers.push_back(0);
    if (!ParseNumber(&slices.numbers.back())) return false;
  } while (AcceptPunct(","));
  value->slices = std::make_shared<const LearningSlices>(std::move(slices));
  return Punct("]");
}

bool Parser::ParseNode(std::vector<Value> results, const std::vector<int64_t>& offsets) {
  const OpInfo* info = token_.kind == TokenKind::kWord ? FindOp(token_.text) : nullptr;
  if (info == nullptr) return FailHere("an op");
  token_ = lexer_.Next();
  Node node;
  node.op = info->kind;
  node.attrs = DefaultAttrs(info->kind);
  node.in_place = info->Has(kView);
  if (!ParseOperands(&node)) return false;
  if (AcceptPunct("{") && !ParseAttrs(&node.attrs)) return false;
  if (!CheckTypes(node, results) || !ParseFacts(&node)) return false;
  for (size_t i = 0; i < results.size(); ++i) {
    results[i].producer = static_cast<NodeId>(graph_.nodes.size());
    results[i].result_index = static_cast<int>(i);
    node.results.push_back(AddValue(std::move(results[i]), offsets[i]));
  }
  graph_.nodes.push_back(std::move(node));
  return true;
}

bool Parser::ParseOperands(Node* node) {
  if (!Punct("(")) return false;
  if (AcceptPunct(")")) return true;
  do {
    node->operands.push_back(kNone);
    if (!ParseUse(&node->operands.back())) return false;
  } while (AcceptPunct(","));
  return Punct(")");
}

bool Parser::CheckTypes(const Node& node, const std::vector<Value>& results) {
  std::vector<TensorType> inferred;
  for (const Value& value : results) inferred.push_back(value.type);
  const Status status = InferShapes(node.op, TypesOf(graph_, node.operands), node.attrs, inferred);
  const std::string op = node.info().name;
  if (!status.ok()) {
    return Fail(absl::StrCat(op, ": ", status.message(), " (", status.detail(), ")"));
  }
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].type == inferred[i]) continue;
    return Fail(absl::StrCat(op, ": result ", i, " has another type (got ",
                             ToString(results[i].type), ", want ", ToString(inferred[i]), ")"));
  }
  return true;
}

bool Parser::ParseFacts(Node* node) {
  if (!ParseEnum(Phase::kUpdate, "a phase", &node->phase)) return false;
  if (AcceptWord("in_place")) node->in_place = true;
  if (AcceptWord("kernel") && !ParseString(&node->kernel)) return false;
  if (AcceptWord("scratch")) {
    const bool placed = At(TokenKind::kPunct, "@");
    if (placed && !ParseOffset(&node->scratch_offset, &node->scratch_bytes)) return false;
    if (!placed && !ParseNumber(&node->scratch_bytes)) return false;
  }
  return !AcceptWord("loc") || ParseString(&node->loc);
}

bool Parser::ParseParts(int* parts) {
  return ParseNumber(parts) && (*parts > 1 || Fail("a batch has at least 2 parts"));
}

// "3 17 part 8"
bool Parser::ParseLoop() {
  BatchLoop& loop = graph_.loops.emplace_back();
  return ParseNumber(&loop.first) && ParseNumber(&loop.last) && Word("part") &&
         ParseParts(&loop.parts);
}

bool Parser::ParseReturn() {
  do {
    Output output;
    if (!ParseUse(&output.value) || !ParseString(&output.name)) return false;
    output.role = ImpliedOutputRole(output.name);
    ParseOptional(PortRole::kOther, &output.role);
    graph_.outputs.push_back(std::move(output));
  } while (AcceptPunct(","));
  return true;
}

bool Parser::ParseType(TensorType* type) {
  return ParseEnum(DType::kU8, "an element type", &type->dtype) && ParseDims(&type->shape);
}

bool Parser::ParseDims(Shape* shape) {
  if (!Punct("[")) return false;
  *shape = Shape();
  if (AcceptPunct("]")) return true;
  do {
    int64_t dim = 0;
    if (shape->rank() == Shape::kMaxRank) return Fail("a shape has more than 6 dimensions");
    if (!ParseNumber(&dim)) return false;
    shape->Append(dim);
  } while (AcceptPunct(","));
  if (!ShapeInRange(*shape)) return Fail("a dimension is below 1 or the elements are too many");
  return Punct("]");
}

// "@64+576"
bool Parser::ParseOffset(int64_t* offset, int64_t* bytes) {
  return Punct("@") && ParseNumber(offset) && Punct("+") && ParseNumber(bytes);
}

bool Parser::ParseOptionalOffset(const Value& value, int64_t* offset) {
  if (!At(TokenKind::kPunct, "@")) return true;
  if (graph_.stage != Stage::kPlanned) return Fail("only values of a planned graph have offsets");
  int64_t bytes = 0;
  if (!ParseOffset(offset, &bytes)) return false;
  if (bytes == value.bytes()) return true;
  return Fail(
      absl::StrCat("the value has another size (got ", bytes, ", want ", value.bytes(), " bytes)"));
}

bool Parser::ParseUse(ValueId* id) {
  if (token_.kind != TokenKind::kValue) return FailHere("a value");
  const char* end = token_.text.data() + token_.text.size();
  const auto [stop, error] = std::from_chars(token_.text.data(), end, *id);
  if (error != std::errc() || stop != end || *id >= static_cast<int64_t>(graph_.values.size())) {
    return FailHere("a value that is defined above");
  }
  token_ = lexer_.Next();
  return true;
}

// "act=relu, stride=[2,2]}"
bool Parser::ParseAttrs(Attrs* attrs) {
  std::string_view previous;
  do {
    const std::string_view key = token_.text;
    if (token_.kind != TokenKind::kWord || key <= previous) {
      return FailHere("an attribute, in alphabetical order");
    }
    bool found = false;
    bool ok = true;
    std::visit(
        [&](auto& a) {
          a.Visit(a, [&](const char* name, auto& field) {
            if (found || key != name) return;
            found = true;
            token_ = lexer_.Next();
            ok = Punct("=") && ParseField(field);
          });
        },
        *attrs);
    if (!found) return FailHere("an attribute of this op");
    if (!ok) return false;
    previous = key;
  } while (AcceptPunct(","));
  return Punct("}");
}

}  // namespace

absl::StatusOr<Graph> Parse(std::string_view text) { return Parser(text).Run(); }

}  // namespace pocketune
