#!/bin/bash
# Starts the demo OpenID provider on loopback, in the foreground.
#   hack/provider/start.sh --certs DIR [--address A] [--port N] [--token-ttl SECONDS] [--exit-with-parent]
#   hack/provider/start.sh --install-only
#
# --certs             a folder that certs/make.sh has filled
# --address           default 127.0.0.1; its certificate must have another one as a name
# --port              default 0: any free one
# --exit-with-parent  ends when its standard input is closed
# --install-only      fetches the packages and starts nothing
#
# One JSON line on standard output says that it is ready: {"issuer":"https://localhost:PORT","port":PORT,"pid":PID}
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The packages lie outside the tree, in a folder named after the lock file: another lock file, another folder.
hash=$(sha256sum "$here/package-lock.json")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kube-introspect
modules=$cache/provider-${hash:0:16}

install_packages() {
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    if [ -d "$modules" ]; then return; fi # somebody else did it while we waited
    local new
    new=$(mktemp -d "$cache/new.XXXXXX")
    # shellcheck disable=SC2064  # its value is wanted now
    trap "rm -rf '$new'" EXIT
    cp "$here/package.json" "$here/package-lock.json" "$new"
    (cd "$new" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 9>&-)
    mv "$new" "$modules"
    trap - EXIT
    exec 9>&-
}

[ -d "$modules" ] || install_packages
if [ "${1:-}" = --install-only ]; then exit 0; fi
exec node --no-warnings "$here/main.mjs" --modules "$modules" "$@"
