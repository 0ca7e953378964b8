#!/bin/bash
# Brings a kind cluster up, runs test/e2e/kind in its network, and takes it down again: make e2e-kind.
#   hack/e2e-kind.sh
#   KEEP=1    leave it up; with one that is up already, only the tests run
#   TEST=EXPRESSION, BUILD, KIND_NODE_IMAGE, KIND_STATE    as in hack/kind-up.sh and make e2e
#
# After a failure BUILD/kind-logs holds what the pods, the API server and each step said.
#
# Where the machine allows no containers the last line is "0 passed, 1 skipped", and the exit status 0.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
BUILD=${BUILD:-build}
export BUILD
# shellcheck source=hack/lib/kind.sh
. hack/lib/kind.sh

# shellcheck disable=SC2317  # finish calls it
keep_logs() {
    local kept=$BUILD/kind-logs
    rm -rf "$kept"
    mkdir -p "$kept"
    cp -R "$STATE"/*.log "$STATE"/logs "$kept/" 2>/dev/null || true
    hack/kind/enter.sh kubectl cluster-info dump --all-namespaces --output-directory="$kept/cluster" >/dev/null 2>&1 || true
    say "What was said is kept in $kept." >&2
}

# shellcheck disable=SC2317  # a trap calls it
finish() { # STATUS
    if [ "$1" -ne 0 ]; then keep_logs; fi
    if [ -z "${KEEP:-}" ]; then hack/kind-down.sh; fi
}

if ! is_up; then
    trap 'finish $?' EXIT
    status=0
    hack/kind-up.sh || status=$?
    if [ "$status" -eq "$SKIPPED" ]; then exit 0; fi
    [ "$status" -eq 0 ] || exit "$status"
fi
KUBE_INTROSPECT_BINARY=$PWD/$BUILD/kube-introspect hack/kind/enter.sh /usr/bin/python3 -m pytest -q -p no:cacheprovider test/e2e/kind \
    ${TEST:+-k "$TEST"}
