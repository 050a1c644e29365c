// Checkpoint files: the input is one, but for its checksums, which are made to fit.
#include <cstring>

#include "engine/base/checksum.h"
#include "engine/checkpoint/checkpoint_file.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/tiny_session.h"

namespace pocketune::fuzz {
namespace {

test::TinySession& Tiny() {
  static test::TinySession session;
  return session;
}

std::string WithChecksums(std::string file) {
  CheckpointHeader header;
  if (file.size() < sizeof(header)) return file;
  std::memcpy(&header, file.data(), sizeof(header));
  header.body_checksum = Checksum(file.data() + sizeof(header), file.size() - sizeof(header));
  header.header_checksum = Checksum(&header, offsetof(CheckpointHeader, header_checksum));
  std::memcpy(file.data(), &header, sizeof(header));
  return file;
}

// Bits, since values may be NaN.
std::string StateOf(test::TinySession& session) {
  const std::vector<float> params = session.Params();
  const uint64_t step = session->step();
  std::string state(reinterpret_cast<const char*>(params.data()), params.size() * sizeof(float));
  return state.append(reinterpret_cast<const char*>(&step), sizeof(step));
}

}  // namespace

std::vector<std::string> Seeds() {
  test::TinySession session;
  std::vector<std::string> seeds;
  const std::string path = session.folder().File("c");
  for (const char* user : {"", R"({"epoch":3,"index":7})"}) {
    session.Train(3);
    Require(session->Save(path.c_str(), user, seeds.size()).ok(), "a checkpoint can be saved");
    seeds.push_back(ToString(test::ReadBytes(path)));
  }
  return seeds;
}

}  // namespace pocketune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocketune;
  using namespace pocketune::fuzz;
  const MemoryFile file(WithChecksums(std::string(View(data, size))));
  test::TinySession& session = Tiny();
  const std::string before = StateOf(session);
  std::string user;
  const Status status = session->Restore(file.path().c_str(), &user);
  if (!status.ok()) {
    RequireGoodError(status);
    Require(StateOf(session) == before, "a refused checkpoint changes nothing");
    return 0;
  }
  float loss;
  RequireGoodError(session->TrainStep(0.1, &loss));
  RequireGoodError(session->Predict());
  Accept();
  return 0;
}
