#!/usr/bin/env bash
# Writes the bill of materials of the worker: deploy/sbom.sh [FILE]   (default: target/contactsync.cdx.json)
# CycloneDX 1.5 as JSON: every crate that is in the binary for Linux, with version, licence and hash. The tool is built
# once, which takes a minute or two; that is why continuous integration does not do it for every change.
set -euo pipefail
cd "$(dirname "$0")/.."
tools="$PWD/target/tools"
file="${1:-target/contactsync.cdx.json}"
if ! [ -x "$tools/bin/cargo-cyclonedx" ]; then
    cargo install --quiet --locked --root "$tools" cargo-cyclonedx@0.5.7
fi
host="$(rustc -vV | sed -n 's/^host: //p')"
mkdir -p "$(dirname "$file")"

# It writes one file beside each program of the workspace; all but the worker's are not wanted.
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
PATH="$tools/bin:$PATH" cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps \
    --target "$host" --manifest-path worker/Cargo.toml
mv worker/*.cdx.json "$file"
find . -name '*.cdx.json' -not -path './target/*' -delete
python3 - "$file" <<'PYTHON'
import json, sys

bill = json.load(open(sys.argv[1]))
names = {component["name"] for component in bill["components"]}
missing = {"rustls", "ring", "fe2o3-amqp", "reqwest"} - names
assert not missing, f"not in the bill: {missing}"
assert not {"emulator", "tests"} & names, "what is not shipped is in the bill"
print(f"{sys.argv[1]}: CycloneDX {bill['specVersion']}, {len(bill['components'])} components")
PYTHON
