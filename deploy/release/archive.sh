#!/usr/bin/env bash
# Packs a binary with what belongs to it: archive.sh BINARY VERSION TARGET FOLDER
# Prints the path of the archive: NAME-VERSION-TARGET.tar.gz, or .zip for Windows.
set -euo pipefail
binary="$(realpath "${1:?the binary}")" version="${2:?the version}" target="${3:?the target of Rust}" folder="${4:?a folder}"
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"
cd "$(dirname "$0")/../.."
file="${binary##*/}"
name="${file%.exe}"
packed="$name-$version-$target"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/$packed"
cp "$binary" LICENSE* "$scratch/$packed/"

case "$name" in
    contactsync)
        cp README.md CHANGELOG.md worker/config.default.toml "$scratch/$packed/"
        # The binary of this machine tells; one for another machine cannot be asked here.
        "$binary" man "$scratch/$packed/man" >/dev/null
        mkdir "$scratch/$packed/completions"
        for shell in bash zsh fish powershell; do
            "$binary" completions "$shell" >"$scratch/$packed/completions/contactsync.$shell"
        done
        case "$target" in *linux*) cp deploy/systemd/contactsync.service "$scratch/$packed/" ;; esac
        ;;
    emulator) cp tests/emulator/README.md "$scratch/$packed/" ;;
    *) echo "$name is not for others" >&2; exit 2 ;;
esac

case "$target" in
    *windows*) (cd "$scratch" && 7z a -bso0 "$folder/$packed.zip" "$packed") && printf '%s\n' "$folder/$packed.zip" ;;
    *) tar --create --gzip --file "$folder/$packed.tar.gz" --directory "$scratch" "$packed" && printf '%s\n' "$folder/$packed.tar.gz" ;;
esac
