#!/usr/bin/env bash
# Judges the alerts with promtool, and rules, dashboard and the metrics of a real worker with a real Prometheus.
# Where the two programs are missing, Debian's package is installed, and the service that it may start is stopped.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus >/dev/null
    if command -v service >/dev/null; then service prometheus stop >/dev/null 2>&1 || true; fi
fi
promtool check rules deploy/prometheus/contactsync.rules.yaml
promtool test rules deploy/prometheus/*.test.yaml
cargo run --quiet -p tests --bin monitoring
