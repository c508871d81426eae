#!/bin/sh
# Write constraints.txt: the versions that the ranges in setup.cfg give today, in a clean environment.
set -eu
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT
"${1:-python3}" -m venv "$away/venv"
"$away/venv/bin/python" -m pip install --quiet '.[dev]'
{
    echo "# Written by \`make lock\`: what CI installs. The ranges are in setup.cfg."
    "$away/venv/bin/python" -m pip freeze --exclude auto-iter
} > constraints.txt
