#!/bin/bash
# Prints the line coverage of webhook/ by unit and integration tests, file by file, least covered first, and what is not covered.
set -eu
cd "$(dirname "$0")/.."
build="build-coverage"
find "$build" -name '*.gcda' -delete 2>/dev/null || true
make -j2 BUILD="$build" OPTIMIZE='-O0 --coverage' LDFLAGS='--coverage -pthread -no-pie' check >"/tmp/kube-introspect-coverage.$$" 2>&1 ||
    { tail -n 40 "/tmp/kube-introspect-coverage.$$"; echo "the tests fail: their coverage says little"; }
rm -f "/tmp/kube-introspect-coverage.$$"
gcovr --root . --filter 'webhook/' --object-directory "$build" --sort-uncovered --exclude-throw-branches \
    --gcov-ignore-parse-errors "$build"
