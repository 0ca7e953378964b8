/*
 * What an allocation really takes, for the cache's accounts.
 */
#pragma once

#include <stddef.h>

/* Bytes that malloc(n_bytes) takes from the system: glibc puts 8 bytes before each block and rounds up to 16. */
static inline size_t footprint(size_t n_bytes) {
    const size_t n_taken = (n_bytes + 8 + 15) / 16 * 16;
    return n_taken < 32 ? 32 : n_taken;
}
