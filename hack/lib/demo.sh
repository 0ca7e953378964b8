# shellcheck shell=bash
# What can be asked of the demonstration that hack/run.sh starts. run.sh uses these functions itself; a second terminal gets
# them, with the variables that they need, from the env file in the demonstration's folder.
#   DEMO         the folder: certs/, config.yaml, logs
#   PROVIDER     https://localhost:PORT
#   WEBHOOK      https://localhost:PORT
#   OPERATIONS   http://localhost:PORT

# -q: nobody's .curlrc; --noproxy: loopback is never behind a proxy.
demo_curl() { # ARGUMENT...
    command curl -q --noproxy '*' --silent --show-error --max-time 30 "$@"
}

provider_curl() { # PATH ARGUMENT...
    demo_curl --cacert "$DEMO/certs/provider-ca.crt" "$PROVIDER$1" "${@:2}"
}

# Logs in and prints the access token. Users: alice, bob, carol; the password is the name.
get_token() { # USER
    provider_curl /token --fail --user kubectl:kubectl-secret --data grant_type=password --data "username=$1" \
        --data "password=$1" --data resource=https://kubernetes.demo | jq --raw-output .access_token
}

# Asks the webhook about a token as kube-apiserver does, and prints the answer. Tokens go through the environment and
# standard input: an argument would show in the list of processes.
review() { # TOKEN [CURL ARGUMENT...]
    TOKEN=$1 jq --null-input --compact-output '{
        apiVersion: "authentication.k8s.io/v1", kind: "TokenReview",
        spec: {token: env.TOKEN, audiences: ["https://kubernetes.default.svc"]}
    }' | demo_curl --cacert "$DEMO/certs/webhook-ca.crt" --cert "$DEMO/certs/kube-apiserver.crt" \
        --key "$DEMO/certs/kube-apiserver.key" --header 'Content-Type: application/json' --data-binary @- \
        "$WEBHOOK/authenticate?timeout=30s" "${@:2}"
}

# Asks the provider about a token as the webhook does (RFC 7662), and prints the reply.
introspect() { # TOKEN
    printf %s "$1" | provider_curl /token/introspection --fail --user kube-introspect:Vd3kPz7mQx1sTb9w \
        --data-urlencode token@-
}

# Revokes a token at the provider (RFC 7009).
revoke() { # TOKEN
    printf %s "$1" | provider_curl /token/revocation --fail --user kubectl:kubectl-secret --data-urlencode token@-
}

# Changes a user's groups at the provider.
set_groups() { # USER GROUP...
    jq --null-input --compact-output '$ARGS.positional' --args "${@:2}" |
        provider_curl "/demo/groups/$1" --fail --request PUT --data-binary @-
}
