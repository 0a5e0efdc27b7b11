#!/usr/bin/env bash
# Calls the compiler as cargo asks; has it count coverage in what reads bytes of others, and in nothing else.
set -euo pipefail
crate="" previous=""
for argument in "$@"; do
    [ "$previous" != --crate-name ] || crate=$argument
    previous=$argument
done
case "$crate" in
fe2o3_amqp_types | fuzz | jiff | quick_xml | serde_amqp | serde_json | shared | toml | toml_parser | worker)
    exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$@"
