#!/usr/bin/env bash
# Makes the pictures of the status page in deploy/status-page anew. Needs chromium and Python 3.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 tests/browser/screenshots.py
