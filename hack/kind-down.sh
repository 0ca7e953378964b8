#!/bin/bash
# Ends the cluster of hack/kind-up.sh and removes all that it made: nodes, container engine, network, provider, files. What took long to
# build stays in the cache folder.
#   hack/kind-down.sh
set -euo pipefail
# shellcheck source=hack/lib/kind.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/kind.sh"
TRIES=200

# The kernel ends all processes of the namespaces with their first one, and that one with the process that made them.
end_engine() { # FILE
    local pid tries=$TRIES
    [ -s "$1" ] || return 0
    pid=$(cat "$1")
    kill -KILL "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -gt 0 ]; do
        tries=$((tries - 1))
        sleep 0.05
    done
}

remove_cgroups() {
    local folder tries=$TRIES
    for folder in /sys/fs/cgroup/kube-introspect-kind /sys/fs/cgroup/*/kube-introspect-kind; do
        [ -d "$folder" ] || continue
        until find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || [ "$tries" -eq 0 ]; do
            tries=$((tries - 1))
            sleep 0.05
        done
    done
}

end_engine "$STATE/engine.pid"
end_engine "$STATE/namespaces.pid"
remove_cgroups
rm -rf "$STATE"
