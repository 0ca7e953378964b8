#!/bin/bash
# All that CI runs, stage by stage; goes on after a stage that failed, and closes with one line of figures.
#   hack/test.sh [STAGE...]      (rules lint unit alerts integration model attack chaos e2e kind asan tsan fuzz)
set -u
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp)
failures=$(mktemp)
trap 'rm -f "$log" "$failures"' EXIT
passed=0 failed=0 skipped=0 broken=()

number() { # LINE WORD: the number before the word, 0 where there is none
    local found
    found=$(grep -oE "[0-9]+ $2" <<<"$1" | head -n 1)
    echo "${found%% *}" | grep . || echo 0
}

# The figures that a runner printed: pytest's "N passed, N failed" line or Criterion's synthesis.
count() {
    local line
    while IFS= read -r line; do
        case $line in
        *'[====] Synthesis:'*)
            passed=$((passed + $(sed -n 's/.*Passing: \([0-9]*\).*/\1/p' <<<"$line")))
            failed=$((failed + $(sed -n 's/.*Failing: \([0-9]*\).*/\1/p' <<<"$line")))
            ;;
        *)
            passed=$((passed + $(number "$line" passed)))
            failed=$((failed + $(number "$line" failed) + $(number "$line" error)))
            skipped=$((skipped + $(number "$line" skipped)))
            ;;
        esac
    done < <(grep -E '^\[====\] Synthesis:|^[0-9]+ (passed|failed)|^=+ .*(passed|failed)|^verify: ' "$log")
}

# The lines that name what failed, to be read at the end: pytest's summary, Criterion's tests and
# assertions, rows of attack and chaos, make's targets.
name_failures() { # STAGE
    grep -aE '^(FAILED|ERROR) |^\[(FAIL|CRASH)\]|^\[----\] +[^ ]|^make.*\*\*\*|^--- .* failed|DOES NOT HOLD|again: make ' "$log" | cut -c 1-300 | tail -n 30 |
        sed "s/^/$1: /" >>"$failures"
}

stage() { # NAME COMMAND...
    local name=$1 start=$SECONDS
    shift
    echo "==== $name"
    if "$@" 2>&1 | tee "$log"; [ "${PIPESTATUS[0]}" -ne 0 ]; then
        broken+=("$name")
        name_failures "$name"
    fi
    count
    echo "---- $name took $((SECONDS - start)) s"
}

# A real Kubernetes is built first, where it is not there yet, so that one sees how far it is.
end_to_end() {
    hack/kubernetes.sh kube-apiserver kubectl etcd >/dev/null && make -j2 e2e
}

stages=("$@")
[ $# -gt 0 ] || stages=(rules lint unit alerts integration model attack chaos e2e kind asan tsan fuzz)
make -j2 build >/dev/null || { echo "0 passed, 1 failed"; exit 1; }
for name in "${stages[@]}"; do
    case $name in
    rules) stage rules hack/verify.sh ;;
    lint) stage lint hack/lint.sh ;;
    e2e) stage e2e end_to_end ;;
    # CI says of each change the same as of the one before; what nobody thought of yet is looked for by hand, by chance.
    model) stage model make -j2 model ${CI:+SEED=1} ;;
    unit | alerts | integration | asan | tsan) stage "$name" make -j2 "$name" ;;
    attack) stage attack make -j2 attack QUICK=1 ;;
    chaos) stage chaos make chaos CUT=1 ;;
    kind) stage kind make e2e-kind ;; # skipped, and counted so, where a machine allows no containers
    fuzz) stage fuzz make fuzz ;;
    *)
        echo "there is no stage $name"
        exit 2
        ;;
    esac
done
[ "$failed" -ge "${#broken[@]}" ] || failed=${#broken[@]}
cat "$failures"
[ ${#broken[@]} = 0 ] || echo "failed: ${broken[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ ${#broken[@]} = 0 ]
