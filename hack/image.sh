#!/bin/bash
# Builds the image of Containerfile with docker, podman or buildah, whichever is there. It needs a registry that has debian:bookworm.
#   hack/image.sh
#   IMAGE=NAME:TAG   what to call it, default kube-introspect:VERSION
#   BUILDER=NAME     docker, podman or buildah
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=hack/lib/image.sh
. hack/lib/image.sh

builder() {
    local name
    for name in ${BUILDER:-docker podman buildah}; do
        if command -v "$name" >/dev/null; then printf '%s' "$name" && return; fi
    done
    echo 'hack/image.sh: docker, podman or buildah is needed; without any of them: make image-offline' >&2
    return 1
}

builder=$(builder)
set -x
"$builder" build --file Containerfile --tag "${IMAGE:-kube-introspect:$VERSION}" --build-arg VERSION="$VERSION" \
    --build-arg REVISION="$REVISION" --build-arg SOURCE="$SOURCE" .
