#!/usr/bin/env bash
# How long the two commands of the README take to build: tests/build-times.sh [REVISION...]
#
# Each revision (without any: this one) is built in a clone of its own, from nothing and then again, with the crates on the disk
# already: what downloading takes is the network's. Printed as the table in tests/README.md. Wants a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."
room="$(mktemp -d "$PWD/target/build-times.XXXXXX")"
trap 'rm -rf "$room"' EXIT
export CARGO_TERM_COLOR=never
unset CARGO_INCREMENTAL CARGO_TARGET_DIR

# Seconds that a command takes; what it prints is shown only if it fails.
timed() {
    local start=$SECONDS
    "$@" >"$room/log" 2>&1 || { cat "$room/log" >&2; exit 1; }
    printf '%s' "$((SECONDS - start))"
}

printf '| revision | demo, cold | then tests, cold | demo, warm | tests, warm | both after a change in shared | target |\n'
printf '| --- | --- | --- | --- | --- | --- | --- |\n'
for revision in "${@:-HEAD}"; do
    name="$(git describe --always "$revision")"
    git clone --quiet . "$room/clone"
    cd "$room/clone"
    git checkout --quiet "$name"
    cargo fetch --quiet --locked
    demo="$(timed cargo demo)"
    tests="$(timed cargo test --workspace --no-run)"
    warm_demo="$(timed cargo demo)"
    warm_tests="$(timed cargo test --workspace --no-run)"
    printf '\n' >>shared/src/lib.rs
    changed="$(timed cargo build --package tests --bin demo)+$(timed cargo test --workspace --no-run)"
    size="$(du -sh target | cut -f1)"
    printf '| %s | %s s | %s s | %s s | %s s | %s s | %s |\n' \
        "$name" "$demo" "$tests" "$warm_demo" "$warm_tests" "$changed" "$size"
    cd - >/dev/null
    rm -rf "$room/clone"
done
