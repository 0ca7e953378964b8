/*
 * TokenReview (authentication.k8s.io/v1 and v1beta1), the request as kube-apiserver sends it and the answer in the same
 * version: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
 */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/limits.h"
#include "wire/review_head.h"

/* A decoded request; every text is borrowed from the body. */
struct token_review {
    enum review_version version;
    struct text token; /* never empty after a successful decode; not yet checked for its alphabet */
    struct text audiences[LIMIT_REVIEW_AUDIENCES];
    size_t n_audiences;
};

/* Why a body is no TokenReview that we answer. All but the allocation-free success are answered 400. */
enum token_review_error {
    TOKEN_REVIEW_MALFORMED = 1, /* no JSON (RFC 8259), duplicate member, too deep, not UTF-8 */
    TOKEN_REVIEW_WRONG_KIND,    /* JSON, but kind or apiVersion is not one that we serve */
    TOKEN_REVIEW_INVALID,       /* a TokenReview whose spec is missing or has wrong types, or with no token */
    TOKEN_REVIEW_TOO_MANY       /* more audiences than LIMIT_REVIEW_AUDIENCES, or one over LIMIT_AUDIENCE_BYTES */
};

/*
 * Decodes a request in one strict pass: the whole body is checked, unknown members are allowed and checked too
 * (kube-apiserver sends metadata and status), duplicate members are refused at every level.
 *
 * body        changed in place where a string that we read has escapes; must stay alive as long as *ret_review
 * ret_review  written on success only
 * error       what is wrong and where ("byte 17: ..."), without quoting the body; may be NULL
 *
 * Returns 0 or an enum token_review_error. Allocates nothing. Any thread.
 */
int token_review_decode(char *body, size_t n_bytes, struct token_review *ret_review, struct error *error);

/* A member that is put behind those of status.user.extra, with a single value. */
struct review_extra {
    struct text key, value;
};

/*
 * An answer, in exactly one of three forms. All borrowed.
 *
 *   authenticated  user is the JSON of status.user: an object that is not empty, whose extra is its last member or absent,
 *                  and never empty. extra is written behind what it has there: what belongs to this answer, and not to
 *                  the user. audiences may be empty: then the member is left out, which means "valid for the API server's
 *                  own audiences"
 *   refused        user empty, error empty: a definite no, which the API server caches
 *   unavailable    user empty, error one generic sentence: not cached by the API server
 */
struct token_review_answer {
    enum review_version version;
    struct text user;
    const struct review_extra *extra;
    size_t n_extra;
    const struct text *audiences;
    size_t n_audiences;
    struct text error;
};

/* Appends the answer's JSON. */
void token_review_encode(const struct token_review_answer *answer, struct buffer *buffer);
