#!/usr/bin/env bash
# scripts/deps.sh against stand-ins for dpkg-query, apt-get, sudo and id: what it would install, and as whom.
set -euo pipefail
script=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
for tool in bash env awk grep; do ln -s "$(command -v $tool)" "$work/bin/$tool"; done

stand_in() {  # stand_in NAME BODY
  printf '#!%s\n%s\n' "$work/bin/bash" "$2" >"$work/bin/$1"
  chmod +x "$work/bin/$1"
}
# Like the real one: prints what it knows of its arguments, with "rc" for a removed package, and fails for the others.
stand_in dpkg-query 'status=0; shift 2
for package; do
  case " $ABSENT " in
    *" $package "*) status=1 ;;
    *) case " $REMOVED " in *" $package "*) echo "rc  $package" ;; *) echo "ii  $package" ;; esac ;;
  esac
done
exit $status'
stand_in apt-get 'echo "apt-get $* [${DEBIAN_FRONTEND:-}]" >>"$CALLS"'
stand_in id 'echo "$USER_ID"'

run() {  # run USER_ID ABSENT REMOVED [ARGUMENT…]: sets status, output, calls
  : >"$work/calls"
  status=0
  output=$(USER_ID=$1 ABSENT=$2 REMOVED=$3 CALLS=$work/calls PATH=$work/bin "$script" "${@:4}" 2>&1) || status=$?
  calls=$(cat "$work/calls")
}
expect() {  # expect WHAT FOUND EXPECTED
  [ "$2" = "$3" ] || { printf 'FAILED: %s\nfound:    %s\nexpected: %s\n' "$1" "$2" "$3"; exit 1; }
}
options="-q -o DPkg::Lock::Timeout=300"

run 0 "" ""
expect "nothing is missing: status" "$status" 0
expect "nothing is missing: apt-get is not called" "$calls" ""
expect "nothing is missing: nothing is said" "$output" ""

run 0 "ccache libzstd-dev" "libssl-dev"
expect "as root: status" "$status" 0
expect "as root: only what is missing, a removed package too" "$calls" "apt-get $options update [noninteractive]
apt-get $options install -y --no-install-recommends ccache libzstd-dev libssl-dev [noninteractive]"

run 1000 "ccache" ""
expect "neither root nor sudo: status" "$status" 1
expect "neither root nor sudo: one clear line" "$output" "deps: needs root or sudo to install: ccache"
expect "neither root nor sudo: apt-get is not called" "$calls" ""

stand_in sudo 'echo "sudo" >>"$CALLS"; exec "$@"'
run 1000 "clang-format" "" clang-format
expect "a user with sudo: status" "$status" 0
expect "a user with sudo: a further package" "$calls" "sudo
apt-get $options update [noninteractive]
sudo
apt-get $options install -y --no-install-recommends clang-format [noninteractive]"

stand_in apt-get 'exit 100'
run 0 "ccache" ""
expect "apt-get fails: so does the script" "$status" 100

rm "$work/bin/dpkg-query"
run 0 "" ""
expect "no Debian: status" "$status" 1
case $output in "deps: no Debian packages here."*) ;; *) expect "no Debian: a clear line" "$output" "deps: …" ;; esac
echo "deps.sh: all as expected"
