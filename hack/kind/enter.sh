#!/bin/bash
# Runs a command as if on the machine that the cluster of hack/kind-up.sh runs on: with its network, which has no way out, its
# kubeconfig and its programs (kubectl, kind, docker).
#   hack/kind/enter.sh COMMAND...      for example: hack/kind/enter.sh kubectl get pods --all-namespaces
set -euo pipefail
# shellcheck source=hack/lib/kind.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/kind.sh"
is_up || fail 'hack/kind/enter.sh: no cluster is up; hack/kind-up.sh starts one'
PATH=$(cat "$STATE/path"):$PATH
inside "$@"
