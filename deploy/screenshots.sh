#!/usr/bin/env bash
# Makes the pictures of the status page in deploy/status-page and of the terminal in deploy/terminal anew. Needs chromium, and that
# tests/interop/run.sh python has run, which builds and installs what the second needs. What shows the same gives the same pictures of
# the terminal, so that git tells what has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
python3 tests/browser/screenshots.py
INTEROP_HOME="$PWD/target/interop" target/interop/venv/bin/python tests/interop/pictures.py
