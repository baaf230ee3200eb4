#!/usr/bin/env bash
# The whole study: tokenizer, base, labels, then every method.
#   examples/study/rmb/run.sh DATA OTHERS TEXT [OUT [DEVICE]]     started from the project's folder
# STUDY_OPTIONS="--jobs 5 --threads 2" shares the runs among processes.
# A step whose result is there already is passed over, and what was stopped goes on.
set -euo pipefail
if [ $# -lt 3 ]; then
  sed -n '3s/^# *//p' "$0" >&2
  exit 2
fi
data=$1 others=$2 text=$3 out=${4:-out/study-rmb} device=${5:-cuda}
here=examples/study/rmb
dmoerm=${DMOERM:-build/cuda/dmoerm}
mkdir -p "$out"
[ -e "$out/tokenizer" ] || "$dmoerm" tokenizer train --input "$text/answers.jsonl.zst" "$text/books.txt.zst" \
  --max-bytes 30MB --vocab-size 8192 --chat-format chatml --out "$out/tokenizer"
[ -e "$out/base/model" ] || "$dmoerm" pretrain $here/pretrain.toml --set vars.text="$text" --set vars.out="$out" \
  --device "$device" $([ -e "$out/base/run.json" ] && echo --resume || true)
"$dmoerm" label --judge builtin --data "$data/train.jsonl.gz" --tasks examples/rmb/tasks.toml --out "$out/labels.jsonl"
"$dmoerm" study $here/study.toml --set vars.data="$data" --set vars.others="$others" --set vars.out="$out" --device "$device" \
  ${STUDY_OPTIONS:-}
