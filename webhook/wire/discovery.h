/*
 * OpenID Provider Metadata (OpenID Connect Discovery 1.0 section 4) and Authorization Server Metadata (RFC 8414): the two
 * members that we need.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

struct discovery {
    char *introspection_endpoint; /* an https URL without fragment or user information */
};

enum discovery_error {
    DISCOVERY_MALFORMED = 1, /* no JSON object, wrong types, endpoint that is no https URL */
    DISCOVERY_WRONG_ISSUER,  /* issuer is not exactly the configured URL (section 4.3) */
    DISCOVERY_NO_ENDPOINT    /* the provider names no introspection endpoint */
};

/*
 * Decodes a discovery document.
 *
 * issuer         what issuer must equal, byte for byte
 * ret_discovery  written on success only; discovery_deinit() it
 * error          says what is wrong, quoting nothing of the document; may be NULL
 *
 * Returns 0, an enum discovery_error, or -ENOMEM.
 */
int discovery_decode(struct text document, struct text issuer, struct discovery *ret_discovery, struct error *error);

void discovery_deinit(struct discovery *discovery);

/* Appends the address of the document: the issuer without a trailing slash, then /.well-known/openid-configuration. */
void discovery_url(struct text issuer, struct buffer *buffer);
