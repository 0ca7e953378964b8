#include "core/footprint.h"

#include <malloc.h>

#include "core/cache.h"
#include "unit/core/fixture.h"

Test(footprint, is_a_block_of_16_bytes_or_more_of_them) {
    static const size_t sizes[][2] = {{0, 32}, {1, 32}, {24, 32}, {25, 48}, {40, 48}, {41, 64}, {1000, 1008}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        cr_expect_eq(footprint(sizes[i][0]), sizes[i][1], "%zu", sizes[i][0]);
}

Test(footprint, is_what_the_allocator_takes, .disabled = IS_SANITIZED) {
    for (size_t n = 0; n < 3000; n++) {
        void *memory = malloc(n);
        cr_expect_eq(footprint(n), malloc_usable_size(memory) + 8, "%zu", n);
        free(memory);
    }
}

/* ---- the whole road ---- */

#define N_TOKEN_BYTES 43

static size_t n_bytes_in_use(void) {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* What the road of a login leaves behind for one token: fact, identity, links, buckets and the allocator's share of each.
 */
static void fill(struct cache *cache, size_t n_tokens, struct text reply, const struct policy *policy) {
    struct introspection decoded = fixture_decoded(reply);
    for (unsigned n = 0; n < n_tokens; n++) {
        uint8_t key[DIGEST_BYTES];
        char token[N_TOKEN_BYTES + 1];
        snprintf(token, sizeof(token), "%-32s-%010u", SENTINEL, n);
        cr_assert_eq(digest_sha256(text_of(token), key), 0); /* spreads like the HMAC of the program */
        struct fact *fact = fixture_fact_of(&decoded, text_of(token), key, 0);
        struct identity *identity;
        cache_insert(cache, fact);
        cr_assert_eq(identity_new(fact, policy, 0, NULL, &identity), 0);
        cr_assert_eq(identity->reason, REASON_OK);
        cache_attach(cache, fact, identity);
        identity_unref(identity);
        fact_unref(fact);
    }
    introspection_deinit(&decoded);
}

static void measure(const char *file, size_t n_tokens, double max_bytes_above_token) {
    struct secret *reply = fixture_file(file);
    struct issuer_policy issuer = fixture_issuer();
    const struct policy policy = {.generation = 1, .issuers = &issuer, .n_issuers = 1};
    const struct cache_limits limits = {
        .max_entries = n_tokens * 2, .max_negative_entries = 20000, .max_bytes = 1000000000};
    const size_t n_before = n_bytes_in_use();
    struct cache *cache;
    cr_assert_eq(cache_new(&limits, &cache), 0);
    fill(cache, n_tokens, secret_text(reply), &policy);
    const double n_taken = (double)(n_bytes_in_use() - n_before) / (double)n_tokens;
    struct cache_stats stats;
    cache_stats(cache, &stats);
    cr_assert_eq(stats.n_entries, n_tokens);
    cr_log_info("%s: %.1f bytes above the token's %d", file, n_taken - N_TOKEN_BYTES, N_TOKEN_BYTES);
    cr_expect_leq(n_taken - N_TOKEN_BYTES, max_bytes_above_token, "%.1f bytes", n_taken - N_TOKEN_BYTES);
    /* The accounts are of the same size as what was measured; the buckets are not in them. */
    const double n_counted = (double)stats.n_bytes / (double)n_tokens;
    cr_expect(n_counted <= n_taken && n_counted > n_taken - 16, "%.1f counted of %.1f", n_counted, n_taken);
    cache_free(cache);
    secret_free(reply);
}

Test(footprint, a_token_takes_at_most_512_bytes_above_its_own_length, .disabled = IS_SANITIZED) {
    measure("test/data/providers/oidc-provider/introspect.user.json", 100000, 512);
}

Test(footprint, also_with_audience_and_session_it_is_not_more, .disabled = IS_SANITIZED) {
    measure("test/data/providers/oidc-provider/introspect.code-flow.json", 10000, 512);
}
