#!/bin/bash
# Writes go.mod and go.sum for another release of Kubernetes.
#   hack/kubernetes/update.sh VERSION      for example 1.34.4
#
# Kubernetes' own go.mod names its parts (k8s.io/api and so on) without a version, since they lie in its source tree. As modules
# they have one, 0.MINOR.PATCH for Kubernetes 1.MINOR.PATCH, and that is what they are replaced by here. etcd is the one that the
# release is tested with. Afterwards set OWN_GO in hack/kubernetes.sh to what the release's .go-version says.
set -euo pipefail
version=${1:?usage: hack/kubernetes/update.sh VERSION}
cd "$(dirname "${BASH_SOURCE[0]}")"
commands=(kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubeadm kubectl kubelet)
export GOWORK=off GOFLAGS=-mod=mod

module=$(cd / && go mod download -json "k8s.io/kubernetes@v$version")
source=$(jq --raw-output .GoMod <<<"$module")
go_line=$(go mod edit -json "$source" | jq --raw-output .Go)
mapfile -t parts < <(go mod edit -json "$source" | jq --raw-output '.Require[] | select(.Version == "v0.0.0").Path')

{
    printf 'module kube-introspect.io/hack/kubernetes\n\ngo %s\n\ngodebug default=go%s\n\n' "$go_line" "${go_line%.*}"
    printf 'require k8s.io/kubernetes v%s\n\ntool (\n' "$version"
    printf '\tk8s.io/kubernetes/cmd/%s\n' "${commands[@]}"
    printf ')\n\nreplace (\n'
    for part in "${parts[@]}"; do printf '\t%s => %s v0.%s\n' "$part" "$part" "${version#1.}"; done
    printf ')\n'
} >go.mod
rm -f go.sum
go get -tool "go.etcd.io/etcd/server/v3@$(go list -m -f '{{.Version}}' go.etcd.io/etcd/server/v3)"
go list -deps tool >/dev/null
