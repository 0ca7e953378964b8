#!/bin/bash
# Builds what the benchmark compares and runs it: make bench. Options go to test/bench/bench.py (--only PART, --rounds N).
set -eu
cd "$(dirname "$0")/.."
build=build/bench
mkdir -p "$build"
make -j2 build load-tools >/dev/null
cp build/test/bench/load build/test/bench/provider "$build"
flags=(-D_GNU_SOURCE -DH2O_USE_LIBUV=0 -Iwebhook -std=gnu17 -O2 -g -Wall -Wextra)
archives=(build/libcommand.a build/libnet.a build/libops.a build/libcore.a build/libwire.a build/libbase.a)
libraries=(-lh2o-evloop -lcurl -lhttp_parser -ljansson -lyaml -lssl -lcrypto -lm)
# The same code as the program's, with the static reply put in. The one file that names the handler is compiled without -flto: the
# linker cannot put another function in the place of one that the compiler has already seen.
gcc "${flags[@]}" -fPIE -c -o "$build/server.o" webhook/net/server.c
gcc "${flags[@]}" -flto=auto -fPIE -pie -pthread -Wl,--wrap=review_register -o "$build/webhook" build/webhook/main.o \
    "$build/server.o" test/bench/static.c "${archives[@]}" "${libraries[@]}"
command -v go >/dev/null || { echo "make bench compares with a webhook in Go: install Go 1.21 or newer"; exit 1; }
for program in webhook-go api-server-client; do
    (cd "test/bench/$program" && go build -o "../../../$build/$program" .)
done
exec /usr/bin/python3 test/bench/bench.py --programs "$build" "$@"
