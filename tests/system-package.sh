# Install a Debian package unless a command says that it is there: system-package.sh PACKAGE COMMAND
set -eu
package=$1
present=$2

if sh -c "$present" >/dev/null 2>&1; then
  exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "$package is missing. Install it, on Debian or Ubuntu by: sudo apt-get install $package" >&2
  exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
