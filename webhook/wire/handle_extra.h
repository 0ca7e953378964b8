/*
 * The handle among a user's extra, as kube-apiserver hands it on to authorizers and admission webhooks.
 */
#pragma once

#include "wire/scan.h"

/* The key of a user's extra that holds the handle. */
#define HANDLE_EXTRA_KEY TEXT("kube-introspect.io/handle")

/* Of a user's extra, the values of HANDLE_EXTRA_KEY. Keys are compared without regard to case, for headers carry them in
   lower case: two that differ in case only count as two values, at least. */
struct handle_extra {
    struct text handle; /* the first; borrowed from the body */
    size_t n_handles;
};

/*
 * Reads the value of a member extra, wherever it stands. null is an absent extra, and an absent array.
 *
 * body  what the scan reads, changed in place where the handle has escapes
 *
 * Returns NULL, or what the value lacks: "an object is expected", static, to be put behind the member's name. Whether the
 * bytes are JSON at all is what scan_end() says. Allocates nothing.
 */
const char *handle_extra_read(struct scan *scan, char *body, struct handle_extra *ret_extra);
