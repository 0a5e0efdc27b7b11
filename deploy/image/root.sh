#!/bin/sh
# Builds the root file system of an image: root.sh FOLDER PACKAGE BINARY
#
# The Dockerfile and the test of the image both call this, so what is tested here is what is shipped. The binary links
# nothing at run time: glibc 2.34 and later can look names up in files and in DNS without loading a library, and
# test.sh proves that this one does. musl would do as well, but is not the libc that everything else is tested with.
set -eu
folder="$1" package="$2" binary="$3"
cd "$(dirname "$0")/../.."
host="$(rustc -vV | sed -n 's/^host: //p')"
target="${CARGO_TARGET_DIR:-target}/image"

# With --target, the flags are for the binary alone and not for build scripts and macros.
RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --quiet --locked --release --target "$host" --target-dir "$target" --package "$package" --bin "$binary"

rm -rf "$folder"
mkdir -p "$folder/etc/ssl/certs" "$folder/etc/contactsync" "$folder/licenses"
install -m 0755 "$target/$host/release/$binary" "$folder/$binary"
install -m 0644 LICENSE-APACHE LICENSE-MIT "$folder/licenses/"
# Whom to trust: Graph, the login host and Service Bus have certificates of public authorities.
install -m 0644 /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/ca-certificates.crt"
printf 'nonroot:x:65532:65532::/:/sbin/nologin\n' >"$folder/etc/passwd"
printf 'nonroot:x:65532:\n' >"$folder/etc/group"
printf 'hosts: files dns\n' >"$folder/etc/nsswitch.conf"
