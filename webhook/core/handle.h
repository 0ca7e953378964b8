/*
 * The handle: what a login leaves in the user's extra, so that a later request of that user leads back to the fact that the
 * login rested on. It is no secret (extra stands in audit events) and opens nothing by itself: whoever shows it has already
 * been authenticated, and it only ever gives cause to say no.
 *
 *     1.<issued, unix seconds>.<key of the fact, base64url>.<hints, base64url>.<HMAC-SHA-256, base64url>
 *
 * The HMAC covers version, time, key and hints, and besides username, uid and cluster, which stand in no handle: one that
 * is moved to another user, or to another cluster that has the same keys, does not fit there. The hints are short, unkeyed
 * hashes of those three names. They let nothing pass: they tell a person why an HMAC does not fit.
 */
#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/limits.h"
#include "core/reason.h"

/* Keyed contexts of the lines of handle.keyFile. One thread at a time. */
struct handle_keys;

/*
 * lines  the file's, in its order, LIMIT_HANDLE_KEY_BYTES at least each: the first signs, all verify. Not kept.
 *
 * Returns 0, -ENOMEM, -EIO (OpenSSL refused), or -EINVAL where there is no line, there are more than LIMIT_HANDLE_KEYS, or
 * one is too short. The caller owns *ret_keys: handle_keys_free() it.
 */
int handle_keys_new(const struct text *lines, size_t n_lines, struct handle_keys **ret_keys);

/* Wipes and frees. NULL is fine. */
void handle_keys_free(struct handle_keys *keys);

/*
 * The secret of fact keys (digest_new() takes it) that every replica with this first line of handle.keyFile shares, so that
 * each finds the fact of a handle that another has issued. Taken once, when the process starts: see docs.
 * Returns 0, or -EIO.
 */
int handle_fact_secret(struct text first_line, uint8_t ret_secret[DIGEST_BYTES]);

/* Whom a handle belongs to; all borrowed. */
struct handle_subject {
    struct text username, uid, cluster; /* username with its prefix; uid empty where there is none */
};

/*
 * Appends a handle, of at most LIMIT_HANDLE_BYTES: characters of base64url and dots, so it needs no escapes anywhere.
 * Allocates nothing but what the buffer does. Returns 0, or -EIO with nothing appended.
 */
int handle_append(struct handle_keys *keys, const struct handle_subject *subject, const uint8_t fact_key[DIGEST_BYTES],
                  int64_t now_unix_s, struct buffer *buffer);

/*
 * Whether the handle was issued to this subject, under one of the keys, at most max_age_s ago and at most
 * LIMIT_HANDLE_AHEAD_S from now.
 *
 * ret_fact_key  written with REASON_OK only
 *
 * Returns REASON_OK, a REASON_HANDLE_..., or REASON_INTERNAL. Compares in constant time, allocates nothing.
 */
enum reason handle_verify(struct handle_keys *keys, const struct handle_subject *subject, struct text handle,
                          int64_t now_unix_s, int64_t max_age_s, uint8_t ret_fact_key[DIGEST_BYTES]);
