# Install what the tests and the benchmarks need of npm beside a Python: npm.sh PREFIX
#
# PREFIX/npm gets the packages of tests/npm/package.json: the tus server that ours is compared with,
# and clients that upload to ours.
set -eu
prefix=$1/npm
wanted=$(dirname "$0")/npm/package.json

if cmp -s "$wanted" "$prefix/installed.json"; then
  exit 0
fi
# A registry that does not answer must not keep the other tests waiting for long.
options="--silent --no-audit --no-fund --fetch-retries 1 --fetch-timeout 20000"
mkdir -p "$prefix"
cp "$wanted" "$prefix/package.json"
if command -v npm >/dev/null && timeout 300 npm install $options --prefix "$prefix"; then
  cp "$wanted" "$prefix/installed.json"
else
  echo "npm's packages are not to be had here: clients of other authors are not tested."
fi
