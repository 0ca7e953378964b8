/*
 * HMAC-SHA-256 under a secret of this process (RFC 2104), and SHA-256. OpenSSL's, with its set-up done once per thread.
 */
#pragma once

#include <stdint.h>

#include "base/text.h"

#define DIGEST_BYTES 32

/* The process's secret: 32 random bytes, the same for all threads. Returns 0 or -EIO (no randomness). */
int digest_secret(uint8_t ret_secret[DIGEST_BYTES]);

/*
 * A secret for one purpose out of another secret: the HMAC of the purpose under it. Those of two purposes have nothing to
 * do with each other, nor does any of them tell the secret.
 *
 * secret   of any length; what it lacks in randomness, no derivation can add
 * purpose  a constant text, different for each use
 *
 * Returns 0, or -EIO.
 */
int digest_derive(struct text secret, struct text purpose, uint8_t ret_secret[DIGEST_BYTES]);

/* A keyed context. One thread at a time. */
struct digest;

/* Returns 0, -ENOMEM or -EIO (OpenSSL refused). The caller owns *ret_digest: digest_free() it. */
int digest_new(const uint8_t secret[DIGEST_BYTES], struct digest **ret_digest);

/* Wipes and frees. NULL is fine. */
void digest_free(struct digest *digest);

/*
 * The HMAC of the parts, each preceded by its length as eight bytes (most significant first), so that no two lists of
 * parts have the same input. Returns 0, or -EIO.
 */
int digest_parts(struct digest *digest, const struct text *parts, size_t n_parts, uint8_t ret_digest[DIGEST_BYTES]);

/* SHA-256 of the bytes, unkeyed: for files, never for a token. Returns 0, or -EIO. */
int digest_sha256(struct text bytes, uint8_t ret_digest[DIGEST_BYTES]);
