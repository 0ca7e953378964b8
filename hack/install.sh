#!/bin/bash
# Installs the Debian packages that are missing. Says nothing and changes nothing when all are there.
#   hack/install.sh SECTION...     sections: build, run, test, lint, go (hack/packages.txt)
#
# Needs root or sudo; without either it prints the one command to run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() { # MESSAGE [LINE...]
    printf 'hack/install.sh: %s\n' "$1" >&2
    [ $# -eq 1 ] || printf '  %s\n' "${@:2}" >&2
    exit 1
}

packages_of() { # SECTION...
    local section package wanted=" $* "
    while read -r section package; do
        if [[ $section != \#* && $wanted == *" $section "* ]]; then printf '%s\n' "$package"; fi
    done <"$here/packages.txt"
}

has_own_node() {
    local version
    command -v npm >/dev/null && version=$(node --version 2>/dev/null) || return 1
    version=${version#v}
    [ "${version%%.*}" -ge 18 ]
}

missing_of() { # PACKAGE...
    local installed package
    installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' "$@" 2>/dev/null || true) "
    for package in "$@"; do
        [[ $installed == *" installed:$package "* ]] || printf '%s\n' "$package"
    done
}

# Waits for other package managers, apt's own lists included, for which apt-get has no option to wait.
apt() { # ARGUMENT...
    local tries=60
    while ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q -y "$@" >"$log" 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ] || ! grep -q 'Could not get lock' "$log"; then return 1; fi
        if [ "$tries" -eq 59 ]; then echo 'Another program is installing packages: waiting for it.'; fi
        sleep 2
    done
}

install() { # PACKAGE...
    apt install --no-install-recommends "$@"
}

update() {
    apt update || apt update
}

[ $# -gt 0 ] || fail 'which section? build, run, test, lint or go'
for section in "$@"; do
    [ -n "$(packages_of "$section")" ] || fail "there is no section $section in hack/packages.txt"
done
mapfile -t wanted < <(packages_of "$@")
command -v dpkg-query >/dev/null ||
    fail 'this is not Debian, so nothing can be installed automatically. What is needed, by its Debian names:' "${wanted[*]}"
mapfile -t missing < <(missing_of "${wanted[@]}")
if [[ " ${missing[*]-} " == *' nodejs '* || " ${missing[*]-} " == *' npm '* ]] && has_own_node; then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | grep -vx -e nodejs -e npm || true)
fi
if [[ " ${missing[*]-} " == *' golang-go '* ]] && command -v go >/dev/null; then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | grep -vx golang-go || true)
fi
if [ "${#missing[@]}" -eq 0 ]; then exit 0; fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null || { ! [ -t 0 ] && ! sudo -n true 2>/dev/null; }; then
        fail 'packages are missing and this needs root. Run as root:' \
            "apt-get update && apt-get install --no-install-recommends -y ${missing[*]}"
    fi
    as_root=(sudo)
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "Installing what is missing: ${missing[*]}"
# Lists that are fresh enough need no update; lists that are absent or old fail the first try.
if ! install "${missing[@]}" && ! { update && install "${missing[@]}"; }; then
    cat "$log" >&2
    fail 'apt-get failed; what it said stands above. Run by hand to see more:' \
        "apt-get update && apt-get install --no-install-recommends -y ${missing[*]}"
fi
