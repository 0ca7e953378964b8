#!/bin/bash
# Runs every hack/verify-*.sh; each is one rule and says what to do instead.
set -u
cd "$(dirname "$0")" || exit 1
failed=0 passed=0
for script in verify-*.sh; do
    if bash "./$script"; then
        passed=$((passed + 1))
    else
        echo "--- $script failed"
        failed=$((failed + 1))
    fi
done
echo "verify: $passed passed, $failed failed"
[ "$failed" = 0 ]
