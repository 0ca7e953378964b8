# shellcheck shell=bash
# What hack/kind-up.sh, hack/kind-down.sh and hack/kind/enter.sh share.

# Everything of the cluster lies here; a path of a socket must be short.
STATE=${KIND_STATE:-/tmp/kube-introspect-kind}
SKIPPED=77

say() { printf '%s\n' "$@"; }

fail() { # LINE...
    printf '%s\n' "$@" >&2
    exit 1
}

is_up() {
    [ -s "$STATE/engine.pid" ] && kill -0 "$(cat "$STATE/engine.pid")" 2>/dev/null
}

# Runs a command in the cluster's network.
inside() { # COMMAND...
    DOCKER_HOST=unix://$STATE/docker.sock KUBECONFIG=$STATE/kubeconfig \
        nsenter --target "$(cat "$STATE/engine.pid")" --net -- "$@"
}
