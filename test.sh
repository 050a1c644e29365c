#!/usr/bin/env bash
# Builds and tests all that CI checks, on a fresh Debian 12 machine too: ./test.sh [--all]
#   without arguments: presets release and dev (ASan, UBSan), every test but the label "slow"
#   --all:             the presets tsan, clang, minsize and minsize-all too, the label "slow" in release,
#                      and the unit tests of aarch64 under emulation
# The last line is "N passed, N failed, N skipped" over all presets; the exit code says the same.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

all=false
case "${1:-}" in
  "") ;;
  --all) all=true ;;
  *)
    echo "usage: ./test.sh [--all]" >&2
    exit 2
    ;;
esac

presets=(release dev)
tools=(qemu-user clang-format-14)
if $all; then
  presets+=(tsan clang aarch64 minsize minsize-all)
  tools+=(clang-14 g++-aarch64-linux-gnu)
fi
cmake/install_packages.sh "${tools[@]}" || exit 1

reports=()
for preset in "${presets[@]}"; do
  echo "== $preset"
  report=$PWD/build/$preset/junit.xml
  reports+=("$report")
  rm -f "$report"
  if [[ $preset == aarch64 ]]; then cmake/make_arm64_sysroot.sh || continue; fi
  cmake --preset "$preset" >/dev/null && cmake --build --preset "$preset" -j "$(nproc)" || continue
  labels=(-LE slow)
  if $all && [[ $preset == release ]]; then labels=(); fi
  ctest --preset "$preset" -j 2 "${labels[@]}" --output-junit "$report"
done
python3 tests/lint/sum_reports.py "${reports[@]}"
