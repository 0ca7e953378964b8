#!/bin/bash
# Every shell script of the tree by shellcheck, every YAML file that an admin reads by yamllint.
set -u
cd "$(dirname "$0")/.." || exit 1
status=0
mapfile -t scripts < <(git ls-files -co --exclude-standard | xargs grep -lE '^#!/bin/(ba)?sh' 2>/dev/null)
shellcheck -x "${scripts[@]}" || status=1
yamllint -c hack/yamllint.yaml manifests || status=1
exit "$status"
