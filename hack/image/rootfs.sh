#!/bin/bash
# Makes the file system of the image: the program, the shared libraries that it loads, and the certificate authorities, from Debian
# packages.
#   hack/image/rootfs.sh PROGRAM FOLDER
#
# FOLDER/rootfs        is what it says
# FOLDER/packages.tsv  the packages that the files come from: name, version, architecture, source, SHA-256 of the package
#
# Both images use it: Containerfile in its first stage, hack/image-offline.sh without a registry. The packages are those of "runtime"
# in hack/packages.txt and what they depend on, as Debian's archive has them now; of each only the files go in that are needed, and its
# copyright. There is no shell in the image and no package manager. It needs no root, and Debian 12 to run on.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Loaded by glibc itself when a thread is cancelled or ends, so that no program names it.
BY_GLIBC=libgcc_s.so.1
USER_ID=65532

fail() { # LINE...
    printf 'hack/image/rootfs.sh: %s\n' "$@" >&2
    exit 1
}

# ---- the packages

runtime_packages() {
    awk '$1 == "runtime" { print $2 }' "$here/../packages.txt"
}

# As if nothing were installed: all that is needed is resolved, and no package is taken from the machine.
apt() { # ARGUMENT...
    apt-get -q -y --no-install-recommends -o Dir::State::status="$work/status" -o Dir::Cache::archives="$downloads" \
        -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)" "$@"
}

# Each line: name, version, architecture.
resolve() { # PACKAGE...
    apt --simulate install "$@" | sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*\[\([a-z0-9]*\)\]).*/\1\t\2\t\3/p'
}

download() {
    local wanted
    mapfile -t wanted < <(runtime_packages)
    [ "${#wanted[@]}" -gt 0 ] || fail 'there is no section runtime in hack/packages.txt'
    : >"$work/status"
    mkdir -p "$downloads/partial"
    apt --download-only install "${wanted[@]}" >"$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2 && return 1; }
    resolve "${wanted[@]}" >"$work/resolved"
    [ -s "$work/resolved" ] || fail 'apt-get resolved no package'
}

file_of() { # NAME VERSION ARCHITECTURE
    printf '%s/%s_%s_%s.deb' "$downloads" "$1" "${2//:/%3a}" "$3"
}

unpack_all() {
    local name version architecture
    while IFS=$'\t' read -r name version architecture; do
        mkdir -p "$unpacked/$name"
        dpkg-deb --extract "$(file_of "$name" "$version" "$architecture")" "$unpacked/$name"
    done <"$work/resolved"
}

# ---- which files

# What the loader of the unpacked packages itself would load from there.
libraries_of() { # PROGRAM
    local path
    path=$(printf '%s:' "$unpacked"/*/{usr/,}lib/"$platform")
    "$unpacked/libc6/lib/$platform/$loader_name" --library-path "$path" --list "$1" >"$work/libraries"
    if grep -q 'not found' "$work/libraries"; then fail 'packages are missing from "runtime":' "$(grep 'not found' "$work/libraries")"; fi
    sed -n 's/.* => \(.*\) (0x.*/\1/p' "$work/libraries"
    printf '%s\n' "$unpacked/libgcc-s1/lib/$platform/$BY_GLIBC"
}

package_of() { # FILE below unpacked
    local below=${1#"$unpacked/"}
    printf '%s\n' "${below%%/*}"
}

copy_libraries() {
    local file
    while read -r file; do
        if [ "$(basename "$file")" = "$loader_name" ]; then continue; fi # it has a place of its own
        install -m 644 "$file" "$rootfs/usr/lib/$platform/$(basename "$file")"
        package_of "$file" >>"$work/used"
    done < <(libraries_of "$program")
    install -m 755 "$unpacked/libc6/lib/$platform/$loader_name" "$rootfs/usr/${loader#/}"
}

copy_authorities() {
    cat "$unpacked"/ca-certificates/usr/share/ca-certificates/mozilla/*.crt >"$rootfs/etc/ssl/certs/ca-certificates.crt"
    echo ca-certificates >>"$work/used"
}

# What Debian this is, for scanners, and the texts of the licences that the copyright files refer to.
copy_base() {
    install -m 644 "$unpacked/base-files/usr/lib/os-release" "$rootfs/usr/lib/os-release"
    ln -s ../usr/lib/os-release "$rootfs/etc/os-release"
    cp -R "$unpacked/base-files/usr/share/common-licenses" "$rootfs/usr/share/"
    echo base-files >>"$work/used"
}

write_users() {
    printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:%d:%d:nonroot:/:/sbin/nologin\n' "$USER_ID" "$USER_ID" >"$rootfs/etc/passwd"
    printf 'root:x:0:\nnonroot:x:%d:\n' "$USER_ID" >"$rootfs/etc/group"
    printf 'hosts: files dns\n' >"$rootfs/etc/nsswitch.conf"
}

copy_program() {
    install -D -m 755 -s "$program" "$rootfs/usr/local/bin/kube-introspect"
    install -D -m 644 "$here/../../LICENSE" "$rootfs/usr/share/doc/kube-introspect/LICENSE"
}

# ---- what scanners and lawyers read

# A package may have its copyright in the folder of another one of the same source.
copyright_of() { # PACKAGE
    local doc=$unpacked/$1/usr/share/doc/$1
    if [ -L "$doc" ]; then doc=$unpacked/$(readlink "$doc")/usr/share/doc/$(readlink "$doc"); fi
    printf '%s/copyright' "$doc"
}

# status.d: one file for each package, which scanners of images without dpkg know.
record_package() { # NAME VERSION ARCHITECTURE
    local deb source
    deb=$(file_of "$@")
    install -D -m 644 "$(copyright_of "$1")" "$rootfs/usr/share/doc/$1/copyright"
    dpkg-deb --field "$deb" >"$rootfs/var/lib/dpkg/status.d/$1"
    source=$(dpkg-deb --field "$deb" Source)
    printf '%s\t%s\t%s\t%s\t%s\n' "$@" "${source:-$1}" "$(sha256sum <"$deb" | cut -d ' ' -f 1)" >>"$folder/packages.tsv"
}

record_packages() {
    local name version architecture
    sort -u -o "$work/used" "$work/used"
    : >"$folder/packages.tsv"
    while IFS=$'\t' read -r name version architecture; do
        record_package "$name" "$version" "$architecture"
    done < <(sort "$work/resolved" | awk -F '\t' 'NR == FNR { used[$1]; next } $1 in used' "$work/used" -)
}

[ $# -eq 2 ] || fail 'usage: hack/image/rootfs.sh PROGRAM FOLDER'
program=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
rootfs=$folder/rootfs
downloads=${XDG_CACHE_HOME:-$HOME/.cache}/kube-introspect/packages
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unpacked=$work/unpacked
platform=$(gcc -print-multiarch)
loader=$(readelf --program-headers --wide "$program" | sed -n 's/.*interpreter: \(.*\)]/\1/p')
loader_name=$(basename "$loader")

umask 022
rm -rf "$rootfs"
mkdir -p "$rootfs"/etc/ssl/certs "$rootfs/usr/lib/$platform" "$rootfs/usr$(dirname "$loader")" "$rootfs"/usr/share/doc \
    "$rootfs"/var/lib/dpkg/status.d
for link in lib "$(dirname "${loader#/}")"; do ln -sfn "usr/$link" "$rootfs/$link"; done
download || { apt-get -q update >&2 && download; }
unpack_all
copy_libraries
copy_authorities
copy_base
write_users
copy_program
record_packages
