#!/usr/bin/env bash
# What `cargo demo` starts in place of its own worker, for test.sh: the settings lie in a folder that only root may read.
chmod -R a+rX "$IMAGE_MOUNTS"
# The demo reads the log. It is kept beside that folder as well, for when the demo fails and takes the folder with it.
exec "$(dirname "$0")/run.sh" "$@" 2> >(tee -a "$IMAGE_MOUNTS.log" >&2)
