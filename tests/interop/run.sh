#!/usr/bin/env bash
# Judges the local services and the worker by Microsoft's own SDKs: tests/interop/run.sh [python|js|broken|all]
# Installs what is missing, builds, starts the services on free ports, stops them. README.md tells more.
set -euo pipefail

what="${1:-all}"
case "$what" in
    python | js | broken | all) ;;
    *) echo "usage: $0 [python|js|broken|all]" >&2; exit 2 ;;
esac

here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
target="$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)"
home="$target/interop"
mkdir -p "$home"

# Debian's packages, if the machine lacks them and we may install.
install() {
    echo "installing $*" >&2
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "please install: $*" >&2
        exit 1
    fi
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

# Runs a command only if a file has changed since it last went well.
once() {
    local file="$1" stamp="$2"
    shift 2
    if ! cmp -s "$file" "$stamp"; then
        "$@"
        cp "$file" "$stamp"
    fi
}

python_packages() {
    rm -rf "$home/venv"
    python3 -m venv "$home/venv"
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$here/python/requirements.txt"
}

node_packages() {
    (cd "$here/js" && npm ci --silent)
}

# Debian's node may be older than the SDKs want; the registry has node itself as a package.
recent_node() {
    local newer
    newer="$home/node/node_modules/node-linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')"
    if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
        [ -x "$newer/bin/node" ] || npm install --silent --no-save --prefix "$home/node" "$(basename "$newer")@22"
        export PATH="$newer/bin:$PATH"
    fi
}

command -v python3 >/dev/null || install python3
if [ "$what" != js ]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || install python3-venv
    once "$here/python/requirements.txt" "$home/venv/.installed" python_packages
fi
if [ "$what" != python ]; then
    { command -v node && command -v npm; } >/dev/null || install nodejs npm
    recent_node
    once "$here/js/package-lock.json" "$here/js/node_modules/.installed" node_packages
fi

cargo programs --quiet

INTEROP_HOME="$home" INTEROP_BINARIES="$target/debug" exec python3 "$here/run.py" "$what"
