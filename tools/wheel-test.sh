#!/bin/sh
# Build the wheel, install it into a clean environment and run the main job outside the source tree:
# what only works from a checkout fails here.
set -eu
python=$1
here=$(pwd)
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT
"$python" -m build --quiet --wheel --outdir "$away" "$here"
"$python" -m venv "$away/venv"
"$away/venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt "$away"/*.whl
cd "$away"
"$away/venv/bin/auto-iter" simulate sim --year 2023 --run 011705 --files 400-402 --events 400
# two iterations cannot converge: done, and saying so, is exit code 3
code=0
"$away/venv/bin/auto-iter" run -y 2023 -r 011705 -f 400-402 -i 2 --config sim/config.yaml || code=$?
[ "$code" -eq 3 ]
"$away/venv/bin/auto-iter" status Y2023_R011705_F400-402
