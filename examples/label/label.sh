#!/usr/bin/env bash
# Capability labels from a language model behind an OpenAI-compatible API:
#   ENDPOINT=https://api.openai.com/v1 MODEL=gpt-4o-mini examples/label/label.sh DATA.jsonl OUT.jsonl BUDGET
# The key comes from OPENAI_API_KEY. Stopped or killed, the same command asks only what is missing.
set -euo pipefail
if [ $# -ne 3 ]; then
  sed -n '3s/^# *//p' "$0" >&2
  exit 2
fi
data=$1 out=$2 budget=$3
dmoerm=${DMOERM:-build/cpu/dmoerm}
settings=(--data "$data" --out "$out" --tasks examples/label/tasks.toml --max-pairs 6
  --model "${MODEL:-gpt-4o-mini}" --price-in "${PRICE_IN:-0.15}" --price-out "${PRICE_OUT:-0.60}"
  --extra-body '{"response_format": {"type": "json_object"}}')

"$dmoerm" label "${settings[@]}" --dry-run
"$dmoerm" label "${settings[@]}" --endpoint "${ENDPOINT:-https://api.openai.com/v1}" --concurrency 64 --budget "$budget"
"$dmoerm" label stats --labels "$out" --data "$data" --report "${out%.jsonl}.html"
