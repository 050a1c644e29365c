#!/usr/bin/env bash
# Makes a folder with Debian 12's headers and libraries for 64-bit Arm, which the preset "aarch64"
# builds against and its tests run in: cmake/make_arm64_sysroot.sh [folder]
#   folder: where it goes (default build/arm64-sysroot); replaced, unless it is complete
# The machine stays as it is, and no root is needed: apt works on lists of its own, and packages are
# unpacked, never installed. (Installed, some of them would replace the machine's own.) Does nothing,
# and needs no network, where the folder is complete.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "make_arm64_sysroot.sh: $*" >&2
  exit 1
}

packages=(
  # system
  libc6-dev libstdc++6
  # runtime
  libflatbuffers-dev libhwy-dev libxnnpack-dev libpthreadpool-dev libcpuinfo-dev libxxhash-dev
  # compile side and command line
  libabsl-dev nlohmann-json3-dev libcli11-dev libjpeg-dev libpng-dev libwebp-dev
  zlib1g-dev
  # tests
  libgtest-dev libgmock-dev libeigen3-dev
)

[[ $# -le 1 ]] || fail "one folder at most (got $#)"
mkdir -p "$(dirname "${1:-build/arm64-sysroot}")"
target=$(realpath -m "${1:-build/arm64-sysroot}")
made_of=$target/made-of.txt  # written last: the packages asked for
[[ -f $made_of && $(<"$made_of") == "${packages[*]}" ]] && exit 0
if [[ -d $target && ! -f $made_of && -n $(ls -A "$target") ]]; then
  fail "$target: has files of something else"
fi
codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
[[ $codename == bookworm ]] || fail "needs the package sources of Debian 12 (this is $codename)"

work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,archives}/partial "$work/root"
touch "$work/status"  # no package is installed
cat >"$work/apt.conf" <<CONF
#clear APT::Architectures;
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Dir::State "$work";
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work";
Dir::Cache::archives "$work/archives";
CONF
export APT_CONFIG=$work/apt.conf

echo "downloading packages for arm64 into $target"
apt-get -qq update || fail "apt-get update failed (is there a network?)"
apt-get -qq -y --download-only install "${packages[@]}" >/dev/null ||
  fail "the package sources of this machine do not have all packages for arm64"
for package in "$work"/archives/*.deb; do
  dpkg-deb -x "$package" "$work/root"
done

# Links that begin with / would lead out of the folder.
while IFS= read -r -d '' link; do
  ln -sfr "$work/root$(readlink "$link")" "$link"
done < <(find "$work/root" -type l -lname '/*' -print0)

echo "${packages[*]}" >"$work/root/made-of.txt"
chmod 755 "$work/root"
rm -rf "$target"
mv "$work/root" "$target"
