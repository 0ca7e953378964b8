#!/bin/bash
# Makes an image for the nodes of kind from Debian packages and our own build of Kubernetes, once, and prints the file that it lies
# in: for docker import, with the first process /usr/local/bin/entrypoint.
#   hack/kind/node-image.sh
#
# The folder is named after all that the image is made of. It needs root, 3 GB of disk and, where Kubernetes is not built yet, what
# hack/kubernetes.sh says. The images of the control plane lie in it, so that a node fetches nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kube-introspect
# shellcheck source=hack/kind/versions.sh
. hack/kind/versions.sh
CONTROL_PLANE=(kube-apiserver kube-controller-manager kube-scheduler)
LEFT_OUT_UNITS=('multi-user.target.wants/*' 'sysinit.target.wants/systemd-udev*' 'sysinit.target.wants/sys-kernel*'
    'sysinit.target.wants/proc-sys-fs-binfmt*' 'sysinit.target.wants/systemd-binfmt*' 'sysinit.target.wants/systemd-modules-load*'
    'sysinit.target.wants/dev-*' 'sysinit.target.wants/systemd-tmpfiles-setup.service' 'sockets.target.wants/*udev*'
    'basic.target.wants/*')

say() { printf '%s\n' "$@" >&2; }

packages() {
    awk '$1 == "node" { print $2 }' hack/packages.txt | paste -sd ,
}

version() {
    sed -n "s/^require k8s.io\/kubernetes //p" hack/kubernetes/go.mod
}

# ---- the images of the control plane

# FOLDER becomes the image NAME:TAG, to be imported at the node's first start.
archive() { # FOLDER NAME:TAG [OPTION...]
    /usr/bin/python3 hack/image/archive.py "$1" "$root/kind/images/${2%%:*}.tar" --name "$REPOSITORY/$2" --created 0 --uncompressed "${@:3}"
}

# An image of one program, and nothing else.
archive_program() { # PROGRAM NAME:TAG PATH [OPTION...]
    local folder=$new/images/${2%%:*}
    install -D -m 755 "$1" "$folder$3"
    archive "$folder" "$2" "${@:4}"
    rm -r "$folder"
}

# kube-proxy calls iptables and nft, which load extensions by name.
archive_proxy() {
    local folder=$new/images/kube-proxy file
    install -D -m 755 "$bin/kube-proxy" "$folder/usr/local/bin/kube-proxy"
    for file in /usr/sbin/{nft,xtables-nft-multi} "$root"/usr/lib/*/xtables/*.so; do
        install -D -m 755 "$root${file#"$root"}" "$folder${file#"$root"}"
    done
    for file in {iptables,ip6tables}{,-save,-restore}; do ln -s xtables-nft-multi "$folder/usr/sbin/$file"; done
    while read -r file; do
        install -D -m 755 "$root$file" "$folder$file"
    done < <(libraries_of /usr/sbin/nft /usr/sbin/xtables-nft-multi "$root"/usr/lib/*/xtables/libxt_statistic.so)
    mkdir -p "$folder/run"
    archive "$folder" "kube-proxy:$version"
    rm -r "$folder"
}

libraries_of() { # FILE...: as the node's own loader finds them
    local file
    for file in "$@"; do
        chroot "$root" ldd "${file#"$root"}"
    done | grep -o '/[^ ]*' | sort -u
}

archive_control_plane() {
    local name
    mkdir -p "$root/kind/images"
    for name in "${CONTROL_PLANE[@]}"; do archive_program "$bin/$name" "$name:$version" "/usr/local/bin/$name"; done
    archive_program "$bin/etcd" "etcd:$ETCD_TAG" /usr/local/bin/etcd
    archive_program "$programs/coredns" "coredns:$COREDNS_TAG" /coredns --entrypoint /coredns
    gcc -O2 -static -s -o "$new/pause" hack/kind/pause.c
    archive_program "$new/pause" "pause:$PAUSE_TAG" /pause --entrypoint /pause
    archive_proxy
}

# ---- the node

bootstrap() {
    say 'Fetching a Debian for the nodes of kind, the first time only.'
    debootstrap --variant=minbase --include="$(packages)" bookworm "$root" >"$new/log" 2>&1 || { tail -n 20 "$new/log" >&2 && return 1; }
}

# A container has neither devices of its own nor modules to load.
leave_out() {
    local pattern
    for pattern in "${LEFT_OUT_UNITS[@]}"; do
        # shellcheck disable=SC2086  # patterns
        rm -f "$root"/lib/systemd/system/$pattern "$root"/etc/systemd/system/$pattern
    done
    ln -sf /dev/null "$root/etc/systemd/system/systemd-binfmt.service"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale,info}/* "$root"/var/log/*
}

put_in() {
    cp -R hack/kind/node/. "$root/"
    install -m 755 "$bin"/{kubelet,kubeadm,kubectl} "$root/usr/bin/"
    mkdir -p "$root"/kind/manifests "$root"/etc/kubernetes/manifests "$root"/opt/cni/bin "$root"/etc/systemd/system/multi-user.target.wants
    cp "$root"/usr/lib/cni/{ptp,host-local,loopback,portmap} "$root/opt/cni/bin/"
    printf '%s' "$version" >"$root/kind/version"
    ln -s /lib/systemd/system/containerd.service /etc/systemd/system/{preload-images,kubelet}.service \
        "$root/etc/systemd/system/multi-user.target.wants/"
    printf 'ReadKMsg=no\n' >>"$root/etc/systemd/journald.conf"
    : >"$root/etc/machine-id"
}

build() {
    new=$(mktemp -d "$cache/new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    root=$new/root
    chmod 755 "$new"
    bootstrap
    archive_control_plane
    leave_out
    put_in
    tar -C "$root" --numeric-owner --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' -cf "$new/node.tar" .
    rm -rf "$root"
    mkdir -p "$(dirname "$image")"
    mv "$new/node.tar" "$image"
}

bin=$(hack/kubernetes.sh etcd "${CONTROL_PLANE[@]}" kube-proxy kubelet kubeadm kubectl)
programs=$(hack/kind/programs.sh)
version=$(version)
hash=$({ find hack/kind/node hack/kind/pause.c hack/kind/node-image.sh hack/kind/versions.sh hack/image/archive.py -type f -print0 | sort -z | xargs -0 cat &&
    echo "$bin $programs $version" && packages; } | sha256sum)
image=$cache/kind-node-${hash:0:16}/node.tar
if [ ! -f "$image" ]; then
    exec 9>"$cache/kind-node.lock"
    flock 9
    if [ ! -f "$image" ]; then
        started=$SECONDS
        build 9>&-
        say "Made an image for nodes, $(du -m "$image" | cut -f 1) MB, in $((SECONDS - started)) s."
    fi
fi
printf '%s\n' "$image"
