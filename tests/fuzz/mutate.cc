#include "tests/fuzz/mutate.h"

#include <algorithm>
#include <cctype>

#include "engine/base/rng.h"

namespace pocketune::fuzz {
namespace {

constexpr size_t kMaxBytes = 1 << 20;
constexpr uint32_t kMaxBlock = 64;

constexpr uint64_t kExtremes[] = {0,
                                  1,
                                  2,
                                  0x7f,
                                  0x80,
                                  0xff,
                                  0x7fff,
                                  0x8000,
                                  0xffff,
                                  0x10000,
                                  0x7fffffff,
                                  0x80000000,
                                  0xfffffffe,
                                  0xffffffff,
                                  0x100000000,
                                  0x4000000000000000,
                                  0x7fffffffffffffff,
                                  0x8000000000000000,
                                  0xffffffffffffffc0,
                                  0xffffffffffffffff};
constexpr const char* kDecimals[] = {"0",          "-1",         "1e400", "2147483647",
                                     "4294967295", "4294967296", "1e-9",  "9223372036854775807",
                                     "65536",      "1000000007", "nan",   "18446744073709551616"};

class Mutator {
 public:
  Mutator(const std::vector<std::string>& seeds, uint64_t run)
      : seeds_(seeds), random_(run, "mutate"), text_(AnySeed()) {}

  std::string Run() {
    static constexpr void (Mutator::*kChanges[])() = {
        &Mutator::FlipBit,  &Mutator::FlipBit,   &Mutator::SetByte,   &Mutator::AddToByte,
        &Mutator::Extreme,  &Mutator::Extreme,   &Mutator::Extreme,   &Mutator::Decimal,
        &Mutator::Truncate, &Mutator::TakeOut,   &Mutator::CopyBlock, &Mutator::InsertBlock,
        &Mutator::Splice,   &Mutator::SwapBlock,
    };
    const uint32_t changes = 1 + std::min(Below(5), Below(5));
    for (uint32_t i = 0; i < changes && !text_.empty(); ++i) {
      (this->*kChanges[Below(std::size(kChanges))])();
    }
    if (text_.size() > kMaxBytes) text_.resize(kMaxBytes);
    return std::move(text_);
  }

 private:
  uint32_t Below(size_t n) { return random_.Below(next_++, static_cast<uint32_t>(n)); }
  const std::string& AnySeed() { return seeds_[Below(seeds_.size())]; }
  size_t AnyPlace() { return Below(text_.size()); }
  // A block that starts at `at` in `text`, mostly short.
  size_t AnyLength(const std::string& text, size_t at) {
    const size_t longest = text.size() - at;
    return 1 + Below(Below(4) == 0 ? longest : std::min<size_t>(longest, kMaxBlock));
  }

  void FlipBit() { text_[AnyPlace()] ^= static_cast<char>(1 << Below(8)); }
  void SetByte() { text_[AnyPlace()] = static_cast<char>(Below(256)); }
  void AddToByte() {
    char& byte = text_[AnyPlace()];
    byte = static_cast<char>(byte + static_cast<int>(Below(17)) - 8);
  }

  void Extreme() {
    const uint64_t value = kExtremes[Below(std::size(kExtremes))];
    const size_t bytes = size_t{1} << Below(4);
    const bool little = Below(4) != 0;
    const bool aligned = Below(4) != 0;
    const size_t at = aligned ? AnyPlace() / bytes * bytes : AnyPlace();
    for (size_t i = 0; i < bytes && at + i < text_.size(); ++i) {
      text_[at + i] = static_cast<char>(value >> (8 * (little ? i : bytes - 1 - i)));
    }
  }

  // Replaces the digits at or behind some place.
  void Decimal() {
    const auto digit = [](char c) { return std::isdigit(static_cast<uint8_t>(c)) != 0; };
    const auto from = std::find_if(text_.begin() + AnyPlace(), text_.end(), digit);
    const auto to = std::find_if_not(from, text_.end(), digit);
    if (from != text_.end()) text_.replace(from, to, kDecimals[Below(std::size(kDecimals))]);
  }

  void Truncate() { text_.resize(AnyPlace()); }
  void TakeOut() {
    const size_t at = AnyPlace();
    text_.erase(at, AnyLength(text_, at));
  }
  std::string AnyBlock(const std::string& text) {
    const size_t from = Below(text.size());
    return text.substr(from, AnyLength(text, from));
  }
  void CopyBlock() {
    const std::string block = AnyBlock(text_);
    text_.replace(AnyPlace(), block.size(), block);
  }
  void InsertBlock() { text_.insert(AnyPlace(), AnyBlock(text_)); }
  void SwapBlock() {
    const std::string block = AnyBlock(AnySeed());
    text_.replace(AnyPlace(), block.size(), block);
  }
  void Splice() {
    const std::string& other = AnySeed();
    text_ = text_.substr(0, AnyPlace()) + other.substr(Below(other.size()));
  }

  const std::vector<std::string>& seeds_;
  const RandomStream random_;
  uint64_t next_ = 0;
  std::string text_;
};

}  // namespace

std::string Mutate(const std::vector<std::string>& seeds, uint64_t run) {
  return Mutator(seeds, run).Run();
}

}  // namespace pocketune::fuzz
