#!/bin/bash
# Prints the path of promtool, which checks and tests alerts (make alerts): the one in PATH, or that of Debian's package "prometheus".
#   hack/promtool.sh
#
# The package itself is not installed, for installing it starts a Prometheus server that runs for good: it is fetched, checked by
# apt as any other, and this one program is taken out of it and kept in ${XDG_CACHE_HOME:-~/.cache}/kube-introspect.
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kube-introspect

fail() { # LINE...
    printf 'hack/promtool.sh: %s\n' "$@" >&2
    exit 1
}

# The lists of apt are renewed only where they lead nowhere: that takes root.
download() {
    apt-get -q download prometheus >log 2>&1 && return
    { [ "$(id -u)" -eq 0 ] && apt-get -q update >log 2>&1 && apt-get -q download prometheus >log 2>&1; } ||
        fail "$(cat log)" 'apt-get could not fetch the package prometheus. Run as root, then try again: apt-get update'
}

if command -v promtool; then exit 0; fi
command -v apt-get >/dev/null || fail 'promtool is not in PATH, and this is not Debian: install it as your system has it'
version=$(apt-cache show --no-all-versions prometheus 2>/dev/null | sed -n 's/^Version: //p')
program=$cache/promtool-${version:-unknown}
if [ -z "$version" ] || [ ! -x "$program" ]; then
    mkdir -p "$cache"
    new=$(mktemp -d "$cache/new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    cd "$new"
    download
    packages=(prometheus_*.deb)
    version=$(dpkg-deb --field "${packages[0]}" Version)
    program=$cache/promtool-$version
    dpkg-deb --fsys-tarfile "${packages[0]}" | tar -x ./usr/bin/promtool
    mv -f usr/bin/promtool "$program"
fi
printf '%s\n' "$program"
