/*
 * What can be read of a JWT without trusting it: is it one, and who claims to have issued it. Used only to decide where
 * a token may be sent. Nothing here verifies anything.
 */
#pragma once

#include <stdbool.h>

#include "base/limits.h"
#include "base/text.h"

enum jwt_form {
    JWT_FORM_NONE,   /* opaque: no three dot-separated parts, or the first is no JSON object with "alg" */
    JWT_FORM_SIGNED, /* JWS compact serialization (RFC 7515 section 7.1) with a JSON object as payload */
    JWT_FORM_ENCRYPTED /* JWE compact serialization (RFC 7516 section 7.1): five parts; starts with eyJ as well */
};

struct jwt_peek {
    enum jwt_form form;
    bool has_issuer;
    size_t n_issuer_bytes;
    char issuer[1024];       /* the iss claim, unescaped; has_issuer is false when it is absent, no string or longer */
    bool is_service_account; /* has the claim kubernetes.io, or a sub that starts with system:serviceaccount: */
};

/*
 * Looks at a token of at most LIMIT_TOKEN_BYTES. Bounded work, no allocation beyond a buffer on the heap for the
 * decoded payload. A token in three parts whose payload cannot be read is SIGNED without issuer: it is some JWT, and
 * nobody's.
 *
 * Returns 0, or -ENOMEM.
 */
int jwt_peek(struct text token, struct jwt_peek *ret_peek);
