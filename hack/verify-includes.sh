#!/bin/bash
# Layers only look down, each third-party library is known to one place, and each module has a header of its name.
set -u
cd "$(dirname "$0")/.." || exit 1
layers=(base wire core ops net command)
status=0

complain() {
    echo "$1"
    status=1
}

for ((i = 0; i < ${#layers[@]}; i++)); do
    for ((j = i + 1; j < ${#layers[@]}; j++)); do
        while IFS= read -r line; do
            complain "$line: ${layers[i]}/ may not include ${layers[j]}/: includes point down only; move the type or return a question"
        done < <(grep -nE "^#include \"${layers[j]}/" "webhook/${layers[i]}"/*.[ch])
    done
done

# fence PATTERN PLACES-AS-EGREP WAY-OUT
fence() {
    while IFS= read -r line; do
        complain "$line: $3"
    done < <(grep -rnE "^#include <($1)" webhook | grep -vE "^webhook/($2):")
}
fence 'h2o(\.h|/)' 'net/[a-z_0-9]*\.[ch]' 'h2o is known to net/ only'
fence 'curl/' 'net/[a-z_0-9]*\.[ch]|main\.c' 'libcurl is known to net/ (and started by main.c) only'
fence 'http_parser' 'net/framing\.h' 'http_parser is known to net/framing only'
fence 'jansson' 'wire/[a-z_0-9]*\.[ch]' 'jansson is known to wire/ only: ask wire/claims.h'
fence 'yaml' 'ops/yaml\.[ch]' 'libyaml is known to ops/yaml.c only'
fence 'openssl/' 'base/(digest|secret|base64)\.c|core/jwt[a-z_]*\.c|net/[a-z_0-9]*\.[ch]' 'OpenSSL is known to base/ crypto and net/ only'

# Whoever follows the includes (hack/fuzz.sh does) finds the module of each header beside it.
for source in webhook/{base,wire,core,ops,net}/*.c; do
    [ -f "${source%.c}.h" ] || complain "$source: has no header of its name: what it defines is declared in ${source%.c}.h"
done
exit "$status"
