#!/usr/bin/env bash
# Installs the Debian 12 packages that are missing, and nothing else: scripts/deps.sh [FURTHER PACKAGE…]
set -euo pipefail

packages=(
  # tools
  g++ cmake ninja-build pkg-config git ccache gnuplot-nox
  # LibTorch with its BLAS; libtorch-dev brings the gflags, glog and protobuf that its CMake files ask for
  libtorch-dev libopenblas-dev
  # text, data, command line
  nlohmann-json3-dev libcli11-dev libtomlplusplus-dev libfmt-dev libspdlog-dev
  libpcre2-dev libutf8proc-dev zlib1g-dev libzstd-dev libssl-dev libxxhash-dev libcurl4-openssl-dev libboost-math-dev
  # tests and benchmarks
  libgtest-dev libgmock-dev libbenchmark-dev
  "$@"
)

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "deps: no Debian packages here. Install the equivalents of: ${packages[*]}" >&2
  exit 1
fi

# dpkg-query fails for packages that it has never heard of; what it knows and calls "ii" is installed.
installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${packages[@]}" 2>/dev/null | awk '$1 == "ii" {print $2}' || true)
missing=()
for package in "${packages[@]}"; do
  grep -qxF -- "$package" <<<"$installed" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
  as_root=()
elif command -v sudo >/dev/null; then
  as_root=(sudo)
else
  echo "deps: needs root or sudo to install: ${missing[*]}" >&2
  exit 1
fi
echo "deps: installing ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "${missing[@]}"
