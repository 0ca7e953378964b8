#!/bin/bash
# Builds a real Kubernetes from its Go modules, once, and prints the folder where the programs lie.
#   hack/kubernetes.sh NAME...
#   NAME: etcd, or a command of Kubernetes: kube-apiserver, kubectl, kube-controller-manager, kube-scheduler, kubelet, kubeadm,
#         kube-proxy
#
# What is there already is not built again. The folder is named after all that the programs are made of (hack/kubernetes/go.mod
# and go.sum, this script, Go's version): something else, another folder. It needs Go, 4 GB of disk
# and 2 GB of memory; kube-apiserver, kubectl and etcd take 6 minutes on two free cores. Progress goes to standard error.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
module=$here/kubernetes
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kube-introspect
PROGRESS_SECONDS=15
SELF_UPDATING=1.21
# The Go that this Kubernetes is released with; used where the machine's is older than SELF_UPDATING.
OWN_GO=1.24.12
watcher='' new=''

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

# ---- Go

is_at_least() { # VERSION VERSION
    [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

# Sets go_version. Go 1.21 and newer fetches by itself what go.mod asks for, unless it is told not to. An older one, such as
# Debian 12's, can at least fetch that newer Go as a module, which it checks like any other.
find_go() {
    command -v go >/dev/null || fail "Go is not in PATH, and Kubernetes is built with it." \
        'Any version will do, it fetches the one that is needed: apt-get install golang-go'
    go_version=$(cd "$module" && go env GOVERSION) || fail 'this Go is too old and may not fetch a newer one: unset GOTOOLCHAIN'
    is_at_least "${go_version#go}" "$SELF_UPDATING" || go_version=go$OWN_GO
}

use_own_go() {
    local goroot=$cache/go-$OWN_GO
    [ -d "$goroot" ] || fetch_go "$goroot"
    PATH=$goroot/bin:$PATH
    export GOROOT=$goroot
}

fetch_go() { # FOLDER
    local platform source unpacked
    platform=$(go env GOOS)-$(go env GOARCH)
    say "Fetching Go $OWN_GO, since $(go env GOVERSION) is too old for Kubernetes."
    source=$(cd / && go mod download -json "golang.org/toolchain@v0.0.1-go$OWN_GO.$platform" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    unpacked=$(mktemp -d "$cache/new.XXXXXX")
    cp -r "$source/." "$unpacked"
    # Modules are read-only, and none of their files may be executed.
    chmod -R u+w "$unpacked"
    chmod +x "$unpacked"/bin/* "$unpacked"/pkg/tool/*/*
    mv "$unpacked" "$1"
}

# ---- the programs

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

# Runs a command whose standard error is a line for each thing that it does, and says every few seconds how far it is. Its
# standard error is kept in LOG.
run_showing_progress() { # LOG WHAT COMMAND...
    local log=$1 what=$2 status=0
    : >"$log"
    watch_progress "$log" "$what" &
    watcher=$!
    "${@:3}" 2>"$log" || status=$?
    stop_watcher
    [ "$status" -eq 0 ] || { tail -n 20 "$log" >&2 && fail "it ended with an error; what Go said stands above"; }
}

# Waits by a read that nobody answers: a sleep would outlive this and keep a caller's pipe open.
watch_progress() { # LOG WHAT
    local passed=0 never
    exec {never}<> <(:)
    while ! read -r -t "$PROGRESS_SECONDS" -u "$never"; do
        passed=$((passed + PROGRESS_SECONDS))
        say "$(printf '  %2d:%02d  %d %s, now %s' $((passed / 60)) $((passed % 60)) "$(wc -l <"$1")" "$2" "$(tail -n 1 "$1")")"
    done
}

stop_watcher() {
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true
    watcher=''
}

build() { # NAME...
    local name packages=() flags total
    for name in "$@"; do packages+=("$(package_of "$name")"); done
    new=$(mktemp -d "$cache/new.XXXXXX")
    trap 'stop_watcher; rm -rf "$new"' EXIT
    mkdir "$new/bin"
    cd "$module"
    say "Building $* with $go_version, the first time only. Fetching the modules."
    run_showing_progress "$new/log" 'modules' go list -deps "${packages[@]}" >"$new/packages"
    total=$(wc -l <"$new/packages")
    flags=$(linker_flags)
    say "Compiling up to $total packages."
    run_showing_progress "$new/log" "of $total packages" go build -v -trimpath -ldflags "$flags" -o "$new/bin/" "${packages[@]}"
    # go build calls etcd after the folder that its package lies in.
    if [ -e "$new/bin/server" ]; then mv "$new/bin/server" "$new/bin/etcd"; fi
    mkdir -p "$bin"
    mv "$new/bin/"* "$bin/"
}

check_names "$@"
find_go
# One module, its versions as they stand in go.mod, no C compiler: the same programs on every machine.
export GOWORK=off GOFLAGS=-mod=readonly CGO_ENABLED=0
hash=$({ cat "$module/go.mod" "$module/go.sum" "${BASH_SOURCE[0]}" && echo "$go_version $(uname -m)"; } | sha256sum)
bin=$cache/kubernetes-${hash:0:16}/bin

mapfile -t missing < <(missing_of "$@")
if [ "${#missing[@]}" -gt 0 ]; then
    mkdir -p "$cache"
    exec 9>"$cache/kubernetes.lock"
    flock --nonblock 9 || { say 'Another run is building Kubernetes: waiting for it.' && flock 9; }
    mapfile -t missing < <(missing_of "$@") # somebody else may have done it while we waited
    if [ "${#missing[@]}" -gt 0 ]; then
        started=$SECONDS
        is_at_least "$(go env GOVERSION | tr -d 'go')" "$SELF_UPDATING" || use_own_go
        build "${missing[@]}" 9>&-
        say "Built ${missing[*]} in $((SECONDS - started)) s."
    fi
fi
printf '%s\n' "$bin"
