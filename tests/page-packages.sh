# Install what pages are tested with, beside a Python: page-packages.sh PREFIX
# axe-core looks for what people with disabilities would stumble over; Bootstrap's and Tailwind's
# styles are those that other pages have.
set -eu
prefix=$1/page-packages
packages="axe-core@4.14.1 bootstrap@5.3.9 tailwindcss@4.3.5"

if [ "$(cat "$prefix/installed" 2>/dev/null)" = "$packages" ]; then
  exit 0
fi
# A registry that does not answer must not keep the other tests waiting for long.
timeout 120 npm install --silent --no-save --fetch-retries 1 --fetch-timeout 20000 \
  --prefix "$prefix" $packages
echo "$packages" > "$prefix/installed"
