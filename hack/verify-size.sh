#!/bin/bash
# A file over 600 lines is two concepts, a function over 60 lines hides a second one.
set -u
cd "$(dirname "$0")/.." || exit 1
status=0
while IFS= read -r file; do
    lines=$(wc -l <"$file")
    if [ "$lines" -gt 600 ]; then
        echo "$file: $lines lines: split it by concept"
        status=1
    fi
    awk -v file="$file" '
        /^[a-zA-Z].*[^;]$/ && /\{$/ { start = FNR }
        /^}/ { if (start && FNR - start > 60) { printf "%s:%d: a function of %d lines: look for the second function inside\n", file, start, FNR - start; bad = 1 } start = 0 }
        END { exit bad }' "$file" || status=1
done < <(find webhook -name '*.[ch]')
exit "$status"
