#!/bin/sh
# Runs the binary of an image as a container engine would: run.sh ARGUMENTS...
#
# IMAGE_ROOT is the root file system, IMAGE_MOUNTS are folders of this machine to see in it, read-only, under their
# own names. The process is user 65532 without any capability, cannot gain one, and can write nowhere. It takes the
# place of this script, so signals reach it. Needs root, as it is about giving everything up.
set -eu
: "${IMAGE_ROOT:?the root file system}" "${IMAGE_BINARY:=contactsync}" "${IMAGE_MOUNTS:=}"
export IMAGE_ROOT IMAGE_BINARY IMAGE_MOUNTS

# A container engine lays a writable layer over the image, makes its own files and the mount points in it, and then
# closes it.
# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare --mount --propagation private sh -c '
    set -eu
    scratch="$(mktemp -d)"
    mount -t tmpfs none "$scratch"
    mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
    mount -t overlay none -o "lowerdir=$IMAGE_ROOT,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
    cp /etc/hosts /etc/resolv.conf "$scratch/root/etc/"
    mkdir "$scratch/root/dev"
    for device in null zero random urandom; do
        touch "$scratch/root/dev/$device"
        mount --bind "/dev/$device" "$scratch/root/dev/$device"
    done
    for folder in $IMAGE_MOUNTS; do
        mkdir -p "$scratch/root$folder"
        mount --bind "$folder" "$scratch/root$folder"
        mount -o remount,bind,ro "$scratch/root$folder"
    done
    mount -o remount,ro "$scratch/root"
    exec setpriv --no-new-privs chroot --userspec=65532:65532 --groups= "$scratch/root" "/$IMAGE_BINARY" "$@"
' sh "$@"
