# Install the peers of the benchmarks and what checks our types, beside a Python: peers.sh PREFIX
set -eu
prefix=$1/peers

packages="@tus/server@2.4.5 @tus/file-store@2 tus-js-client@4.3.1 uppy@5 filepond@4 typescript@5"
