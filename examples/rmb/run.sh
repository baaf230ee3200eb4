#!/usr/bin/env bash
# The whole example: tokenizer, base, labels, double-layer model, single model, evaluation of both.
#   examples/rmb/run.sh DATA TEXT [OUT [DEVICE]]     started from the project's folder; README.md says what they are
# A step whose result is there already is passed over, and a training that was stopped goes on.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '3s/^# *//p' "$0" >&2
  exit 2
fi
data=$1 text=$2 out=${3:-out/rmb} device=${4:-cpu}
here=examples/rmb
dmoerm=${DMOERM:-build/cpu/dmoerm}
mkdir -p "$out"

step() {  # step RESULT COMMAND…: runs the command unless its result exists
  local result=$1 begin=$SECONDS
  shift
  [ -e "$result" ] && return
  echo "== $*"
  "$@"
  echo "== took $((SECONDS - begin)) s"
}
resume() { [ -e "$1/run.json" ] && echo --resume || true; }

step "$out/tokenizer" "$dmoerm" tokenizer train --input "$text/answers.jsonl.zst" "$text/books.txt.zst" \
  --max-bytes 20MB --vocab-size 6144 --chat-format chatml --out "$out/tokenizer"
step "$out/base/model" "$dmoerm" pretrain $here/pretrain.toml --set vars.text="$text" --set vars.out="$out" \
  --device "$device" $(resume "$out/base")
step "$out/labels.done" "$dmoerm" label --judge builtin --data "$data/train.jsonl.gz" --tasks $here/tasks.toml \
  --out "$out/labels.jsonl"
touch "$out/labels.done"
step "$out/double/model" "$dmoerm" train $here/train.toml --set vars.data="$data" --set vars.out="$out" \
  --device "$device" $(resume "$out/double")
step "$out/single/model" "$dmoerm" train $here/single.toml --set vars.data="$data" --set vars.out="$out" \
  --device "$device" $(resume "$out/single")
for model in double single; do
  echo "== $model, on dev"
  "$dmoerm" eval --model "$out/$model/model" --data "$data/dev.jsonl.gz" --device "$device"
done
