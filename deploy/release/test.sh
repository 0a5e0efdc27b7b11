#!/usr/bin/env bash
# That a release is refused which should be, and that an archive holds what it promises: test.sh CONTACTSYNC
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
binary="$(realpath "${1:?the binary of contactsync}")"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# A repository of which a version can be released, each time anew: make VERSION HEADING NOTE
make() {
    rm -rf "$scratch/root"
    mkdir -p "$scratch/root/deploy/helm/contactsync"
    printf '[workspace.package]\nversion = "%s"\n' "$1" >"$scratch/root/Cargo.toml"
    printf 'name: contactsync\nversion: %s\nappVersion: %s\n' "$1" "$1" >"$scratch/root/deploy/helm/contactsync/Chart.yaml"
    printf '# Changelog\n\n## [Unreleased]\n\n## %s\n\n%s\n\n## [0.0.1] - 2020-01-01\n\n- Old.\n' "$2" "$3" \
        >"$scratch/root/CHANGELOG.md"
}
check() { RELEASE_ROOT="$scratch/root" "$here/check.sh" "$1" "$scratch/notes" >"$scratch/said" 2>&1; }
refused() {
    if check "$1"; then fail "$1 is released: $2"; fi
    grep -q "$2" "$scratch/said" || fail "expected $2: $(cat "$scratch/said")"
}

make 1.2.3 '[1.2.3] - 2026-01-31' '- New.'
check v1.2.3 || fail "a good version is refused: $(cat "$scratch/said")"
[ "$(grep -c . "$scratch/notes")" = 1 ] || fail "the notes are $(cat "$scratch/notes")"
refused v1.2.4 'Cargo.toml says 1.2.3'
refused 1.2.3 'is no version'
sed -i 's/^appVersion.*/appVersion: 1.2.2/' "$scratch/root/deploy/helm/contactsync/Chart.yaml"
refused v1.2.3 'Chart.yaml says 1.2.2'
make 1.2.3 '[1.2.3]' '- New.'
refused v1.2.3 'has no date'
make 1.2.3 '[1.2.3] - 2026-01-31' 'Nothing.'
refused v1.2.3 'says nothing under'
make 1.2.3 '[11.2.3] - 2026-01-31' '- New.'
refused v1.2.3 'says nothing under'
printf '   release: one good version is let through, six wrong ones are refused\n'

archive="$("$here/archive.sh" "$binary" 1.2.3 x86_64-unknown-linux-gnu "$scratch/dist")"
tar --list --gzip --file "$archive" >"$scratch/list"
for file in contactsync LICENSE README.md config.default.toml contactsync.service man/contactsync.1 completions/contactsync.bash; do
    grep -q "^contactsync-1.2.3-x86_64-unknown-linux-gnu/$file" "$scratch/list" || fail "$file is not in $(cat "$scratch/list")"
done
printf '   release: the archive holds %s files\n' "$(grep -vc '/$' "$scratch/list")"

# The workflow writes the image into the chart by these lines.
for line in '  repository: contactsync' '  digest: ""'; do
    grep -qxF "$line" "$here/../helm/contactsync/values.yaml" || fail "values.yaml has no line '$line', which the release replaces"
done
