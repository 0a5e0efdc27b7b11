#!/usr/bin/env bash
# Tries the README as a new user would: deploy/clean-room.sh
#
# A fresh clone in an empty folder, an environment with nothing in it but a PATH, a new home, and only the toolchain: then
# the two commands, taken from the README, and the installation of the local services. Everything is built from nothing,
# which takes many minutes on a small machine, so continuous integration, which runs the same two commands in its checkout,
# does not do it for every change. It uses what is committed, and the registry of cargo, with an empty cache.
set -euo pipefail
cd "$(dirname "$0")/.."
room="$(mktemp -d)"
trap 'rm -rf "$room"' EXIT
mkdir "$room/home" "$room/bin" "$room/tmp"

# No proxies of cargo and rustc: the toolchain itself, a C compiler and its linker, and what a minimal system has.
toolchain="$(rustc --print sysroot)/bin"
for tool in cc gcc ar ld as git sh env rm mkdir uname; do
    ln -s "$(command -v "$tool")" "$room/bin/$tool"
done
git clone --quiet . "$room/contactsync"

mapfile -t commands < <(sed -n '/^## Try it/,/^## /p' README.md | grep '^cargo ')
[ "${#commands[@]}" = 2 ] || { echo "the README does not give two commands" >&2; exit 1; }
cd "$room/contactsync"
# The page of the local services promises this one to other projects.
commands+=("cargo install --quiet --locked --root $room/installed --path tests/emulator && $room/installed/bin/emulator --version")
for command in "${commands[@]}"; do
    printf '\n== %s\n' "$command"
    env -i HOME="$room/home" CARGO_HOME="$room/home/.cargo" TMPDIR="$room/tmp" PATH="$room/bin:$toolchain" \
        ${SSL_CERT_FILE:+SSL_CERT_FILE="$SSL_CERT_FILE"} CARGO_TERM_COLOR=never sh -c "$command"
done
printf '\nAll commands work in a clean room, in %ss.\n' "$SECONDS"
