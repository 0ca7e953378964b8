/*
 * Claims, kept small: replies repeat the same member names and punctuation, so each of the frequent pieces is one byte
 * while a fact lies in the cache. The bytes used are those that no JSON text in UTF-8 has: control characters, which
 * JSON escapes (RFC 8259 section 7), and 0xF5 to 0xFF, which UTF-8 never has (RFC 3629 section 3). Lossless.
 *
 * Of 285 bytes of claims of oidc-provider 116 remain, of 678 of Keycloak 283.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* Whether the text has none of the bytes that stand for pieces, so that it can be packed. Any JSON text can. */
bool packing_is_possible(struct text text);

/* Packs. room: for text.n_bytes bytes. Returns the packed length, never more than the text's. */
size_t packing_pack(struct text text, char *room);

/* Unpacks. room: for all of it, or NULL to learn only the length. Returns the length. */
size_t packing_unpack(struct text packed, char *room);
