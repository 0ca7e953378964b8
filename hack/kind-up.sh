#!/bin/bash
# Starts a kind cluster that logs users in by kube-introspect: a real OpenID provider, a node whose API server has the files and flags
# of manifests/apiserver, and our image deployed as manifests/overlays/kind has it. hack/kind-down.sh removes it all.
#   hack/kind-up.sh
#   BUILD=DIR             the build folder, which holds the program already; default build
#   KIND_NODE_IMAGE=NAME  the node's image, taken from the machine's docker, which fetches it if need be; without it one is made from
#                         Debian packages and Go modules, the first time only (hack/kind/node-image.sh)
#   KIND_STATE=DIR        where all of it lies, default /tmp/kube-introspect-kind
#   KIND_CACHE_TTL=TIME   how long the API server remembers an answer, default 1s
#
# It needs root and a machine that allows containers. Where it does not, the exit status is 77 and the last line
# "0 passed, 1 skipped". The cluster's network has no way out: hack/kind/enter.sh runs a command inside.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
BUILD=${BUILD:-build}
# shellcheck source=hack/lib/kind.sh
. hack/lib/kind.sh
# shellcheck source=hack/kind/versions.sh
. hack/kind/versions.sh
CLUSTER=kube-introspect
NAMESPACE=kube-introspect
SUBNET=172.28.0.0/16 GATEWAY=172.28.0.1
# As manifests/overlays/kind has them.
WEBHOOK_IMAGE=localhost/kube-introspect:kind
WEBHOOK_ADDRESS=10.96.0.84
WEBHOOK_NAME=kube-introspect.kube-introspect.svc
CLIENT_SECRET=Vd3kPz7mQx1sTb9w # hack/provider/clients.mjs
PLACEHOLDER=https://provider.invalid
TRIES=150

skip() { # LINE...
    say 'Skipped, since this machine allows no containers:' "$@"
    hack/kind-down.sh
    say '0 passed, 1 skipped'
    exit "$SKIPPED"
}

# Runs a step, and shows what it said only when it fails.
step() { # LOG COMMAND...
    local log=$STATE/$1
    "${@:2}" >"$log" 2>&1 || fail "${*:2} failed; the end of $log:" "$(tail -n 30 "$log")"
}

wait_until() { # COMMAND...
    local tries=$TRIES
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.2
    done
}

kubectl() { inside "$bin/kubectl" "$@"; }

# ---- the container engine

children_of() { tr -d ' ' <"/proc/$1/task/$1/children"; }
has_child() { [ -n "$(children_of "$1")" ]; }
engine_answers() { inside docker info >/dev/null 2>&1; }
has_ended() { ! kill -0 "$1" 2>/dev/null; }
engine_answers_or_ended() { has_ended "$1" || engine_answers; }

# Before anything is built.
check_machine() {
    local said
    [ "$(id -u)" -eq 0 ] || skip '  it needs root'
    said=$(unshare --net --pid --mount --fork true 2>&1) || skip "  $said"
}

start_engine() {
    local namespaces
    setsid unshare --net --pid --mount --fork --kill-child --mount-proc hack/kind/engine.sh "$STATE" >/dev/null 2>&1 </dev/null &
    namespaces=$!
    printf '%s\n' "$namespaces" >"$STATE/namespaces.pid"
    wait_until has_child "$namespaces" || skip '  its first process did not start'
    children_of "$namespaces" >"$STATE/engine.pid"
    wait_until engine_answers_or_ended "$namespaces" || true
    engine_answers || skip '  the container engine does not start; the end of its log:' "$(tail -n 5 "$STATE/engine.log")"
}

# Sets node_image.
load_node_image() {
    local file
    if [ -n "${KIND_NODE_IMAGE:-}" ]; then
        node_image=$KIND_NODE_IMAGE
        docker image inspect "$node_image" >/dev/null 2>&1 || docker pull "$node_image"
        docker save "$node_image" | inside docker load
        return
    fi
    node_image=kube-introspect-node:local
    file=$(hack/kind/node-image.sh)
    inside docker import --change 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]' --change 'ENV container=docker' \
        "$file" "$node_image" >/dev/null
}

try_a_container() {
    inside docker run --rm --privileged --network none --entrypoint /bin/true "$node_image" >"$STATE/try.log" 2>&1 ||
        skip "  $(tail -n 3 "$STATE/try.log")"
}

# ---- the provider

make_certificates() {
    local request=$STATE/provider.cnf certs=$STATE/certs
    step certs.log certs/make.sh "$certs" "$WEBHOOK_NAME" "$WEBHOOK_ADDRESS"
    # The provider's has the gateway's address as well, since pods reach it there.
    sed "s/^subjectAltName = .*/&, IP:$GATEWAY/" certs/provider.cnf >"$request"
    step certs.log openssl req -new -key "$certs/provider.key" -config "$request" -out "$STATE/provider.csr"
    step certs.log openssl x509 -req -in "$STATE/provider.csr" -CA "$certs/provider-ca.crt" -CAkey "$certs/provider-ca.key" -days 30 \
        -extfile "$request" -extensions extensions -out "$certs/provider.crt"
}

# A process of the engine's namespace, so that it ends with it.
start_provider() {
    inside docker network create kind --subnet "$SUBNET" --gateway "$GATEWAY" \
        --opt com.docker.network.bridge.enable_ip_masquerade=false >/dev/null
    step packages.log hack/provider/start.sh --install-only
    setsid nsenter --target "$(cat "$STATE/engine.pid")" --net --pid -- hack/provider/start.sh --certs "$STATE/certs" \
        --address "$GATEWAY" >"$STATE/provider.json" 2>"$STATE/provider.log" </dev/null &
    wait_until test -s "$STATE/provider.json" || fail 'The provider did not start:' "$(cat "$STATE/provider.log")"
    provider=$(jq --raw-output .issuer "$STATE/provider.json")
}

# ---- the cluster

install_files_of_api_server() {
    local folder=$STATE/introspect file
    mkdir -p "$folder" "$STATE/logs"
    for file in {webhook,authorization,admission}.kubeconfig; do
        sed "s#https://127.0.0.1:8443/#https://$WEBHOOK_ADDRESS:443/#" "manifests/apiserver/$file" >"$folder/$file"
    done
    cp manifests/apiserver/{audit-policy,authorization,admission}.yaml "$STATE"/certs/{webhook-ca.crt,kube-apiserver.crt,kube-apiserver.key} \
        "$folder/"
}

create_cluster() {
    local own=()
    [ -n "${KIND_NODE_IMAGE:-}" ] || own=("$REPOSITORY" "$ETCD_TAG" "$COREDNS_TAG")
    install_files_of_api_server
    /usr/bin/python3 hack/kind/config.py "$STATE" "${KIND_CACHE_TTL:-1s}" "${own[@]}" >"$STATE/kind.json"
    step kind.log inside "$programs/kind" create cluster --name "$CLUSTER" --image "$node_image" --config "$STATE/kind.json" --wait 180s
    step kind.log kubectl --namespace kube-system rollout status daemonset/kube-proxy deployment/coredns --timeout=120s
}

create_secret() { # KIND NAME FILE...
    kubectl --namespace "$NAMESPACE" create "$@"
}

create_secrets() {
    local certs=$STATE/certs
    kubectl create namespace "$NAMESPACE"
    printf '%s\n' "$CLIENT_SECRET" >"$STATE/client-secret"
    openssl rand -hex 32 >"$STATE/handle-key"
    create_secret secret tls kube-introspect-tls --cert="$certs/webhook.crt" --key="$certs/webhook.key"
    create_secret secret generic kube-introspect-client-ca --from-file=ca.crt="$certs/client-ca.crt"
    create_secret secret generic kube-introspect-provider --from-file=client-secret="$STATE/client-secret"
    create_secret secret generic kube-introspect-handle --from-file=handle-key="$STATE/handle-key"
    create_secret configmap kube-introspect-provider-ca --from-file=ca.crt="$certs/provider-ca.crt"
}

# The provider's address is known only now.
deploy() {
    cp -R manifests "$STATE/"
    sed -i "s#$PLACEHOLDER#$provider#" "$STATE/manifests/overlays/kind/config.yaml"
    grep -qF "$provider" "$STATE/manifests/overlays/kind/config.yaml" ||
        fail "manifests/overlays/kind/config.yaml does not name $PLACEHOLDER"
    IMAGE=$WEBHOOK_IMAGE step image.log hack/image-offline.sh "$STATE"
    step image.log inside "$programs/kind" load image-archive "$STATE/kube-introspect-image.tar" --name "$CLUSTER"
    step deploy.log create_secrets
    step deploy.log kubectl apply --kustomize "$STATE/manifests/overlays/kind"
    step deploy.log kubectl --namespace "$NAMESPACE" rollout status deployment/kube-introspect --timeout=120s
}

say_where() { # STATUS
    case $1 in
    0 | "$SKIPPED") ;;
    *) say "What was said lies in $STATE; hack/kind-down.sh removes it." >&2 ;;
    esac
}

timed() { # SENTENCE FUNCTION
    local started=$SECONDS
    "$2"
    say "  $((SECONDS - started)) s  $1"
}

! is_up || fail "A cluster is up already; hack/kind-down.sh ends it."
check_machine
hack/install.sh kind run go
rm -rf "$STATE"
mkdir -p "$STATE"
STATE=$(realpath "$STATE")
export KIND_STATE=$STATE
bin=$(hack/kubernetes.sh etcd kube-apiserver kubectl)
programs=$(hack/kind/programs.sh)
printf '%s:%s' "$bin" "$programs" >"$STATE/path"
trap 'say_where $?' EXIT
timed 'a container engine of its own' start_engine
timed "the node's image" load_node_image
try_a_container
make_certificates
timed 'an OpenID provider' start_provider
timed 'a cluster' create_cluster
timed 'kube-introspect in it' deploy
say "A cluster is up. Its network has no way out; a command inside:" '  hack/kind/enter.sh kubectl get pods --all-namespaces'
