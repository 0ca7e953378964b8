#!/bin/bash
# The steps of the demonstration, and what they say. hack/run.sh starts this in the folder DEMO, with BUILD, ONCE and CLUSTER set,
# and ends all that it leaves running.
# shellcheck disable=SC2317  # functions that wait_until calls look unused
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=hack/lib/demo.sh
. hack/lib/demo.sh
# shellcheck source=hack/lib/cluster.sh
. hack/lib/cluster.sh

TTL_SECONDS=1
START_SECONDS=15
provider='' webhook=''

bold='' plain='' jq_colour=--monochrome-output
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m' jq_colour=--color-output; fi

say() { printf '%s\n' "$@"; }
title() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }

fail() { # MESSAGE [LOG]
    say '' "$1" >&2
    if [ $# -gt 1 ]; then
        mkdir -p "$BUILD/run"
        cp "$DEMO/$2" "$BUILD/run/$2"
        tail -n 20 "$DEMO/$2" | sed 's/^/    /' >&2
        say "The whole log: $BUILD/run/$2" >&2
    fi
    exit 1
}

run_step() { # LOG COMMAND...
    "${@:2}" >"$DEMO/$1" 2>&1
}

# Ended by the kernel where this script is killed outright.
in_background() { # COMMAND...
    setpriv --pdeathsig TERM "$@" &
}

wait_until() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    until "${@:2}"; do
        if [ "$SECONDS" -ge "$end" ]; then return 1; fi
        sleep 0.05
    done
}

milliseconds() { # since EPOCHREALTIME
    local now=${EPOCHREALTIME/[.,]/} then=${1/[.,]/}
    printf '%s' "$(((now - then) / 1000))"
}

# ---- what is started

prepare() {
    say "Building $BUILD/kube-introspect (the first time takes a minute)."
    run_step build.log make -j"$(nproc)" BUILD="$BUILD" build || fail 'The build failed:' build.log
    say 'Making development certificates.'
    run_step certs.log certs/make.sh "$DEMO/certs" || fail 'The certificates could not be made:' certs.log
    say 'Fetching the demo provider (the first time only).'
    run_step packages.log hack/provider/start.sh --install-only || fail 'npm could not fetch the provider:' packages.log
}

start_provider() {
    in_background hack/provider/start.sh --certs "$DEMO/certs" >"$DEMO/provider.json" 2>"$DEMO/provider.log"
    provider=$!
    wait_until "$START_SECONDS" provider_is_ready || true
    [ -s "$DEMO/provider.json" ] || fail 'The provider did not start:' provider.log
    PROVIDER=$(jq --raw-output .issuer "$DEMO/provider.json")
    say "An OpenID provider (oidc-provider) runs at $PROVIDER"
}

provider_is_ready() {
    [ -s "$DEMO/provider.json" ] || ! kill -0 "$provider" 2>/dev/null
}

# Prints a port of the 6000 from FROM on where nobody listens; they lie below those that the kernel gives to outgoing connections.
free_port() { # FROM
    local port
    while port=$((RANDOM % 6000 + $1)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    printf '%s' "$port"
}

write_configuration() { # PORT OPERATIONS_PORT
    printf 'Vd3kPz7mQx1sTb9w\n' >"$DEMO/client-secret"
    cat >"$DEMO/config.yaml" <<EOF
apiVersion: kube-introspect.io/v1alpha1
kind: WebhookConfiguration
cluster: demo
apiAudiences: [https://kubernetes.default.svc]
listeners:
  authentication:
    address: 127.0.0.1:$1
    tls:
      certFile: certs/webhook.crt
      keyFile: certs/webhook.key
      clientCAFile: certs/client-ca.crt
      clientNames: [kube-apiserver]
  operations:
    address: 127.0.0.1:$2
issuers:
- name: demo
  issuer:
    url: $PROVIDER
    audiences: [kubernetes]
    certificateAuthorityFile: certs/provider-ca.crt
  tokens:
    jwt: true
    opaque: true
    clientIDs: [kubectl]
  introspection:                          # the endpoint comes from the provider's discovery document
    client: {id: kube-introspect, method: client_secret_basic, secretFile: client-secret}
    absentTokenType: Refuse
    timeout: 10s                          # instead of 2 s: the provider shares this machine
  cache: {ttl: ${TTL_SECONDS}s, negativeTTL: ${TTL_SECONDS}s}
  claimMappings:
    username: {claim: preferred_username, prefix: "demo:"}
    groups: {claim: groups, prefix: "demo:"}
    uid: {claim: sub}
    extra:
    - {key: example.com/email, claim: email}
audit: {path: audit.jsonl, whenUnwritable: Refuse}
log: {level: info, format: text}
EOF
}

is_ready() { demo_curl --fail "$OPERATIONS/readyz" >/dev/null 2>&1; }
webhook_is_ready() {
    is_ready || ! kill -0 "$webhook" 2>/dev/null
}

start_webhook() {
    local port operations
    port=$(free_port 20000) operations=$(free_port 26000)
    write_configuration "$port" "$operations"
    WEBHOOK=https://localhost:$port OPERATIONS=http://localhost:$operations
    in_background "$BUILD/kube-introspect" serve --config "$DEMO/config.yaml" >"$DEMO/webhook.log" 2>&1
    webhook=$!
    wait_until "$START_SECONDS" webhook_is_ready || true
    is_ready || fail 'The webhook did not get ready:' webhook.log
    say "The webhook runs at $WEBHOOK"
}

# ---- what is shown

pretty() { jq --indent 2 "$jq_colour" "${1:-.}"; }
indented() { sed 's/^/  /'; }

# Asks, and sets answer (the JSON), http_status and n_asked.
n_asked=0
ask() { # TOKEN
    local reply
    reply=$(review "$1" --write-out '\n%{http_code}') || fail 'The webhook does not answer:' webhook.log
    answer=${reply%$'\n'*} http_status=${reply##*$'\n'} n_asked=$((n_asked + 1))
}

# The audit log is written by a thread of its own, a moment after the answer.
is_recorded() { [ "$(wc -l <"$DEMO/audit.jsonl")" -ge "$n_asked" ]; }
milliseconds_of() { # FIELD of the last audit record
    wait_until 5 is_recorded || fail 'The audit log lacks a line:' audit.jsonl
    tail -n 1 "$DEMO/audit.jsonl" | jq ".$1 / 10 | round / 100"
}

is_authenticated() { jq --exit-status '.status.authenticated == true' <<<"$answer" >/dev/null; }
is_refused() { jq --exit-status '.status.authenticated != true and (.status | has("error") | not)' <<<"$answer" >/dev/null; }

show_question() { # TOKEN
    title 'kube-apiserver has got this token and asks the webhook whose it is:'
    say "  POST $WEBHOOK/authenticate?timeout=30s" '  Content-Type: application/json'
    jq --null-input --arg length "${#1}" '{
        apiVersion: "authentication.k8s.io/v1", kind: "TokenReview",
        spec: {token: "(the token: \($length) characters)", audiences: ["https://kubernetes.default.svc"]}
    }' | pretty | indented
}

show_answer() { # TITLE
    title "$1"
    pretty .status <<<"$answer" | indented
}

wait_for_refusal() { # TOKEN
    ask "$1"
    is_refused
}

show_records() {
    title "What the audit log says of this token ($DEMO/audit.jsonl):"
    # The first answer, one from the cache, the refusal: an answer between two that read the same is left out.
    jq --slurp --compact-output '
        .[0].credential as $credential | map(select(.credential == $credential)) |
        [.[0]] + (map(select(.verdict == "allow" and .cache == "hit")) | .[:1]) + (map(select(.verdict == "deny")) | .[:1]) | .[]
    ' "$DEMO/audit.jsonl" | pretty_lines | indented
    title "What was counted ($OPERATIONS/metrics):"
    demo_curl "$OPERATIONS/metrics" | grep -E '^kube_introspect_(reviews|cache_lookups|introspection_calls)_total\{' | indented
}

pretty_lines() { jq --compact-output "$jq_colour" .; }

demonstrate() {
    local token spent asking started waited
    token=$(get_token alice) || fail 'The provider gave no token:' provider.log
    say '' "alice has logged in at the provider and got an opaque access token."
    show_question "$token"
    ask "$token"
    is_authenticated || fail "The webhook did not accept the token; it answered: $answer" webhook.log
    asking=$(milliseconds_of providerMicroseconds) spent=$(milliseconds_of durationMicroseconds)
    show_answer "The webhook asks the provider (RFC 7662), which takes $asking ms, and answers, HTTP $http_status, after $spent ms:"
    ask "$token"
    spent=$(milliseconds_of durationMicroseconds)
    say '' "Asked again, it answers from its cache after $spent ms."

    title "alice's token is revoked at the provider (POST /token/revocation, RFC 7009)."
    revoke "$token" || fail 'The provider did not revoke the token:' provider.log
    started=$EPOCHREALTIME
    wait_until 10 wait_for_refusal "$token" || fail "The token is still accepted; the last answer: $answer" webhook.log
    waited=$(milliseconds "$started")
    show_answer "Refused $waited ms later (cache.ttl is ${TTL_SECONDS}s, and is the most it can take):"
    show_records
}

write_env() {
    cat >"$DEMO/env" <<EOF
DEMO='$DEMO' PROVIDER='$PROVIDER' WEBHOOK='$WEBHOOK' OPERATIONS='$OPERATIONS'
. '$PWD/hack/lib/demo.sh'
EOF
    if [ -z "$CLUSTER" ]; then return; fi
    cat >>"$DEMO/env" <<EOF
export KUBECONFIG='$DEMO/kubeconfig' KUBECACHEDIR='$DEMO/cluster/kubectl-cache'
PATH='$KUBERNETES':\$PATH
EOF
}

say_what_next() {
    title 'Both stay up until Ctrl-C. In a second terminal (bash), here:'
    cat <<EOF
  . $DEMO/env

  # another user, and what the webhook says
  token=\$(get_token bob)
  review "\$token" | jq .status

  # new groups at the provider are the cluster's groups ${TTL_SECONDS}s later
  set_groups bob viewers on-call
  review "\$token" | jq .status.user.groups

  # how the provider's reply becomes this identity, rule by rule
  introspect "\$token" >$DEMO/reply.json
  $BUILD/kube-introspect explain --config $DEMO/config.yaml --reply $DEMO/reply.json

  # the configuration, checked against the running provider
  $BUILD/kube-introspect check --config $DEMO/config.yaml --online

  # a refusal, its reason, and the figures
  revoke "\$token"; sleep ${TTL_SECONDS}; review "\$token" | jq .status
  tail -n 1 $DEMO/audit.jsonl | jq
  curl $OPERATIONS/metrics
EOF
}

end_webhook() {
    kill -TERM "$webhook"
    wait "$webhook" || fail "The webhook ended with status $? when it was told to stop:" webhook.log
}

stay_up() {
    local all=("$provider" "$webhook")
    if [ -n "$CLUSTER" ]; then all+=("$etcd" "$api_server"); fi
    wait -n "${all[@]}" || true
    if [ -n "$CLUSTER" ] && is_over "$etcd"; then fail 'etcd has ended:' etcd.log; fi
    if [ -n "$CLUSTER" ] && is_over "$api_server"; then fail 'kube-apiserver has ended:' kube-apiserver.log; fi
    if kill -0 "$webhook" 2>/dev/null; then fail 'The provider has ended:' provider.log; fi
    fail 'The webhook has ended:' webhook.log
}

prepare
if [ -n "$CLUSTER" ]; then prepare_cluster; fi
start_provider
start_webhook
if [ -n "$CLUSTER" ]; then start_cluster; fi
write_env
if [ -n "$CLUSTER" ]; then demonstrate_cluster; else demonstrate; fi
touch "$DEMO/demonstrated"
if [ -n "$ONCE" ]; then
    end_webhook
    exit 0
fi
if [ -n "$CLUSTER" ]; then say_what_next_in_cluster; else say_what_next; fi
stay_up
