#!/bin/bash
# Makes a set of development certificates. README.md beside this file says what each is for. Never for production.
#   certs/make.sh DIR [NAME...]
#
# DIR   is made if it is not there; it holds private keys and is readable by its owner only
# NAME  more names for the webhook's server certificate: a DNS name or an IP address
#       (localhost, 127.0.0.1 and ::1 are always there)
#
# What is there and good for 30 days more is kept: run it again to renew, and delete one pair (webhook.crt, webhook.key)
# to rotate just that one.
set -euo pipefail

if [ $# -lt 1 ]; then
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
umask 077
mkdir -p "$1"
cd "$1"
shift

AUTHORITY_DAYS=3650
LEAF_DAYS=397
RENEW_SECONDS=$((30 * 24 * 3600))

# The file names of half-made pairs; an interrupted run leaves none behind.
trap 'rm -f new.crt new.key new.csr' EXIT

# Arguments of openssl req that make a P-256 key without a passphrase.
P256=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout new.key)

quietly() {
    local output
    if ! output=$("$@" 2>&1); then
        printf 'certs/make.sh: %s\n%s\n' "$*" "$output" >&2
        return 1
    fi
}

is_good() { # CERTIFICATE
    [ -s "$1.crt" ] && [ -s "$1.key" ] && openssl x509 -in "$1.crt" -noout -checkend "$RENEW_SECONDS" >/dev/null 2>&1
}

# The key first: a reader that sees the pair change half way finds a pair that does not fit, and keeps its old one.
publish() { # NAME
    chmod 644 new.crt
    mv new.key "$1.key"
    mv new.crt "$1.crt"
}

authority() { # NAME COMMON_NAME
    if is_good "$1"; then return; fi
    COMMON_NAME=$2 quietly openssl req -x509 "${P256[@]}" -config "$here/authority.cnf" -days "$AUTHORITY_DAYS" -out new.crt
    publish "$1"
}

leaf() { # NAME AUTHORITY
    if is_good "$1" && openssl verify -CAfile "$2.crt" "$1.crt" >/dev/null 2>&1; then return; fi
    quietly openssl req -new "${P256[@]}" -config "$here/$1.cnf" -out new.csr
    quietly openssl x509 -req -in new.csr -CA "$2.crt" -CAkey "$2.key" -days "$LEAF_DAYS" -extfile "$here/$1.cnf" \
        -extensions extensions -out new.crt
    rm -f new.csr
    publish "$1"
}

is_address() { [[ $1 == *:* || $1 =~ ^[0-9]+(\.[0-9]+){3}$ ]]; }

# Sets ALT_NAMES, which webhook.cnf reads, and removes a webhook certificate that lacks one of the names.
webhook_names() { # NAME...
    local name check all=()
    for name in "$@"; do
        if is_address "$name"; then all+=("IP:$name") check=-checkip; else all+=("DNS:$name") check=-checkhost; fi
        if [ -s webhook.crt ] && openssl x509 -in webhook.crt -noout "$check" "$name" | grep -q 'does NOT match'; then
            rm -f webhook.crt webhook.key
        fi
    done
    ALT_NAMES=$(IFS=,; printf '%s' "${all[*]}")
    export ALT_NAMES
}

webhook_names localhost 127.0.0.1 ::1 "$@"
authority webhook-ca 'kube-introspect development: webhook CA'
leaf webhook webhook-ca
authority client-ca 'kube-introspect development: client CA'
leaf kube-apiserver client-ca
authority provider-ca 'kube-introspect development: provider CA'
leaf provider provider-ca
leaf provider-client provider-ca
