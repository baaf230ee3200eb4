#!/bin/sh
# Every check against transformers and PEFT: tests/interop/run.sh BUILD OUT. See README.md.
set -eu
[ $# -eq 2 ] || { echo "usage: $0 BUILD OUT" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
# The checks are of float32 on the CPU; nothing is to be fetched.
export CUDA_VISIBLE_DEVICES= HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 TOKENIZERS_PARALLELISM=false
export PYTHONDONTWRITEBYTECODE=1
exec python3 "$here/check.py" "$1/dmoerm" "$2"
