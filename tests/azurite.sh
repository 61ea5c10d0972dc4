# Install Azurite, which the tests use as Azure, into a directory: azurite.sh PREFIX
set -eu
prefix=$1/azurite

if command -v azurite-blob >/dev/null || [ -x "$prefix/node_modules/.bin/azurite-blob" ]; then
  exit 0
fi
# A registry that does not answer must not keep the other tests waiting for long.
options="--silent --fetch-retries 1 --fetch-timeout 20000"
if ! command -v npm >/dev/null || ! timeout 120 npm install $options --prefix "$prefix" azurite@3.35; then
  echo "Azurite cannot be installed here, so ObjectStoreSink is not tested on Azure."
fi
