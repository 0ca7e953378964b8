/*
 * What a provider said of one token: never what we decided. Counted, immutable but for one mark, one allocation that holds
 * the token (for comparing, and to ask again) and the claims, packed; wiped when the last reference goes.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/digest.h"

#define FACT_NO_TIME INT64_MIN

enum fact_answer {
    FACT_ACTIVE,
    FACT_INACTIVE,              /* active: false */
    FACT_UNSUPPORTED_TOKEN_TYPE /* 400 unsupported_token_type: no as well, with a reason of its own */
};

/* The cache's own: guarded by the lock of the shard that holds the fact. Nobody else looks at it. */
struct fact_link {
    struct fact *bucket_next, *older, *newer;
    struct identity *identity; /* the newest one made of this fact, counted, or NULL */
};

struct fact {
    struct fact_link link;
    _Atomic uint32_t n_refs;
    uint8_t answer;              /* enum fact_answer */
    bool is_packed;              /* the claims: see core/packing.h */
    _Atomic bool is_asked_again; /* core/refresh's mark */
    bool was_active : 1;         /* the cache's own, like link: this fact or one before it of the same key is FACT_ACTIVE */
    bool is_used : 1;            /* likewise: looked up since it came in or was last passed over for eviction */
    uint8_t key[DIGEST_BYTES];
    int64_t asked_mono_ms; /* when the question was sent: its age counts from there */
    int64_t exp_unix_s, nbf_unix_s, iat_unix_s;
    uint32_t n_token_bytes, n_claims_bytes;
    char bytes[]; /* token, then claims */
};

/*
 * The key of a fact: HMAC under the process's secret of issuer, endpoint, client and token, each with its length before
 * it. That is all that the provider's answer depends on and nothing that our configuration decides.
 *
 * digest  of this thread
 *
 * Returns 0, or -EIO.
 */
int fact_key(struct digest *digest, struct text issuer, struct text endpoint, struct text client, struct text token,
             uint8_t ret_key[DIGEST_BYTES]);

/* What a new fact is made of; token and claims are copied. */
struct fact_source {
    enum fact_answer answer;
    const uint8_t *key;
    int64_t asked_mono_ms;
    int64_t exp_unix_s, nbf_unix_s, iat_unix_s; /* or FACT_NO_TIME */
    struct text token, claims;
};

/*
 * Returns 0, -ENOMEM, or -EMSGSIZE where token or claims are longer than any that triage and decoder let through. The
 * caller holds the one reference: fact_unref() it.
 */
int fact_new(const struct fact_source *source, struct fact **ret_fact);

struct fact *fact_ref(struct fact *fact);
/* Wipes and frees with the last reference. NULL is fine. Any thread. */
void fact_unref(struct fact *fact);

struct text fact_token(const struct fact *fact);

/*
 * Whether less than this has passed since the provider was asked, on the monotonic clock. Nothing is younger than 0, also a
 * fact that another thread asked for after this one read the clock.
 */
bool fact_is_younger(const struct fact *fact, int64_t age_ms, int64_t now_mono_ms);

/*
 * Whether the token has expired: refused from exp on (RFC 7519 section 4.1.4), and clockSkew does not prolong it. The
 * provider that says active: true has looked at its own clock when it was asked, so the skew that a verifier of JWTs allows
 * for is in that answer already. What is left is a fact in the cache, and that must never live past exp.
 */
bool fact_is_expired(const struct fact *fact, int64_t now_unix_ms);

/*
 * The claims, byte for byte as they were given: a compact JSON object; see struct introspection.
 *
 * ret_claims  written on success only, however large they are; buffer_deinit() it
 *
 * Returns 0, or -ENOMEM. Any thread.
 */
int fact_claims(const struct fact *fact, struct buffer *ret_claims);

/* Bytes of memory that the fact takes, the allocator's share included, for the cache's accounts. */
size_t fact_bytes(const struct fact *fact);
