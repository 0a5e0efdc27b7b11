#!/usr/bin/env bash
# Proves the image without a container engine: builds its root file system as the Dockerfile does, and runs the binary
# in it as user 65532, without capabilities, on a read-only root. Needs root, for chroot and mounts.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Settings of a real installation that somebody has exported must not reach the worker.
while read -r name; do unset "$name"; done < <(compgen -e | grep -E '^(CONTACTSYNC|AZURE_|IDENTITY_|OTEL_)' || true)
[ "$(id -u)" = 0 ] || { echo "deploy/image/test.sh needs root, to give it up inside" >&2; exit 1; }

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/world" "$scratch/settings"
target="$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)"
export IMAGE_ROOT="$target/image/root"
# The one of deploy/validate/run.sh can read YAML.
python="$target/validate/venv/bin/python"
[ -x "$python" ] || python=python3

say() { printf '   %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
in_image() { deploy/image/run.sh "$@"; }

deploy/image/root.sh "$IMAGE_ROOT" worker contactsync
size="$(du -sk "$IMAGE_ROOT" | cut -f1)"
[ "$size" -lt 24576 ] || fail "the image has grown to $size KB"
say "image: $size KB in $(find "$IMAGE_ROOT" -type f | wc -l) files"
if ldd "$IMAGE_ROOT/contactsync" 2>/dev/null | grep -q '=>'; then fail "the binary wants libraries"; fi

in_image --version | grep -q '^contactsync ' || fail "--version"
say "$(in_image --version)"

# Without settings it says what is missing, and exits as it promises.
if in_image check >"$scratch/out" 2>&1; then fail "check without settings succeeds"; else code=$?; fi
[ "$code" = 78 ] || fail "check without settings exits with $code: $(cat "$scratch/out")"
say "check without settings: 78, $(grep -c . "$scratch/out") lines"

cat >"$scratch/settings/contactsync.toml" <<'TOML'
[service_bus]
connection_string = "Endpoint=sb://contacts.servicebus.example/;SharedAccessKeyName=worker;SharedAccessKey=c2VjcmV0"
queue = "contacts"
[identity]
tenant = "contoso.onmicrosoft.com"
client_id = "11111111-2222-3333-4444-555555555555"
client_secret = "not-a-secret"
TOML
# Names are looked up by the binary itself, by files that the container engine provides.
printf 'nameserver 127.0.0.53\n' >"$scratch/settings/resolv.conf"
chmod -R a+rX "$scratch"
IMAGE_MOUNTS="$scratch/settings" in_image check --config "$scratch/settings/contactsync.toml" >"$scratch/out" ||
    fail "check: $(cat "$scratch/out")"
say "check: $(head -1 "$scratch/out")"

# shellcheck disable=SC2016 # expanded by the inner shell
IMAGE_MOUNTS="$scratch/settings" unshare --net --mount --propagation private sh -c '
    ip link set lo up && mount --bind "$1/resolv.conf" /etc/resolv.conf &&
        exec python3 deploy/image/names.py deploy/image/run.sh run --config "$1/contactsync.toml"
' sh "$scratch/settings" >"$scratch/out" 2>&1 || fail "names: $(cat "$scratch/out")"
say "run: $(tail -1 "$scratch/out")"

# The demo, with the binary of the image in place of the one it builds: 300 messages, and nothing may be lost.
TMPDIR="$scratch/world" IMAGE_MOUNTS="$scratch/world" CONTACTSYNC_BINARY="$PWD/deploy/image/demo.sh" \
    RUST_BACKTRACE=0 cargo demo >"$scratch/out" 2>&1 || fail "demo: $(cat "$scratch/out" "$scratch/world.log")"
say "run: $(tail -1 "$scratch/out")"
# compose.yaml, on a network of its own, as its ports are fixed.
cargo programs --quiet
# shellcheck disable=SC2016 # expanded by the inner shell
unshare --net sh -c '
    ip link set lo up && exec "$1" deploy/image/compose.py "$2" deploy/image/run.sh deploy/compose.yaml
' sh "$python" "$target/debug/emulator" >"$scratch/out" 2>&1 || fail "compose: $(cat "$scratch/out")"
say "$(tail -1 "$scratch/out")"
printf 'The image holds up.\n'
