#!/usr/bin/env bash
# Looks for bytes that break a rule, or end the process, in everything that reads bytes of others.
#
#   tests/fuzz/run.sh                       every target for 10 seconds, as continuous integration does
#   tests/fuzz/run.sh 300                   every target for five minutes
#   tests/fuzz/run.sh 600 message settings  these two
#
# The stable compiler does; a C++ compiler is needed for libFuzzer, which is built from its crate. What is learnt stays
# in target/fuzzing/corpus for the next time. Bytes that break a rule are left in target/fuzzing/found: put them among
# the seeds of their target, so that the ordinary tests keep them.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-10}
targets=("${@:2}")
work=$PWD/target/fuzzing
program=$PWD/target/debug/fuzz

# Coverage is counted in the crates that rustc.sh names. They get a profile of their own, so that they are built beside
# those of the ordinary build; all others are shared with it.
profile=(--config profile.dev.package.worker.debug=false)
for crate in fe2o3-amqp-types fuzz jiff quick-xml serde_amqp serde_json shared toml toml_parser; do
    profile+=(--config "profile.dev.package.$crate.opt-level=1")
done
RUSTC_WRAPPER=$PWD/tests/fuzz/rustc.sh \
    cargo build --quiet --package tests --package fuzz --bin fuzz --features fuzz/libfuzzer "${profile[@]}"

rm -rf "$work/seeds" "$work/found" "$work/log"
mkdir -p "$work/corpus" "$work/found" "$work/log"
FUZZ_SEEDS=$work/seeds "$program" 2>/dev/null
if [ "${#targets[@]}" = 0 ]; then
    mapfile -t targets < <(ls "$work/seeds")
fi

one() {
    local target=$1 log=$work/log/$1
    mkdir -p "$work/corpus/$target"
    # As small as the stack of the threads on which commands read; what nests must not need more.
    ulimit -s 2048
    if FUZZ_TARGET=$target RUST_BACKTRACE=0 "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=512 \
        -print_final_stats=1 -artifact_prefix="$work/found/$target-" "$work/corpus/$target" "$work/seeds/$target" \
        >"$log" 2>&1; then
        grep -aE '\sDONE\s' "$log" | sed "s/^#\([0-9]*\).*\(cov: [0-9]* ft: [0-9]*\).*/$target: \1 tries, \2/"
    else
        echo "$target: broken"
        grep -aE 'panicked|overflow|ERROR|left:|right:| is ' "$log" | head -n 8 | cut -c1-400 | sed 's/^/    /'
        find "$work/found" -name "$target-*" -printf '    input: %p\n'
        return 1
    fi
}
export -f one
export work program seconds

# Two at a time, as there are cores for; all of them, even if one finds something.
printf '%s\n' "${targets[@]}" | xargs -P 2 -I '{}' bash -c 'one {}'
