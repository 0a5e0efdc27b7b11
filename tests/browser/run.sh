#!/usr/bin/env bash
# The status page in a real browser: whether everybody can use it, in each of its states, and then that of a real worker.
# Installs chromium if it is missing, and axe at the version that is pinned here.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v chromium >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
fi
tools=target/browser
mkdir -p "$tools"
cp tests/browser/package.json tests/browser/package-lock.json "$tools"
npm ci --silent --ignore-scripts --prefix "$tools"
python3 tests/browser/accessible.py "$tools/node_modules/axe-core/axe.min.js"
exec cargo run --quiet -p tests --bin page
