# Build the sdist and the wheel, and check both: package.sh BIN
set -eu
bin=$1
dist=build/dist

rm -rf "$dist"
# The wheel is built from the sdist, so a file that is missing there is missing here.
"$bin/python" -m build --quiet --outdir "$dist" . >/dev/null
"$bin/twine" check --strict "$dist"/*
"$bin/check-wheel-contents" "$dist"/*.whl
# A file that git tracks and the sdist lacks is an error, and so is the reverse.
PATH="$PWD/$bin:$PATH" "$bin/check-manifest"
