# shellcheck shell=bash
# What the image is called and labelled, for scripts that source this in the root of the tree. VERSION, REVISION, SOURCE and
# SOURCE_DATE_EPOCH are taken from the environment, or from git.

of_git() { # COMMAND...
    git "$@" 2>/dev/null || echo unknown
}

# Only an address that others can reach too.
source_address() {
    local remote
    remote=$(git config --get remote.origin.url 2>/dev/null || true)
    case $remote in
    https://*@*) ;; # it may hold a password
    https://*) printf '%s' "${remote%.git}" && return ;;
    esac
    printf 'https://kube-introspect.io'
}

VERSION=${VERSION:-$(of_git describe --tags --always --dirty)}
REVISION=${REVISION:-$(of_git rev-parse HEAD)}
SOURCE=${SOURCE:-$(source_address)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
