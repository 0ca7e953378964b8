#!/bin/bash
# Builds kind and CoreDNS from their Go modules, once, and prints the folder where they lie.
#   hack/kind/programs.sh
#
# As hack/kubernetes.sh does it for Kubernetes: the folder is named after all that the programs are made of. It takes two minutes on
# two free cores.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
module=$here/programs
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kube-introspect
OLDEST_GO=1.21

fail() { # LINE...
    printf 'hack/kind/programs.sh: %s\n' "$@" >&2
    exit 1
}

# One that fetches by itself the version that go.mod asks for. Where the machine's is older, hack/kubernetes.sh has fetched one.
find_go() {
    local folder
    for folder in '' "$cache"/go-*/bin/; do
        go=${folder}go
        if command -v "$go" >/dev/null && is_new_enough "$(cd / && "$go" env GOVERSION)"; then return; fi
    done
    fail "a Go of version $OLDEST_GO or newer is needed; hack/kubernetes.sh fetches one"
}

is_new_enough() { # goVERSION
    [ "$(printf '%s\n' "$OLDEST_GO" "${1#go}" | sort -V | head -n 1)" = "$OLDEST_GO" ]
}

build() {
    local new
    new=$(mktemp -d "$cache/new.XXXXXX")
    # shellcheck disable=SC2064  # its value is wanted now
    trap "rm -rf '$new'" EXIT
    cd "$module"
    echo 'Building kind and CoreDNS, the first time only (two minutes on two free cores).' >&2
    "$go" build -trimpath -ldflags '-s -w' -o "$new/kind" sigs.k8s.io/kind
    "$go" build -trimpath -ldflags '-s -w' -o "$new/coredns" .
    mkdir -p "$(dirname "$bin")"
    chmod 755 "$new"
    mv -T "$new" "$bin"
}

export GOWORK=off GOFLAGS=-mod=readonly CGO_ENABLED=0
find_go
hash=$({ cat "$module"/{go.mod,go.sum,main.go} "${BASH_SOURCE[0]}" && cd "$module" && "$go" env GOVERSION GOARCH; } | sha256sum)
bin=$cache/kind-programs-${hash:0:16}/bin
if [ ! -d "$bin" ]; then
    mkdir -p "$cache"
    exec 9>"$cache/kind-programs.lock"
    flock 9
    if [ ! -d "$bin" ]; then build 9>&-; fi
fi
printf '%s\n' "$bin"
