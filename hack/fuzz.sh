#!/bin/bash
# Builds a fuzz target and runs it.
#   hack/fuzz.sh TARGET [SECONDS|-runs=N] [LIBFUZZER_OPTION...]
# TARGET is a file test/fuzz/TARGET.c; what it includes of webhook/ is compiled with it. Inputs in
# test/fuzz/corpus/TARGET/ are where it starts from, test/fuzz/TARGET.dict holds words, new inputs and crashes go to
# build/fuzz/TARGET/. Without a second argument it runs for a minute.
#   FUZZ_SANITIZE  what to add to libFuzzer: address,undefined (the default) or nothing, which is five times as fast
#   BUILD          the build folder
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?usage: hack/fuzz.sh TARGET [SECONDS|-runs=N] [LIBFUZZER_OPTION...]}
limit=${2:-60}
shift $(($# < 2 ? $# : 2))
[[ $limit == -* ]] || limit=-max_total_time=$limit

source=test/fuzz/$target.c
[ -f "$source" ] || {
    echo "there is no fuzz target $source; there are: $(basename -as .c test/fuzz/*.c | tr '\n' ' ')" >&2
    exit 2
}
sanitize=${FUZZ_SANITIZE-address,undefined}
flags=(-std=gnu17 -g -O2 -D_GNU_SOURCE -Iwebhook -Itest "-fsanitize=fuzzer${sanitize:+,$sanitize}" -fno-sanitize-recover=all)
out=${BUILD:-build}/fuzz/$target
mkdir -p "$out/found"

# A header of webhook/ stands for the module beside it: follow the includes from the target until no new module turns up.
modules=() queue=("$source")
while [ ${#queue[@]} -gt 0 ]; do
    headers=$(clang-14 "${flags[@]}" -MM "${queue[@]}" | tr ' ' '\n' | grep '^webhook/.*\.h$' | sort -u || true)
    queue=()
    for header in $headers; do
        module=${header%.h}.c
        [ -f "$module" ] || continue
        [[ " ${modules[*]} " == *" $module "* ]] || modules+=("$module") queue+=("$module")
    done
done

program=$out/$target${sanitize:+-${sanitize//,/-}}
clang-14 "${flags[@]}" -o "$program" "$source" "${modules[@]}" -lhttp_parser -ljansson -lyaml -lcrypto -lm -pthread
options=("$limit" "-artifact_prefix=$out/" -print_final_stats=1)
[ ! -f "test/fuzz/$target.dict" ] || options+=("-dict=test/fuzz/$target.dict")
corpus=("$out/found")
[ ! -d "test/fuzz/corpus/$target" ] || corpus+=("test/fuzz/corpus/$target")
exec "$program" "${options[@]}" "$@" "${corpus[@]}"
