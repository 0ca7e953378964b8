#include "core/fact.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/secret.h"
#include "core/footprint.h"
#include "core/packing.h"

int fact_key(struct digest *digest, struct text issuer, struct text endpoint, struct text client, struct text token,
             uint8_t ret_key[DIGEST_BYTES]) {
    const struct text parts[] = {issuer, endpoint, client, token};
    return digest_parts(digest, parts, sizeof(parts) / sizeof(parts[0]), ret_key);
}

/* Returns the claims as they are to be kept, in room where they are packed, or -ENOMEM. */
static int pack(struct text claims, struct buffer *room, struct text *ret_kept) {
    buffer_init(room, claims.n_bytes);
    if (!packing_is_possible(claims)) {
        *ret_kept = claims;
        return 0;
    }
    if (buffer_reserve(room, claims.n_bytes) != 0)
        return -ENOMEM;
    room->n_bytes = packing_pack(claims, room->data);
    *ret_kept = buffer_text(room);
    return 0;
}

static void copy(char *to, struct text text) {
    if (text.n_bytes > 0)
        memcpy(to, text.data, text.n_bytes);
}

int fact_new(const struct fact_source *source, struct fact **ret_fact) {
    if (source->token.n_bytes > LIMIT_TOKEN_BYTES || source->claims.n_bytes > LIMIT_INTROSPECTION_REPLY_BYTES)
        return -EMSGSIZE;
    __attribute__((cleanup(buffer_deinit_secret))) struct buffer packed;
    struct text claims;
    if (pack(source->claims, &packed, &claims) != 0)
        return -ENOMEM;
    struct fact *fact = malloc(sizeof(*fact) + source->token.n_bytes + claims.n_bytes);
    if (fact == NULL)
        return -ENOMEM;
    *fact = (struct fact){
        .answer = (uint8_t)source->answer,
        .is_packed = claims.data != source->claims.data,
        .asked_mono_ms = source->asked_mono_ms,
        .exp_unix_s = source->exp_unix_s,
        .nbf_unix_s = source->nbf_unix_s,
        .iat_unix_s = source->iat_unix_s,
        .n_token_bytes = (uint32_t)source->token.n_bytes,
        .n_claims_bytes = (uint32_t)claims.n_bytes,
    };
    atomic_init(&fact->n_refs, 1);
    memcpy(fact->key, source->key, sizeof(fact->key));
    copy(fact->bytes, source->token);
    copy(fact->bytes + source->token.n_bytes, claims);
    *ret_fact = fact;
    return 0;
}

struct fact *fact_ref(struct fact *fact) {
    atomic_fetch_add_explicit(&fact->n_refs, 1, memory_order_relaxed);
    return fact;
}

void fact_unref(struct fact *fact) {
    if (fact == NULL || atomic_fetch_sub_explicit(&fact->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    secret_wipe(fact, sizeof(*fact) + fact->n_token_bytes + fact->n_claims_bytes);
    free(fact);
}

struct text fact_token(const struct fact *fact) {
    return (struct text){.data = fact->bytes, .n_bytes = fact->n_token_bytes};
}

bool fact_is_younger(const struct fact *fact, int64_t age_ms, int64_t now_mono_ms) {
    return age_ms > 0 && now_mono_ms - fact->asked_mono_ms < age_ms;
}

bool fact_is_expired(const struct fact *fact, int64_t now_unix_ms) {
    return fact->exp_unix_s != FACT_NO_TIME && now_unix_ms / 1000 >= fact->exp_unix_s;
}

int fact_claims(const struct fact *fact, struct buffer *ret_claims) {
    const struct text stored = {.data = fact->bytes + fact->n_token_bytes, .n_bytes = fact->n_claims_bytes};
    const size_t n_bytes = fact->is_packed ? packing_unpack(stored, NULL) : stored.n_bytes;
    struct buffer claims;
    buffer_init(&claims, n_bytes);
    const int r = buffer_reserve(&claims, n_bytes);
    if (r < 0) {
        buffer_deinit(&claims);
        return r;
    }
    if (fact->is_packed)
        claims.n_bytes = packing_unpack(stored, claims.data);
    else
        buffer_append(&claims, stored);
    *ret_claims = claims;
    return 0;
}

size_t fact_bytes(const struct fact *fact) {
    return footprint(sizeof(*fact) + fact->n_token_bytes + fact->n_claims_bytes);
}
