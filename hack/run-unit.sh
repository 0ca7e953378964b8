#!/bin/bash
# Runs unit test programs one after the other and adds up Criterion's figures.
#   hack/run-unit.sh PROGRAM...
set -u
tested=0 passed=0 failed=0 crashed=0 status=0
for program in "$@"; do
    name=${program#*/test/unit/}
    if ! output=$("$program" --color=never 2>&1); then
        status=1
        printf '%s\n' "--- $name" "$(grep -av 'Synthesis:' <<<"$output")" # its figures come with all others
    fi
    line=$(printf '%s\n' "$output" | grep 'Synthesis:' | tail -n 1)
    number() { sed -n "s/.*$1: \([0-9]*\).*/\1/p" <<<"$line"; }
    if [ -z "$line" ] || [ "$(number Tested)" = 0 ]; then
        printf '%s\n' "--- $name ran no test" "$output"
        status=1 crashed=$((crashed + 1))
        continue
    fi
    tested=$((tested + $(number Tested))) passed=$((passed + $(number Passing)))
    failed=$((failed + $(number Failing))) crashed=$((crashed + $(number Crashing)))
    printf '%-28s %s\n' "$name" "${line#*Synthesis: }"
done
printf '[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: %d\n' "$tested" "$passed" "$failed" "$crashed"
exit "$status"
