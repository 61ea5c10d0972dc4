# Run the tests against the installed wheel: wheel.sh PYTHON WHEEL
#
# If there is a Python for Django 6, the tests run on Django 6. Otherwise they run with PYTHON, on the
# Django that pip chooses. djust cannot be installed beside Django 6. `make unit` runs all tests.
set -eu
default_python=$1
wheel=$2
venv=.venv-wheel
copy=build/wheel-tests

newer_python() {
  for version in 3.13 3.12; do
    for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/$version.*/bin/python; do
      if "$candidate" -c '' 2>/dev/null; then
        echo "$candidate"
        return
      fi
    done
  done
}

python=$(newer_python)
django='Django>=6,<7'
if [ -z "$python" ]; then
  echo "There is no Python 3.12 or 3.13 here: the wheel is tested on an older Django than 6."
  python=$default_python
  django='Django'
fi
if [ ! -e "$venv/installed" ] || [ pyproject.toml -nt "$venv/installed" ]; then
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --upgrade pip
  "$venv/bin/pip" install --quiet "$wheel[test]" "$django"
  touch "$venv/installed"
else
  "$venv/bin/pip" install --quiet --no-deps --force-reinstall "$wheel"
fi

# In the root of the clone, the tests would import the package from there, and not the wheel.
rm -rf "$copy"
mkdir -p "$copy"
cp -R tests examples benchmarks pyproject.toml "$copy"
pytest=$PWD/$venv/bin/pytest
cd "$copy"
"$(dirname "$pytest")/python" -c '
import pathlib, djust_uploads
path = pathlib.Path(djust_uploads.__file__)
assert "site-packages" in path.parts, f"not the installed wheel: {path}"
'

# What depends on Django, or on what the wheel contains.
"$pytest" --numprocesses 4 --dist loadfile --no-loadscope-reorder -m 'not alone and not matrix' \
  tests/forms tests/slots tests/uploads/test_uploads.py tests/uploads/test_consuming.py \
  tests/validators tests/doors/test_channels.py tests/doors/test_mixin.py tests/doors/http/test_tus.py \
  tests/doors/http/test_receipts.py tests/client/test_command.py tests/sinks/test_model_fields.py \
  tests/test_checks.py tests/test_conf.py tests/test_exceptions.py tests/test_locale.py \
  tests/test_public_api.py tests/test_sweep_uploads.py
