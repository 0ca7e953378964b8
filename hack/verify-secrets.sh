#!/bin/bash
# No print or log call is given a token, a secret or a provider's reply.
set -u
cd "$(dirname "$0")/.." || exit 1
status=0
while IFS= read -r line; do
    echo "$line: a token, a secret or a reply is never printed: name the thing instead (issuer, file, digest)"
    status=1
done < <(grep -rnE '(printf|log_(error|warning|info|debug|write)|error_set|error_prefix|append_format)\(.*(->|\.|[^a-z_])(token|secret_text\(|client_secret|secret|reply|body|entity)(\.data|\.base|->|\))' \
    webhook --include='*.c')
exit "$status"
