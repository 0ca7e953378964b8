/*
 * base64 (RFC 4648 section 4) for HTTP Basic, base64url without padding (section 5) for JWTs.
 */
#pragma once

#include "base/buffer.h"

/* Appends the base64 form of the bytes, padded. */
void base64_encode(struct text bytes, struct buffer *buffer);

/* Appends the base64url form of the bytes, without padding. */
void base64url_encode(struct text bytes, struct buffer *buffer);

/*
 * Decodes base64url without padding, strictly: no white space, no padding, no other alphabet, unused bits zero.
 *
 * ret_bytes  room for (text.n_bytes * 3) / 4 bytes at least; must not overlap text
 * ret_n      how many were written
 *
 * Returns 0, or BASE64_MALFORMED with nothing promised of ret_bytes.
 */
enum { BASE64_MALFORMED = 1 };
int base64url_decode(struct text text, uint8_t *ret_bytes, size_t *ret_n);
