#!/bin/bash
# Renders every kustomization of manifests/ with the kubectl that hack/kubernetes.sh built: each must succeed, give something, and
# warn of nothing.
#   hack/render-manifests.sh [DIR]
#   DIR    keep what is rendered there, one file each: base.yaml, overlays-kind.yaml, ...
#   KUBECTL=FILE    use this one
#
# Without a kubectl it says so and ends with 0 (CI has one whenever test/e2e/cluster runs, which calls this): nothing was checked then.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
failed=0 rendered=0

# The newest of those that were built here; one in PATH may be of any age.
find_kubectl() {
    local found
    found=$(find "${XDG_CACHE_HOME:-$HOME/.cache}/kube-introspect" -path '*/kubernetes-*/bin/kubectl' -printf '%T@ %p\n' 2>/dev/null |
        sort -rn | head -n 1)
    printf '%s' "${found#* }"
}

render() { # FOLDER
    local name=${1#"$root/manifests/"} output=$work/out.yaml complaint
    if ! complaint=$("$kubectl" kustomize "$1" 2>&1 >"$output") || [ -n "$complaint" ]; then
        printf 'manifests/%s does not render cleanly: %s\n' "$name" "$complaint"
        failed=$((failed + 1))
    elif ! grep -q '^kind: ' "$output"; then
        printf 'manifests/%s renders nothing\n' "$name"
        failed=$((failed + 1))
    else
        rendered=$((rendered + 1))
        if [ -n "$keep" ]; then mv "$output" "$keep/${name//\//-}.yaml"; fi
    fi
}

keep=${1:-}
kubectl=${KUBECTL:-$(find_kubectl)}
if [ -z "$kubectl" ]; then
    echo 'hack/render-manifests.sh: skipped, nothing was checked: no kubectl (hack/kubernetes.sh kubectl builds one)'
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -n "$keep" ]; then mkdir -p "$keep"; fi
mapfile -t folders < <(find "$root/manifests" -name kustomization.yaml -printf '%h\n' | sort)
for folder in "${folders[@]}"; do render "$folder"; done
echo "hack/render-manifests.sh: $rendered rendered, $failed failed"
[ "$failed" -eq 0 ] && [ "$rendered" -gt 0 ]
