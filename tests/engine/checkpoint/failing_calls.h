// Makes calls of the operating system fail in this test binary.
#pragma once

namespace pocketune::test {

// The calls that WriteFileAtomically and ReadableFile make.
enum class Call { kRead, kWrite, kSync, kRename, kCount };

// The `nth` call of that kind from now on (1: the next) fails with `error`, once; 0: none does.
void FailCall(Call call, int nth, int error);

}  // namespace pocketune::test
