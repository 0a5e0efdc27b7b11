#!/usr/bin/env bash
# Whether a version may be released, and what its notes are: check.sh TAG NOTES
#
# The tag, the workspace, the chart and the changelog have to name the same version, and the changelog has to have something to
# say of it. NOTES becomes its section, which is what people read beside the downloads.
set -euo pipefail
tag="${1:?the tag, such as v1.2.3}" notes="${2:?the file for the notes}"
cd "${RELEASE_ROOT:-$(dirname "$0")/../..}"

fail() { printf 'not released: %s\n' "$*" >&2; exit 1; }

version="${tag#v}"
[[ "$tag" =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || fail "$tag is no version: v1.2.3 or v1.2.3-rc.1"
for place in 'Cargo.toml ^version\ =\ "(.*)"$' 'deploy/helm/contactsync/Chart.yaml ^version:\ (.*)$' \
    'deploy/helm/contactsync/Chart.yaml ^appVersion:\ (.*)$'; do
    read -r file pattern <<<"$place"
    named="$(sed -nE "s/${pattern//\\ / }/\\1/p" "$file" | head -1)"
    [ "$named" = "$version" ] || fail "$file says ${named:-nothing}, the tag says $version"
done

# From the heading of the version to the next one.
awk -v version="$version" '
    /^## / { on = index($0, "## [" version "]") == 1; next }
    on' CHANGELOG.md >"$notes"
grep -q '^- ' "$notes" || fail "CHANGELOG.md says nothing under ## [$version]; rename ## [Unreleased], with the date of today"
grep -Eq "^## \[${version//./\\.}\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md || fail "## [$version] has no date: - 2026-01-31"
printf '%s: %s lines of notes\n' "$version" "$(wc -l <"$notes")"
