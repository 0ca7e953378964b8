/*
 * SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, with the rounds that hash tables use): a
 * number for some bytes, and nobody who does not know the key can choose bytes that give the same. OpenSSL has it as well,
 * behind a fetch that costs more than a hundred names.
 */
#pragma once

#include <stdint.h>

#include "base/text.h"

struct siphash {
    uint64_t v0, v1, v2, v3;
    uint64_t tail; /* bytes that are no whole word yet, the first one lowest */
    uint64_t n_bytes;
};

#define SIPHASH_KEY_BYTES 16

void siphash_begin(struct siphash *siphash, const uint8_t key[SIPHASH_KEY_BYTES]);

/* Any number of times: it is the same as all bytes at once. */
void siphash_update(struct siphash *siphash, struct text bytes);

uint64_t siphash_end(struct siphash *siphash);
