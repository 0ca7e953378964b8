/*
 * Bytes that must not outlive their use: tokens, client secrets, private keys. Wiped on free, compared in constant
 * time, and never given to anything that prints.
 */
#pragma once

#include <stdbool.h>

#include "base/text.h"

struct secret;

/*
 * Copies bytes into a new secret (a zero byte follows them, so that C libraries can read it).
 * Returns 0, or -ENOMEM. The caller owns *ret_secret: secret_free() it.
 */
int secret_new(struct text bytes, struct secret **ret_secret);

/* Wipes and frees. NULL is fine. */
void secret_free(struct secret *secret);

/* The bytes, borrowed until secret_free(); followed by a zero byte. */
struct text secret_text(const struct secret *secret);

/* Equal, in a time that depends on the lengths only. */
bool secret_equal(struct text a, struct text b);

/* Overwrites memory so that the compiler cannot leave it out. */
void secret_wipe(void *memory, size_t n_bytes);
