# Install Azurite, which stands for Azure in the tests, beside a Python: azurite.sh PREFIX
set -eu
prefix=$1/azurite

if command -v azurite-blob >/dev/null || [ -x "$prefix/node_modules/.bin/azurite-blob" ]; then
  exit 0
fi
if ! command -v npm >/dev/null || ! npm install --silent --prefix "$prefix" azurite@3.35; then
  echo "Azurite is not to be had here: ObjectStoreSink is not tested on Azure."
fi
