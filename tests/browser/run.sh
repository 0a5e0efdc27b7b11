#!/usr/bin/env bash
# The status page of a real worker in a real browser, in each of its states. Installs chromium if it is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v chromium >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
fi
exec cargo run --quiet -p tests --bin page
