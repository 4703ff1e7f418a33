#!/bin/sh
# Resolve pyproject.toml into the pinned requirement files beside this script.
#
#     sh requirements/pin.sh
#
# Needs uv. torch is pinned without a local build tag, and the CUDA packages of its default
# Linux build are left out: a CPU build is all that edgeopt needs.
set -eu
cd "$(dirname "$0")/.."

TORCH=2.13.0

resolve() {
    uv pip compile pyproject.toml --universal --python-version 3.11 --quiet \
        --no-annotate --no-header --no-emit-index-url --no-emit-find-links "$@"
}

without_cuda() {
    echo "torch==$TORCH"
    grep -vE '^(torch|cuda-[a-z]+|nvidia-[a-z0-9-]+|triton)=='
}

constraint=$(mktemp)
trap 'rm -f "$constraint"' EXIT
# uv ignores upper bounds of requires-python: 1.3 of this one is for Python 3.10 and older.
printf '%s\n' "torch==$TORCH" "backports-strenum<1.3" >"$constraint"

resolve >requirements/core.txt
resolve --extra test >requirements/core-test.txt
resolve --extra torch --constraint "$constraint" | without_cuda >requirements/torch.txt
resolve --extra train --extra openvino --extra litert --extra litert-torch --extra images \
    --constraint "$constraint" | without_cuda >requirements/demo.txt
resolve --extra all --constraint "$constraint" | without_cuda >requirements/all.txt
resolve --extra all --extra dev --constraint "$constraint" | without_cuda >requirements/dev.txt
