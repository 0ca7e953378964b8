#!/bin/bash
# Fetches the CustomResourceDefinitions that manifests/components use, as their projects release them, and prints the folder
# where they lie.
#   hack/crds.sh
#
# They are files of Go modules, so Go's proxy has them, and Go checks what comes. Each version and its checksum stands below;
# what is there already is not fetched again. To move to another version, change both: "go mod download -json MODULE@VERSION"
# says the Sum.
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kube-introspect
CERT_MANAGER=github.com/cert-manager/cert-manager@v1.19.1
CERT_MANAGER_SUM=h1:Txh8L/nLWTDcb7ZnXuXbTe15BxQnLbLirXmbNk0fGgY=
PROMETHEUS_OPERATOR=github.com/prometheus-operator/prometheus-operator@v0.85.0
PROMETHEUS_OPERATOR_SUM=h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=

fail() { # LINE...
    printf 'hack/crds.sh: %s\n' "$@" >&2
    exit 1
}

field() { # NAME, of the JSON on standard input that "go mod download" prints
    sed -n "s/^\t\"$1\": \"\(.*\)\",\{0,1\}\$/\1/p"
}

fetch() { # MODULE SUM FILE...
    local answer folder sum
    # Outside of any module, whose go.mod would have a say.
    answer=$(cd / && go mod download -json "$1") || fail "$1: $(field Error <<<"$answer")"
    sum=$(field Sum <<<"$answer")
    [ "$sum" = "$2" ] || fail "$1 has the checksum $sum, and should have $2"
    folder=$(field Dir <<<"$answer")
    (cd "$folder" && cp -- "${@:3}" "$new/")
}

command -v go >/dev/null || fail 'Go is not in PATH: apt-get install golang-go'
# Another list of files or versions is another folder.
folder=$cache/crds-$(sha256sum <"${BASH_SOURCE[0]}" | cut -c 1-16)
if [ ! -d "$folder" ]; then
    mkdir -p "$cache"
    new=$(mktemp -d "$cache/new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    fetch "$CERT_MANAGER" "$CERT_MANAGER_SUM" deploy/crds/cert-manager.io_{certificates,issuers}.yaml
    fetch "$PROMETHEUS_OPERATOR" "$PROMETHEUS_OPERATOR_SUM" \
        example/prometheus-operator-crd/monitoring.coreos.com_{servicemonitors,prometheusrules}.yaml
    chmod -R u+w "$new"
    # Somebody else may have been faster.
    mv -T "$new" "$folder" 2>/dev/null || [ -d "$folder" ]
fi
printf '%s\n' "$folder"
