#!/usr/bin/env bash
# Installs the Debian 12 packages that building, testing and the quick start need, and any others
# given as arguments: cmake/install_packages.sh [package...]
# Touches nothing, and needs no network, where all of them are there. Root, or with sudo.
set -euo pipefail

packages=(
  # tools
  g++ cmake ninja-build ccache pkg-config python3 git
  # runtime
  libflatbuffers-dev flatbuffers-compiler libhwy-dev libxnnpack-dev libpthreadpool-dev
  libcpuinfo-dev libxxhash-dev
  # compile side and command line
  libabsl-dev nlohmann-json3-dev libcli11-dev libjpeg-dev libpng-dev libwebp-dev
  zlib1g-dev libzip-dev libmd-dev
  # tests; libheif1 is loaded where HEIC and AVIF pictures are decoded, never linked
  libgtest-dev libgmock-dev libeigen3-dev libheif1
  # data of the quick start
  dataset-fashion-mnist
  "$@"
)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || {
    echo "install_packages.sh: needs root or sudo to install: ${missing[*]}" >&2
    exit 1
  }
  root=(sudo)
fi
echo "installing: ${missing[*]}"
"${root[@]}" apt-get -qq update
"${root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get -qq -y install --no-install-recommends "${missing[@]}" >/dev/null
