# The tests of the main job that need neither djust nor a browser, on Django 6, where there is a
# Python for it. Sinks, windows and dying processes know nothing of Django.
set -eu
venv=.venv-django6

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
if [ -z "$python" ]; then
  echo "No Python 3.12 or 3.13 here: Django 6 is not tested."
  exit 0
fi
if [ ! -e "$venv/installed" ] || [ pyproject.toml -nt "$venv/installed" ]; then
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --upgrade pip
  "$venv/bin/pip" install --quiet --editable '.[test]' 'Django>=6,<7'
  touch "$venv/installed"
fi
apart=""
for path in sinks/s3 sinks/gcs sinks/object_store sinks/test_contract sinks/test_saving \
  sinks/test_django_storages sinks/test_crashes sinks/test_temporary_file support flow/test_window \
  resuming/test_sigkill resuming/test_two_processes resuming/test_resume_ends testing/test_contract \
  uploads/test_state_machine test_benchmarks; do
  apart="$apart --ignore-glob=tests/$path*"
done
"$venv/bin/pytest" --numprocesses 3 --dist loadfile -m 'not alone' $apart
