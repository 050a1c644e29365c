#!/usr/bin/env bash
# Installs the packages, builds, and fine-tunes a pretrained vision model on one user's own pictures:
# ./quickstart.sh [FOLDER for the runs, default quickstart-runs]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
runs=${1:-quickstart-runs}

cmake/install_packages.sh
cmake --preset release >/dev/null
cmake --build --preset release --target pocketune -j "$(nproc)"

pocketune=build/release/bin/pocketune
data=/usr/share/datasets/fashion-mnist
camera=rotate90,darken
weights=apps/examples/quickstart/small-cnn-fashion.safetensors
names="T-shirt,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot"
user=(--model small-cnn --weights "$weights" --data "$data" --perturb "$camera"
      --class-names "$names" --max-train 100 --max-eval 200 --batch 16 --epochs 20)

cat <<TEXT

The user's pictures: clothes of Fashion-MNIST as another camera sees them, turned by 90 degrees and
in dim light; 100 pictures of each of 10 classes to learn from, 2000 others to test on.
The model: small-cnn, pretrained on Fashion-MNIST as it is (91.0 % there).

TEXT
rm -rf "$runs"
mkdir -p "$runs"
"$pocketune" compile --model small-cnn --weights "$weights" --classes 10 --batch 16 \
    --out "$runs/before.ptplan" --quiet
echo "Before: the pretrained model on these pictures"
"$pocketune" eval --checkpoint "$runs/before.ptplan" --data "$data" --perturb "$camera" \
    --max-eval 200 --class-names "$names" --json "$runs/before.json"
echo
echo "Sparse: the last two blocks and the classifier learn"
"$pocketune" train "${user[@]}" --scheme blocks:2 \
    --out "$runs/sparse" --json "$runs/sparse.json"
echo
echo "Full: everything learns"
"$pocketune" train "${user[@]}" --scheme full \
    --out "$runs/full" --json "$runs/full.json"
echo
python3 apps/examples/quickstart/table.py "$runs/before.json" \
    "blocks:2=$runs/sparse.json" "full=$runs/full.json"
cat <<TEXT

checkpoints  $runs/sparse, $runs/full
reports      $runs/sparse/report.html, $runs/full/report.html
next         $pocketune inspect $runs/sparse
             $pocketune export --checkpoint $runs/sparse --out tuned.safetensors
TEXT
