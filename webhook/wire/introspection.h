/*
 * OAuth 2.0 Token Introspection (RFC 7662): the request's body, and the reply.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/* A time that a reply does not have. */
#define INTROSPECTION_NO_TIME INT64_MIN

struct introspection {
    bool active;
    int64_t exp_unix_s, nbf_unix_s, iat_unix_s; /* or INTROSPECTION_NO_TIME */
    /* All other members that are not null as one compact JSON object, in the reply's order, without active, exp, nbf and
       iat: strings written in one way, numbers as they came; never longer than the reply. For a reply
       with active:false it is "{}", whatever else stood there (RFC 7662 section 2.2 wants nothing there). */
    struct buffer claims;
};

enum introspection_error {
    /* No JSON object by wire/scan (a duplicate member, too many members), too deep, active absent or no boolean, a time
       that is no integer or outside 0..253402300799 (year 9999; RFC 7519 NumericDate is narrowed to integers: no provider
       seen sends others), iss, sub, client_id, azp, token_type, jti that are no strings, an aud that is neither a string
       nor an array of strings. The provider's fault: UNAVAILABLE, never a "no". */
    INTROSPECTION_MALFORMED = 1
};

/*
 * Decodes a 200 reply.
 *
 * reply              the body, at most LIMIT_INTROSPECTION_REPLY_BYTES
 * ret_introspection  written on success only; introspection_deinit() it
 *
 * Returns 0, INTROSPECTION_MALFORMED, or -ENOMEM. Any thread.
 */
int introspection_decode(struct text reply, struct introspection *ret_introspection);

void introspection_deinit(struct introspection *introspection);

/* Whether an error body (RFC 6749 section 5.2 form) carries error: "unsupported_token_type" (RFC 7009 section 2.2.1).
   Anything unreadable is a no. */
bool introspection_error_is_unsupported_token(struct text body);

/*
 * Appends the form body: token, token_type_hint=access_token, and for client_secret_post and tls_client_auth the
 * client_id (and client_secret) as given; an empty one is left out. Reserve before: the token must not be left behind in
 * a grown-out-of allocation (introspection_request_bytes() says how much is enough).
 */
void introspection_request_encode(struct text token, struct text client_id, struct text client_secret,
                                  struct buffer *buffer);
size_t introspection_request_bytes(struct text token, struct text client_id, struct text client_secret);

/* Appends "Basic ..." for client_secret_basic: id and secret are form-encoded first (RFC 6749 section 2.3.1). */
int introspection_basic_encode(struct text client_id, struct text client_secret, struct buffer *buffer);
