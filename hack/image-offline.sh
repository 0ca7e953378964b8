#!/bin/bash
# Makes the image of Containerfile without a registry or a container engine, from Debian packages, and says what it is made of.
#   hack/image-offline.sh [FOLDER]
#   BUILD=DIR        the build folder, which holds the program already; default build
#   IMAGE=NAME:TAG   what to call it, default localhost/kube-introspect:VERSION
#
# FOLDER/kube-introspect-image.tar   for kind load image-archive, docker load, podman load, ctr images import
# FOLDER/sbom.spdx.json              SPDX 2.3
# FOLDER is the build folder where none is given.
#
# The same commit and the same packages in Debian's archive give the same files, byte for byte.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
BUILD=${BUILD:-build}
folder=${1:-$BUILD}
# shellcheck source=hack/lib/image.sh
. hack/lib/image.sh

label() { # NAME VALUE
    printf '%s\n' --label "org.opencontainers.image.$1=$2"
}

# title, description and licenses: as they stand in Containerfile
constant_labels() {
    sed -n 's/^.*\(org\.opencontainers\.image\.[a-z]*\)="\([^$"]*\)".*$/--label\n\1=\2/p' Containerfile
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
hack/image/rootfs.sh "$BUILD/kube-introspect" "$work"
mapfile -t labels < <(constant_labels && label source "$SOURCE" && label version "$VERSION" && label revision "$REVISION")
/usr/bin/python3 hack/image/archive.py "$work/rootfs" "$work/image.tar" --name "${IMAGE:-localhost/kube-introspect:$VERSION}" \
    --created "$SOURCE_DATE_EPOCH" --architecture "$(dpkg --print-architecture)" --user 65532:65532 \
    --entrypoint /usr/local/bin/kube-introspect --command serve "${labels[@]}"
/usr/bin/python3 hack/image/sbom.py "$work" "$work/sbom.json" --version "$VERSION" --revision "$REVISION" --created "$SOURCE_DATE_EPOCH"
mv "$work/image.tar" "$folder/kube-introspect-image.tar"
mv "$work/sbom.json" "$folder/sbom.spdx.json"
printf '%s: %s packages of Debian, %s kB packed, %s kB in the node\n' "$folder/kube-introspect-image.tar" \
    "$(wc -l <"$work/packages.tsv")" "$(du --apparent-size -k "$folder/kube-introspect-image.tar" | cut -f 1)" \
    "$(du --apparent-size -sk "$work/rootfs" | cut -f 1)"
