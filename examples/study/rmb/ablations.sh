#!/usr/bin/env bash
# What DMoERM's accuracy on RMB depends on: phase 1's share of the prompts, the aggregator's pull, the number of tasks.
#   examples/study/rmb/ablations.sh DATA OTHERS [OUT [DEVICE]]     after run.sh, with the same OUT and STUDY_OPTIONS
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '3s/^# *//p' "$0" >&2
  exit 2
fi
data=$1 others=$2 out=${3:-out/study-rmb} device=${4:-cuda}
here=examples/study/rmb
dmoerm=${DMOERM:-build/cuda/dmoerm}

# vary NAME METHODS SED-SCRIPT: a study of the methods with train.toml changed by the script.
vary() {
  sed "$3" $here/train.toml >"$out/$1.toml"
  ! cmp -s $here/train.toml "$out/$1.toml" || { echo "$1: the script changes nothing" >&2; exit 1; }
  "$dmoerm" study $here/study.toml --set double_layer="$out/$1.toml" --set "methods=[$2]" --set out="$out/study-$1" \
    --set vars.data="$data" --set vars.others="$others" --set vars.out="$out" --device "$device" ${STUDY_OPTIONS:-}
}

"$dmoerm" label --judge builtin --data "$data/train.jsonl.gz" --tasks $here/two_tasks/tasks.toml --out "$out/labels-two.jsonl"
vary two_tasks '"per_task", "human_only", "linear", "warm_start", "dmoerm"' \
  "s|^tasks = .*|tasks = \"$here/two_tasks/tasks.toml\"|; s|labels.jsonl|labels-two.jsonl|"
vary phase1_85 '"human_only", "linear", "warm_start", "dmoerm"' 's/^phase1 = 0.6/phase1 = 0.85/'
vary pull_0 '"dmoerm"' '/^\[phase3\]/a pull = 0.0'
vary pull_03 '"dmoerm"' '/^\[phase3\]/a pull = 0.03'
