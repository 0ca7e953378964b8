# shellcheck shell=bash
# A real kube-apiserver for the demonstration (make run CLUSTER=1), configured by the files of manifests/apiserver. Sourced by
# hack/lib/demonstration.sh, whose functions and variables it uses.

# What manifests/apiserver/kubeadm.yaml has the API server remember, and the ten seconds that it adds.
API_SERVER_SECONDS=20
API_SERVER_START_SECONDS=60
readonly SHIPPED=manifests/apiserver
KUBERNETES='' ETCD='' API_SERVER=''
etcd='' api_server=''

# ---- what is prepared

prepare_cluster() {
    say 'Looking for kube-apiserver, kubectl and etcd; the first time they are built, which takes some minutes.'
    KUBERNETES=$(hack/kubernetes.sh kube-apiserver kubectl etcd) || fail 'Kubernetes could not be built; why stands above.'
    mkdir -p "$DEMO/cluster/introspect" "$DEMO/cluster/logs"
    run_step cluster-certs.log make_cluster_certificates || fail "The cluster's certificates could not be made:" cluster-certs.log
}

P256=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30)

cluster_leaf() { # NAME SUBJECT EXTENSION
    openssl req -x509 "${P256[@]}" -CA ca.crt -CAkey ca.key -keyout "$1.key" -out "$1.crt" -subj "$2" \
        -addext basicConstraints=critical,CA:FALSE -addext "$3"
}

# Those that the API server shows to its callers and knows its administrator by; those between it and the webhook are of
# certs/make.sh.
make_cluster_certificates() (
    umask 077 && cd "$DEMO/cluster" &&
        openssl req -x509 "${P256[@]}" -keyout ca.key -out ca.crt -subj /CN=cluster-ca -addext keyUsage=critical,keyCertSign &&
        cluster_leaf server /CN=kube-apiserver subjectAltName=DNS:localhost,IP:127.0.0.1 &&
        cluster_leaf admin /O=system:masters/CN=admin extendedKeyUsage=clientAuth &&
        openssl genrsa -out service-account.key 2048
)

# ---- what is started

is_over() { # PID
    ! kill -0 "$1" 2>/dev/null
}

start_etcd() {
    local port peers
    port=$(free_port 20000) peers=$(free_port 26000)
    ETCD=http://127.0.0.1:$port
    in_background "$KUBERNETES/etcd" --name=demo --data-dir="$DEMO/cluster/etcd" --unsafe-no-fsync --log-level=warn \
        --listen-client-urls="$ETCD" --advertise-client-urls="$ETCD" --listen-peer-urls="http://127.0.0.1:$peers" \
        --initial-advertise-peer-urls="http://127.0.0.1:$peers" --initial-cluster="demo=http://127.0.0.1:$peers" \
        >"$DEMO/etcd.log" 2>&1
    etcd=$!
    wait_until "$START_SECONDS" etcd_has_begun || true
    is_etcd_healthy || fail 'etcd did not get ready:' etcd.log
}

is_etcd_healthy() { demo_curl --fail "$ETCD/health" >/dev/null 2>&1; }
etcd_has_begun() { is_etcd_healthy || is_over "$etcd"; }

# The files as they are shipped. Three things are replaced, which manifests/apiserver/README.md names.
adapted() { # FILE
    sed -e "s|/etc/kubernetes/introspect|$DEMO/cluster/introspect|g" -e "s|/var/log/kubernetes|$DEMO/cluster/logs|g" \
        -e "s|https://127.0.0.1:8443|$WEBHOOK|g" "$SHIPPED/$1"
}

install_shipped_files() {
    local name
    for name in webhook.kubeconfig audit-policy.yaml; do adapted "$name" >"$DEMO/cluster/introspect/$name"; done
    cp "$DEMO/certs/webhook-ca.crt" "$DEMO/certs/kube-apiserver.crt" "$DEMO/certs/kube-apiserver.key" "$DEMO/cluster/introspect/"
}

# The extraArgs of kubeadm.yaml, one flag a line.
shipped_flags() {
    adapted kubeadm.yaml | awk '
        /^  [a-zA-Z]+:/ { is_flag = ($1 == "extraArgs:") }
        is_flag && $1 == "-" && $2 == "name:" { name = $3 }
        is_flag && $1 == "value:" { gsub(/"/, "", $2); print "--" name "=" $2 }'
}

start_api_server() {
    local port flags
    install_shipped_files
    mapfile -t flags < <(shipped_flags)
    port=$(free_port 20000) API_SERVER=https://localhost:$port
    in_background "$KUBERNETES/kube-apiserver" --etcd-servers="$ETCD" --bind-address=127.0.0.1 --advertise-address=127.0.0.1 \
        --secure-port="$port" --tls-cert-file="$DEMO/cluster/server.crt" --tls-private-key-file="$DEMO/cluster/server.key" \
        --client-ca-file="$DEMO/cluster/ca.crt" --authorization-mode=Node,RBAC --endpoint-reconciler-type=none \
        --service-account-issuer=https://kubernetes.default.svc --service-cluster-ip-range=10.0.0.0/24 \
        --service-account-signing-key-file="$DEMO/cluster/service-account.key" \
        --service-account-key-file="$DEMO/cluster/service-account.key" "${flags[@]}" >"$DEMO/kube-apiserver.log" 2>&1
    api_server=$!
    write_kubeconfig
    wait_until "$API_SERVER_START_SECONDS" api_server_has_begun || true
    is_api_server_ready || fail 'kube-apiserver did not get ready:' kube-apiserver.log
    say "kube-apiserver runs at $API_SERVER and asks the webhook, by the files of $SHIPPED"
}

is_api_server_ready() {
    demo_curl --fail --cacert "$DEMO/cluster/ca.crt" --cert "$DEMO/cluster/admin.crt" --key "$DEMO/cluster/admin.key" \
        "$API_SERVER/readyz" >/dev/null 2>&1
}
api_server_has_begun() { is_api_server_ready || is_over "$api_server"; }

# Users log in by a file that holds their token: in an argument it would show in the list of processes.
write_kubeconfig() {
    cat >"$DEMO/kubeconfig" <<EOF
apiVersion: v1
kind: Config
clusters:
- name: demo
  cluster: {server: "$API_SERVER", certificate-authority: "$DEMO/cluster/ca.crt"}
users:
- name: admin
  user: {client-certificate: "$DEMO/cluster/admin.crt", client-key: "$DEMO/cluster/admin.key"}
- name: alice
  user: {tokenFile: "$DEMO/alice.token"}
- name: bob
  user: {tokenFile: "$DEMO/bob.token"}
contexts:
- {name: admin, context: {cluster: demo, user: admin}}
- {name: alice, context: {cluster: demo, user: alice}}
- {name: bob, context: {cluster: demo, user: bob}}
current-context: alice
EOF
}

demo_kubectl() { # ARGUMENT...
    "$KUBERNETES/kubectl" --kubeconfig="$DEMO/kubeconfig" --cache-dir="$DEMO/cluster/kubectl-cache" "$@"
}

# Developers may read config maps.
let_developers_read() {
    demo_kubectl --context=admin apply --filename=- <<'EOF'
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: demo-readers}
rules:
- {apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: demo-developers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: demo-readers}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: "demo:developers"}
EOF
}

start_cluster() {
    start_etcd
    start_api_server
    run_step rbac.log let_developers_read || fail 'kubectl could not bind the group:' rbac.log
}

# ---- what is shown

# Runs kubectl, shows command and output; gives its exit status.
show_kubectl() { # ARGUMENT...
    local status=0 output
    output=$(demo_kubectl "$@" 2>&1) || status=$?
    say "  \$ kubectl $*"
    indented <<<"$output"
    return "$status"
}

is_unauthorized() {
    local said
    ! said=$(demo_kubectl auth whoami 2>&1) && [[ $said == *Unauthorized* ]]
}

show_joined_records() {
    local credential
    credential=$(jq --raw-output 'select(.verdict == "allow" and .user.username == "demo:alice").credential' "$DEMO/audit.jsonl" | head -n 1)
    title "Who she was, says the webhook's audit log ($DEMO/audit.jsonl):"
    jq --compact-output --arg credential "$credential" 'select(.credential == $credential)' "$DEMO/audit.jsonl" |
        jq --slurp --compact-output '.[0], .[-1]' | pretty_lines | indented
    title "What she did, says the API server's ($DEMO/cluster/logs/audit.jsonl):"
    jq --compact-output --arg credential "$credential" '
        select(.user.extra["kube-introspect.io/credential"] == [$credential]) |
        {verb, requestURI, code: .responseStatus.code, credential: .user.extra["kube-introspect.io/credential"][0]}
    ' "$DEMO/cluster/logs/audit.jsonl" | sort -u | head -n 3 | pretty_lines | indented
}

log_in() { # USER
    (umask 077 && get_token "$1" >"$DEMO/$1.token") || fail 'The provider gave no token:' provider.log
}

demonstrate_cluster() {
    local started
    log_in alice
    log_in bob
    title 'alice has logged in at the provider. Her token is opaque; to the API server she is:'
    show_kubectl auth whoami || fail 'kube-apiserver does not let alice in:' kube-apiserver.log
    title 'A ClusterRoleBinding lets the group demo:developers read config maps. alice is in it, bob is not:'
    show_kubectl get configmaps --namespace=default || fail 'alice may not read config maps:' kube-apiserver.log
    if show_kubectl --context=bob get configmaps --namespace=default; then fail 'bob may read config maps.'; fi

    title "alice's token is revoked at the provider. kubectl asks again and again:"
    revoke "$(<"$DEMO/alice.token")" || fail 'The provider did not revoke the token:' provider.log
    started=$EPOCHREALTIME
    wait_until $((API_SERVER_SECONDS + TTL_SECONDS + 5)) is_unauthorized ||
        fail 'The revoked token is still accepted:' webhook.log
    say "  refused after $(($(milliseconds "$started") / 1000)) s; the most it can take is $((API_SERVER_SECONDS + TTL_SECONDS)) s: the webhook's cache.ttl," \
        '  what kube-apiserver is told to remember, and ten seconds that it adds'
    show_kubectl auth whoami || true
    show_joined_records
}

say_what_next_in_cluster() {
    title 'All stays up until Ctrl-C. In a second terminal (bash), here:'
    cat <<EOF
  . $DEMO/env

  # log in, and be somebody (the contexts: alice, bob, admin)
  get_token alice >\$DEMO/alice.token
  kubectl auth whoami
  kubectl get configmaps
  kubectl --context=bob get configmaps

  # make bob a developer at the provider; in the cluster he is one at most ${API_SERVER_SECONDS} s later
  set_groups bob developers
  kubectl --context=bob get configmaps

  # revoke, and see 401 at most $((API_SERVER_SECONDS + TTL_SECONDS)) s later
  revoke "\$(<\$DEMO/alice.token)"
  until kubectl auth whoami 2>&1 | grep Unauthorized; do sleep 1; done

  # the reason, and what the API server logged
  tail -n 1 $DEMO/audit.jsonl | jq
  tail -n 1 $DEMO/cluster/logs/audit.jsonl | jq
EOF
}
