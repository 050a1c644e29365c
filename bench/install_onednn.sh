#!/bin/sh
# Installs oneDNN 3.2 from PyPI for bench_onednn: install_onednn.sh [FOLDER], default bench/.onednn.
set -eu
folder=${1:-$(cd "$(dirname "$0")" && pwd)/.onednn}
python3 -m venv "$folder"
"$folder/bin/pip" install onednn-cpu-gomp==2023.2.0 onednn-devel-cpu-gomp==2023.2.0
