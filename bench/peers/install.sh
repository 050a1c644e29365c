#!/bin/sh
# Installs the peers of run.py into a virtual environment: install.sh [FOLDER], default bench/.venv.
set -eu
peers=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$peers/../.venv}
python3 -m venv "$folder"
"$folder/bin/pip" install --requirement "$peers/requirements.txt"
