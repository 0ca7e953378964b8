#!/bin/bash
# The demonstration (make run): a real OpenID provider and the webhook on this machine's loopback, a token that is accepted,
# revoked at the provider and refused. Then it stays up to be played with, until Ctrl-C.
#   hack/run.sh
#   ONCE=1 hack/run.sh     ends after the demonstration; the exit status says whether it went as it should
#   CLUSTER=1 hack/run.sh  brings up etcd and a kube-apiserver as well, and kubectl logs in (the first time they are built)
#   BUILD=DIR              the build folder, default build
#
# Everything lies in one temporary folder, which is removed at the end. If a step fails, its log is kept in BUILD/run/.
#
# This script only starts the steps (hack/lib/demonstration.sh) and cleans up after them: it does nothing but wait, so that a
# signal is heeded at once, in the midst of compiling too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

steps=''

is_running() { kill -0 -- "-$steps" 2>/dev/null; }

# A process group of its own, so that Ctrl-C is for this script alone, and one signal reaches all that the steps started.
start_steps() {
    DEMO=$DEMO BUILD=${BUILD:-build} ONCE=${ONCE:-} CLUSTER=${CLUSTER:-} setsid setpriv --pdeathsig TERM hack/lib/demonstration.sh </dev/null &
    steps=$!
}

end_steps() {
    local tries=200
    # The group is there a moment after its leader.
    until is_running || ! kill -0 "$steps" 2>/dev/null; do sleep 0.01; done
    kill -TERM -- "-$steps" 2>/dev/null || true
    while is_running && [ "$tries" -gt 0 ]; do
        tries=$((tries - 1))
        if [ "$tries" -eq 60 ]; then kill -KILL -- "-$steps" 2>/dev/null || true; fi
        sleep 0.05
    done
}

# shellcheck disable=SC2317  # a trap calls it
clean_up() {
    trap '' INT TERM HUP
    if [ -n "$steps" ]; then end_steps; fi
    rm -rf "$DEMO"
}

# Ended from outside: a success once the demonstration is over.
# shellcheck disable=SC2317
stop() { # STATUS
    printf '\nStopping.\n'
    if [ -e "$DEMO/demonstrated" ]; then exit 0; fi
    exit "$1"
}

# In the foreground: it may ask for a password, and half an installation would be worse than a late end.
hack/install.sh build run ${CLUSTER:+go}
DEMO=$(mktemp -d "${TMPDIR:-/tmp}/kube-introspect.XXXXXX")
trap clean_up EXIT
trap 'stop 130' INT
trap 'stop 143' TERM
trap 'stop 129' HUP
start_steps
wait "$steps"
