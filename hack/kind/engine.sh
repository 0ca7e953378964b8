#!/bin/bash
# A container engine of our own, in a world of its own: its network has no way out, its processes end when this one does, and its mounts
# and firewall rules are nobody else's. hack/kind-up.sh starts it as the first process of new namespaces.
#   hack/kind/engine.sh STATE
#
# STATE/docker.sock  where it listens
# STATE/engine.log   what it says
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
state=$1
CAP_SYS_RESOURCE=24

may_give_resources() {
    local capabilities
    capabilities=$(sed -n 's/^CapBnd:\t//p' /proc/self/status)
    [ $((0x$capabilities >> CAP_SYS_RESOURCE & 1)) -eq 1 ]
}

settings() {
    local runtime=''
    may_give_resources || runtime="\"runtimes\": {\"kind\": {\"path\": \"$here/runtime\"}}, \"default-runtime\": \"kind\","
    cat <<END
{$runtime
 "hosts": ["unix://$state/docker.sock"], "data-root": "$state/docker", "exec-root": "$state/run", "pidfile": "$state/docker.pid",
 "bridge": "none", "ip-masq": false, "cgroup-parent": "/kube-introspect-kind"}
END
}

ip link set lo up
settings >"$state/engine.json"
# Its first process has to bury what is left of containers, which a shell does.
dockerd --config-file "$state/engine.json" >"$state/engine.log" 2>&1 &
wait $!
