#!/bin/bash
# Functions with a better sister are not called.
set -u
cd "$(dirname "$0")/.." || exit 1
status=0

# ban NAME INSTEAD
ban() {
    while IFS= read -r line; do
        echo "$line: $1() is not used here: $2"
        status=1
    done < <(grep -rnE "(^|[^a-zA-Z0-9_])$1\(" webhook --include='*.[ch]' | grep -vE '^[^:]+:[0-9]+: *(/?\*|//)')
}
for name in strcpy strcat strncpy strncat sprintf vsprintf gets; do
    ban "$name" "use snprintf, memcpy with a checked length, or struct buffer"
done
ban atoi "use strtoll and look at its end pointer"
ban atol "use strtoll and look at its end pointer"
ban strtok "it keeps state between calls: walk the text with memchr"
ban alloca "the stack is bounded: use the heap or a fixed array"
ban system "nothing is ever run through a shell"
ban popen "nothing is ever run through a shell"
ban rand "use getrandom"
exit "$status"
