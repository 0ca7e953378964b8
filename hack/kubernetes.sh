#!/bin/bash
# Builds a real Kubernetes from its Go modules, once, and prints the folder where the programs lie.
#   hack/kubernetes.sh NAME...
#   NAME: etcd, or a command of Kubernetes: kube-apiserver, kubectl, kube-controller-manager, kube-scheduler, kubelet, kubeadm,
#         kube-proxy
#
# What is there already is not built again. The folder is named after all that the programs are made of (hack/kubernetes/go.mod
# and go.sum, this script, Go's version): something else, another folder. It needs Go (hack/kubernetes/go.mod says which), 4 GB
# of disk and 2 GB of memory; kube-apiserver, kubectl and etcd take 5 minutes on two free cores. Progress goes to standard error.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
module=$here/kubernetes
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kube-introspect
PROGRESS_SECONDS=15

say() { printf '%s\n' "$@" >&2; }

fail() { # LINE...
    say "hack/kubernetes.sh: $1" "${@:2}"
    exit 1
}

package_of() { # NAME
    case $1 in
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    *) echo "k8s.io/kubernetes/cmd/$1" ;;
    esac
}

check_names() { # NAME...
    local name
    [ $# -gt 0 ] || fail 'which program? for example: hack/kubernetes.sh kube-apiserver kubectl etcd'
    for name in "$@"; do
        grep -qxF "	$(package_of "$name")" "$module/go.mod" || fail "hack/kubernetes/go.mod has no tool called $name"
    done
}

# The oldest Go that can build this, from go.mod; Go itself compares its version with that and says so.
check_go() {
    local oldest
    command -v go >/dev/null && return
    oldest=$(awk '$1 == "go" {print $2}' "$module/go.mod")
    fail "Go is not in PATH, and Kubernetes is built with it: install Go $oldest or newer" \
        '(https://go.dev/doc/install, or the package golang-go of a distribution that has it), then run this again.'
}

missing_of() { # NAME...
    local name
    for name in "$@"; do
        [ -x "$bin/$name" ] || printf '%s\n' "$name"
    done
}

# Kubernetes says its version from what the linker puts in; without it kube-apiserver takes itself for v0.0.0 and does not start.
linker_flags() {
    local version major minor package flags='-s -w'
    version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
    IFS=. read -r major minor _ <<<"${version#v}"
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor"
        flags+=" -X $package.gitTreeState=clean -X $package.buildDate=1970-01-01T00:00:00Z"
    done
    printf '%s' "$flags"
}

# Says every few seconds how far the build is, from the packages that go build -v names as it comes to them.
watch_progress() { # LOG TOTAL
    local passed=0
    while sleep "$PROGRESS_SECONDS"; do
        passed=$((passed + PROGRESS_SECONDS))
        say "$(printf '  %2d:%02d  %4d of %d packages, now %s' $((passed / 60)) $((passed % 60)) \
            "$(grep -c '^[a-z]' "$1")" "$2" "$(tail -n 1 "$1")")"
    done
}

build() { # NAME...
    local name new packages=() flags total watcher status=0
    for name in "$@"; do packages+=("$(package_of "$name")"); done
    new=$(mktemp -d "$cache/new.XXXXXX")
    # shellcheck disable=SC2064  # its value is wanted now
    trap "rm -rf '$new'" EXIT
    cd "$module"
    say "Building $* ($(go version | cut -d ' ' -f 3), the first time only). Fetching their modules."
    flags=$(linker_flags)
    total=$(go list -deps "${packages[@]}" | wc -l)
    : >"$new/log"
    watch_progress "$new/log" "$total" &
    watcher=$!
    mkdir "$new/bin"
    go build -v -trimpath -ldflags "$flags" -o "$new/bin/" "${packages[@]}" 2>"$new/log" || status=$?
    kill "$watcher"
    if [ "$status" -ne 0 ]; then
        grep -v '^[a-z0-9./_-]*$' "$new/log" >&2 || tail -n 20 "$new/log" >&2
        fail 'the build failed; what Go said stands above'
    fi
    # go build names a program after the last part of its package: etcd's is the module's major version.
    if [ -e "$new/bin/v3" ]; then mv "$new/bin/v3" "$new/bin/etcd"; fi
    mkdir -p "$bin"
    mv "$new/bin/"* "$bin/"
}

check_names "$@"
check_go
# One module, its versions as they stand in go.mod, no C compiler: the same programs on every machine.
export GOWORK=off GOFLAGS=-mod=readonly CGO_ENABLED=0
hash=$({ cat "$module/go.mod" "$module/go.sum" "${BASH_SOURCE[0]}" && cd "$module" && go version; } | sha256sum)
bin=$cache/kubernetes-${hash:0:16}/bin

mapfile -t missing < <(missing_of "$@")
if [ "${#missing[@]}" -gt 0 ]; then
    mkdir -p "$cache"
    exec 9>"$cache/kubernetes.lock"
    flock --nonblock 9 || { say 'Another run is building Kubernetes: waiting for it.' && flock 9; }
    mapfile -t missing < <(missing_of "$@") # somebody else may have done it while we waited
    if [ "${#missing[@]}" -gt 0 ]; then
        started=$SECONDS
        build "${missing[@]}" 9>&-
        say "Built ${missing[*]} in $((SECONDS - started)) s."
    fi
fi
printf '%s\n' "$bin"
