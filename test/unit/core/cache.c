#include "core/cache.h"

#include <pthread.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/secret.h"
#include "unit/core/fixture.h"

static const struct cache_limits plenty = {.max_entries = 1000, .max_negative_entries = 1000, .max_bytes = 100000000};

/* ---- helpers ---- */

/* Spreads like an HMAC does, but says what it is of. */
static void make_key(unsigned n, uint8_t ret_key[DIGEST_BYTES]) {
    uint64_t state = n + 1;
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ret_key[i] = (uint8_t)(state >> 24);
    }
    memcpy(ret_key + DIGEST_BYTES - sizeof(n), &n, sizeof(n));
}

struct name {
    char text[64];
};

static struct text token_of(unsigned n, struct name *room) {
    snprintf(room->text, sizeof(room->text), SENTINEL_TOKEN "-%u", n);
    return text_of(room->text);
}

static struct fact *make(unsigned n, enum fact_answer answer, int64_t asked_mono_ms, size_t n_claims_bytes) {
    uint8_t key[DIGEST_BYTES];
    struct name name;
    char *claims = malloc(n_claims_bytes + 1);
    memset(claims, 'c', n_claims_bytes);
    make_key(n, key);
    const struct fact_source source = {
        .answer = answer,
        .key = key,
        .asked_mono_ms = asked_mono_ms,
        .token = token_of(n, &name),
        .claims = {claims, n_claims_bytes},
    };
    struct fact *fact = NULL;
    cr_assert_eq(fact_new(&source, &fact), 0);
    free(claims);
    return fact;
}

static void insert_at(struct cache *cache, unsigned n, enum fact_answer answer, int64_t asked_mono_ms) {
    struct fact *fact = make(n, answer, asked_mono_ms, 100);
    cache_insert(cache, fact);
    fact_unref(fact);
}

static void insert(struct cache *cache, unsigned n) {
    insert_at(cache, n, FACT_ACTIVE, 0);
}

static void insert_negative(struct cache *cache, unsigned n) {
    insert_at(cache, n, FACT_INACTIVE, 0);
}

/* The fact's reference is given back: for comparing the pointer only. NULL: not there. */
static struct fact *look(struct cache *cache, unsigned n) {
    uint8_t key[DIGEST_BYTES];
    struct name name;
    struct fact *fact = NULL;
    make_key(n, key);
    if (cache_lookup(cache, key, token_of(n, &name), &fact, NULL) != 0)
        return NULL;
    fact_unref(fact);
    return fact;
}

static struct cache_stats stats_of(struct cache *cache) {
    struct cache_stats stats;
    cache_stats(cache, &stats);
    return stats;
}

static struct cache *make_cache(size_t max_entries, size_t max_negative_entries, size_t max_bytes) {
    const struct cache_limits limits = {max_entries, max_negative_entries, max_bytes};
    struct cache *cache = NULL;
    cr_assert_eq(cache_new(&limits, &cache), 0);
    return cache;
}

static struct identity *make_identity(uint32_t generation) {
    struct issuer_policy issuer = fixture_issuer();
    const struct policy policy = {.generation = generation, .issuers = &issuer, .n_issuers = 1};
    struct fact *fact = fixture_fact(TEXT("{\"active\":true,\"sub\":\"u1\",\"preferred_username\":\"alice\"}"));
    struct identity *identity = NULL;
    cr_assert_eq(identity_new(fact, &policy, 0, NULL, &identity), 0);
    fact_unref(fact);
    return identity;
}

/* ---- lookup ---- */

Test(cache, gives_what_was_inserted_and_nothing_else) {
    struct cache *cache = make_cache(1000, 1000, 100000000);
    struct fact *fact = make(1, FACT_ACTIVE, 0, 100);
    cache_insert(cache, fact);
    cr_expect_eq(look(cache, 1), fact);
    cr_expect_null(look(cache, 2));
    fact_unref(fact);
    cr_expect_not_null(look(cache, 1), "the cache has a reference of its own");
    cache_free(cache);
}

Test(cache, a_fact_outlives_its_cache_in_the_hands_of_who_looked_it_up) {
    struct cache *cache = make_cache(1000, 1000, 100000000);
    insert(cache, 1);
    uint8_t key[DIGEST_BYTES];
    struct name name;
    struct fact *fact;
    make_key(1, key);
    cr_assert_eq(cache_lookup(cache, key, token_of(1, &name), &fact, NULL), 0);
    cache_free(cache);
    assert_text(fact_token(fact), token_of(1, &name));
    fact_unref(fact);
}

/* Even if two tokens ever had one key, none would get the other's fact. */
Test(cache, the_same_key_with_another_token_is_a_miss) {
    struct cache *cache = make_cache(1000, 1000, 100000000);
    insert(cache, 1);
    uint8_t key[DIGEST_BYTES];
    make_key(1, key);
    static const struct text others[] = {TEXT(SENTINEL_TOKEN "-2"), TEXT(SENTINEL_TOKEN "-"), TEXT(SENTINEL_TOKEN "-11"),
                                         TEXT("")};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct fact *fact = NULL;
        struct identity *identity = NULL;
        cr_expect_eq(cache_lookup(cache, key, others[i], &fact, &identity), CACHE_MISS);
        cr_expect_null(fact);
    }
    cache_free(cache);
}

Test(cache, an_old_fact_is_still_given_for_its_age_is_the_callers_question) {
    struct cache *cache = make_cache(1000, 1000, 100000000);
    insert_at(cache, 1, FACT_ACTIVE, INT64_MIN / 2);
    cr_expect_not_null(look(cache, 1));
    cache_free(cache);
}

Test(cache, a_lookup_allocates_nothing) {
    struct cache *cache = make_cache(1000, 1000, 100000000);
    insert(cache, 1);
    insert(cache, 2);
    memory_fail_at(0);
    cr_expect_not_null(look(cache, 1));
    cr_expect_null(look(cache, 3));
    cr_expect_eq(memory_n_allocations(), 0);
    cache_free(cache);
}

Test(cache, forgets_what_is_removed) {
    struct cache *cache = make_cache(1000, 1000, 100000000);
    insert(cache, 1);
    insert_negative(cache, 2);
    uint8_t key[DIGEST_BYTES];
    for (unsigned n = 1; n <= 3; n++) {
        make_key(n, key);
        cache_remove(cache, key);
        cr_expect_null(look(cache, n));
    }
    const struct cache_stats stats = stats_of(cache);
    cr_expect_eq(stats.n_entries + stats.n_negative_entries + stats.n_bytes, 0);
    cr_expect_eq(stats.n_evictions + stats.n_negative_evictions, 0, "to forget is not to evict");
    cache_free(cache);
}

/* ---- what replaces what ---- */

Test(cache, the_later_question_has_the_better_answer) {
    static const struct {
        int64_t first, second;
        bool is_replaced;
    } cases[] = {{100, 200, true}, {100, 100, true}, {200, 100, false}, {-5, -6, false}, {0, 1, true}};
    static const enum fact_answer answers[] = {FACT_ACTIVE, FACT_INACTIVE, FACT_UNSUPPORTED_TOKEN_TYPE};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t a = 0; a < 9; a++) {
            struct cache *cache = make_cache(1000, 1000, 100000000);
            struct fact *first = make(1, answers[a / 3], cases[i].first, 100);
            struct fact *second = make(1, answers[a % 3], cases[i].second, 200);
            cache_insert(cache, first);
            cache_insert(cache, second);
            const struct fact *kept = cases[i].is_replaced ? second : first;
            cr_expect_eq(look(cache, 1), kept, "%zu %zu", i, a);
            const struct cache_stats stats = stats_of(cache);
            const bool was_active = first->answer == FACT_ACTIVE || kept->answer == FACT_ACTIVE;
            cr_expect_eq(stats.n_entries, was_active ? 1 : 0);
            cr_expect_eq(stats.n_negative_entries, was_active ? 0 : 1);
            cr_expect_eq(stats.n_bytes, fact_bytes(kept));
            fact_unref(first);
            fact_unref(second);
            cache_free(cache);
        }
    }
}

Test(cache, a_fact_that_is_inserted_twice_is_there_once) {
    struct cache *cache = make_cache(1000, 1000, 100000000);
    struct fact *fact = make(1, FACT_ACTIVE, 0, 100);
    cache_insert(cache, fact);
    cache_insert(cache, fact);
    cr_expect_eq(stats_of(cache).n_entries, 1);
    cr_expect_eq(fact->n_refs, 2);
    cache_free(cache);
    cr_expect_eq(fact->n_refs, 1);
    fact_unref(fact);
}

/* ---- room ---- */

Test(cache, what_was_used_is_passed_over_once) {
    struct cache *cache = make_cache(3, 3, 100000000);
    insert(cache, 1);
    insert(cache, 2);
    insert(cache, 3);
    cr_expect_not_null(look(cache, 1));
    insert(cache, 4); /* 1 is passed over, 2 was not used */
    cr_expect_null(look(cache, 2));
    insert(cache, 5); /* nor was 3 */
    cr_expect_null(look(cache, 3));
    insert(cache, 6); /* nor was 1 again */
    cr_expect_null(look(cache, 1));
    for (unsigned n = 4; n <= 6; n++)
        cr_expect_not_null(look(cache, n), "%u", n);
    cr_expect_eq(stats_of(cache).n_evictions, 3);
    cache_free(cache);
}

Test(cache, where_all_were_used_the_first_that_came_goes) {
    struct cache *cache = make_cache(3, 3, 100000000);
    for (unsigned n = 1; n <= 3; n++) {
        insert(cache, n);
        cr_expect_not_null(look(cache, n));
    }
    insert(cache, 4);
    cr_expect_null(look(cache, 1));
    for (unsigned n = 2; n <= 4; n++)
        cr_expect_not_null(look(cache, n), "%u", n);
    cache_free(cache);
}

/* To pass over a whole partition would hold its lock for milliseconds. */
Test(cache, no_more_than_sixteen_are_passed_over_at_a_time) {
    struct cache *cache = make_cache(40, 3, 100000000);
    for (unsigned n = 0; n < 40; n++) {
        insert(cache, n);
        cr_expect_not_null(look(cache, n));
    }
    insert(cache, 1000);
    for (unsigned n = 0; n < 40; n++)
        cr_expect_eq(look(cache, n) == NULL, n == 16, "%u", n);
    cr_expect_eq(stats_of(cache).n_evictions, 1);
    cache_free(cache);
}

Test(cache, a_look_at_what_was_just_put_in_is_no_use) {
    struct cache *cache = make_cache(2, 3, 100000000);
    struct fact *fact = make(1, FACT_ACTIVE, 0, 100), *found;
    struct identity *identity;
    cache_insert(cache, fact);
    insert(cache, 2);
    cr_assert_eq(cache_peek(cache, fact->key, fact_token(fact), &found, &identity), 0);
    cr_expect_eq(found, fact);
    cr_expect_null(identity);
    insert(cache, 3);
    cr_expect_null(look(cache, 1));
    cr_expect_not_null(look(cache, 2));
    fact_unref(found);
    fact_unref(fact);
    cache_free(cache);
}

Test(cache, what_is_used_between_two_inserts_is_never_evicted) {
    struct cache *cache = make_cache(10, 3, 100000000);
    for (unsigned n = 0; n < 3; n++)
        insert(cache, n);
    for (unsigned n = 1000; n < 6000; n++) {
        insert(cache, n);
        for (unsigned kept = 0; kept < 3; kept++)
            cr_assert_not_null(look(cache, kept), "%u after %u", kept, n);
    }
    cache_free(cache);
}

Test(cache, negative_entry_never_evicts_a_positive_one) {
    struct cache *cache = make_cache(100, 10, 100000000);
    for (unsigned n = 0; n < 100; n++)
        insert(cache, n);
    for (unsigned n = 1000; n < 6000; n++)
        insert_at(cache, n, n % 2 == 0 ? FACT_INACTIVE : FACT_UNSUPPORTED_TOKEN_TYPE, 0);
    for (unsigned n = 0; n < 100; n++)
        cr_expect_not_null(look(cache, n), "%u", n);
    const struct cache_stats stats = stats_of(cache);
    cr_expect_eq(stats.n_entries, 100);
    cr_expect_eq(stats.n_negative_entries, 10);
    cr_expect_eq(stats.n_evictions, 0);
    cr_expect_eq(stats.n_negative_evictions, 4990);
    cache_free(cache);
}

/* With a handle, a fact that is not known may pass (unknownFact: Allow): garbage must not make a revocation unknown. */
Test(cache, garbage_never_evicts_the_no_to_a_token_that_was_good) {
    struct cache *cache = make_cache(100, 10, 100000000);
    insert(cache, 1);
    insert_at(cache, 1, FACT_INACTIVE, 1);
    insert_at(cache, 1, FACT_INACTIVE, 2); /* asked again, and still no */
    for (unsigned n = 1000; n < 6000; n++)
        insert_at(cache, n, FACT_INACTIVE, 0);
    cr_expect_not_null(look(cache, 1));
    const struct cache_stats stats = stats_of(cache);
    cr_expect_eq(stats.n_entries, 1);
    cr_expect_eq(stats.n_negative_entries, 10);
    cache_free(cache);
}

Test(cache, negative_entries_never_buy_the_bytes_of_positive_ones) {
    struct cache *cache = make_cache(100, 100, 100000);
    for (unsigned n = 0; n < 100; n++)
        insert(cache, n);
    const size_t n_before = stats_of(cache).n_entries;
    cr_assert_eq(n_before, 100);
    for (unsigned n = 1000; n < 1100; n++) {
        struct fact *fact = make(n, FACT_INACTIVE, 0, 20000);
        cache_insert(cache, fact);
        fact_unref(fact);
    }
    const struct cache_stats stats = stats_of(cache);
    cr_expect_eq(stats.n_entries, 100);
    cr_expect_leq(stats.n_negative_entries, 3);
    cr_expect_leq(stats.n_bytes, 100000);
    cache_free(cache);
}

Test(cache, never_has_more_than_its_limits_say) {
    static const struct cache_limits limits[] = {
        {0, 0, 1000000},      {1, 1, 1000000},      {1, 0, 1000000},      {7, 3, 1000000},
        {64, 1, 1000000},     {500, 100, 10000000}, {1000, 20, 10000000}, {2000, 2000, 10000000},
        {3000, 3000, 200000}, {100, 100, 0},        {100, 100, 150},
    };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct cache *cache = make_cache(limits[i].max_entries, limits[i].max_negative_entries, limits[i].max_bytes);
        for (unsigned n = 0; n < 4000; n++) {
            insert(cache, n);
            insert_negative(cache, 100000 + n);
            if (n % 97 != 0 && n != 3999)
                continue;
            const struct cache_stats stats = stats_of(cache);
            cr_assert_leq(stats.n_entries, limits[i].max_entries);
            cr_assert_leq(stats.n_negative_entries, limits[i].max_negative_entries);
            cr_assert_leq(stats.n_bytes, limits[i].max_bytes);
        }
        const struct cache_stats stats = stats_of(cache);
        if (limits[i].max_bytes >= 1000000)
            cr_expect_eq(stats.n_entries, limits[i].max_entries, "case %zu: %zu", i, stats.n_entries);
        if (limits[i].max_bytes >= 1000000)
            cr_expect_eq(stats.n_negative_entries, limits[i].max_negative_entries, "case %zu: %zu", i,
                         stats.n_negative_entries);
        cache_free(cache);
    }
}

Test(cache, a_fact_that_is_larger_than_all_the_room_is_not_taken) {
    struct cache *cache = make_cache(100, 100, 10000);
    struct fact *fact = make(1, FACT_ACTIVE, 0, 20000);
    cache_insert(cache, fact);
    cr_expect_null(look(cache, 1));
    cr_expect_eq(stats_of(cache).n_bytes, 0);
    cr_expect_eq(fact->n_refs, 1);
    fact_unref(fact);
    cache_free(cache);
}

Test(cache, new_limits_hold_with_the_next_inserts) {
    struct cache *cache = make_cache(2000, 2000, 100000000);
    for (unsigned n = 0; n < 2000; n++)
        insert(cache, n);
    const struct cache_limits smaller = {.max_entries = 100, .max_negative_entries = 100, .max_bytes = 10000000};
    cache_resize(cache, &smaller);
    for (unsigned n = 10000; n < 11000; n++)
        insert(cache, n);
    cr_expect_eq(stats_of(cache).n_entries, 100);
    cache_resize(cache, &plenty);
    for (unsigned n = 20000; n < 25000; n++)
        insert(cache, n);
    cr_expect_eq(stats_of(cache).n_entries, 1000);
    cache_free(cache);
}

/* ---- identities ---- */

static struct identity *look_identity(struct cache *cache, unsigned n) {
    uint8_t key[DIGEST_BYTES];
    struct name name;
    struct fact *fact;
    struct identity *identity;
    make_key(n, key);
    cr_assert_eq(cache_lookup(cache, key, token_of(n, &name), &fact, &identity), 0);
    fact_unref(fact);
    identity_unref(identity);
    return identity;
}

Test(cache, keeps_an_identity_beside_its_fact) {
    struct cache *cache = make_cache(1000, 1000, 100000000);
    struct fact *fact = make(1, FACT_ACTIVE, 0, 100);
    cache_insert(cache, fact);
    cr_expect_null(look_identity(cache, 1));
    struct identity *identity = make_identity(1);
    cache_attach(cache, fact, identity);
    cr_expect_eq(look_identity(cache, 1), identity);
    cr_expect_eq(stats_of(cache).n_bytes, fact_bytes(fact) + identity_bytes(identity));
    cache_attach(cache, fact, identity);
    cr_expect_eq(identity->n_refs, 2);
    cr_expect_eq(stats_of(cache).n_bytes, fact_bytes(fact) + identity_bytes(identity));
    cache_free(cache);
    cr_expect_eq(identity->n_refs, 1);
    identity_unref(identity);
    fact_unref(fact);
}

Test(cache, a_later_configurations_identity_replaces_an_earlier_ones_and_not_the_other_way_round) {
    static const struct {
        uint32_t first, second;
        bool is_replaced;
    } cases[] = {{1, 2, true}, {2, 2, true}, {2, 1, false}, {UINT32_MAX, 1, true}, {1, UINT32_MAX, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cache *cache = make_cache(1000, 1000, 100000000);
        struct fact *fact = make(1, FACT_ACTIVE, 0, 100);
        struct identity *first = make_identity(cases[i].first), *second = make_identity(cases[i].second);
        cache_insert(cache, fact);
        cache_attach(cache, fact, first);
        cache_attach(cache, fact, second);
        cr_expect_eq(look_identity(cache, 1), cases[i].is_replaced ? second : first, "%zu", i);
        identity_unref(first);
        identity_unref(second);
        fact_unref(fact);
        cache_free(cache);
    }
}

Test(cache, an_identity_is_not_kept_beside_another_fact_of_the_same_token) {
    struct cache *cache = make_cache(1000, 1000, 100000000);
    struct fact *old = make(1, FACT_ACTIVE, 0, 100), *new = make(1, FACT_ACTIVE, 1, 100);
    struct identity *identity = make_identity(1);
    cache_insert(cache, old);
    cache_insert(cache, new);
    cache_attach(cache, old, identity);
    cr_expect_null(look_identity(cache, 1));
    cr_expect_eq(identity->n_refs, 1);
    struct fact *absent = make(2, FACT_ACTIVE, 0, 100);
    cache_attach(cache, absent, identity);
    cr_expect_eq(identity->n_refs, 1);
    identity_unref(identity);
    fact_unref(old);
    fact_unref(new);
    fact_unref(absent);
    cache_free(cache);
}

Test(cache, a_new_fact_begins_without_the_old_ones_identity) {
    struct cache *cache = make_cache(1000, 1000, 100000000);
    struct fact *old = make(1, FACT_ACTIVE, 0, 100);
    struct identity *identity = make_identity(1);
    cache_insert(cache, old);
    cache_attach(cache, old, identity);
    insert_at(cache, 1, FACT_ACTIVE, 1);
    cr_expect_null(look_identity(cache, 1));
    cr_expect_eq(identity->n_refs, 1);
    identity_unref(identity);
    fact_unref(old);
    cache_free(cache);
}

Test(cache, identities_count_and_make_room_for_themselves) {
    struct cache *cache = make_cache(100, 0, 100 * 400);
    struct identity *identity = make_identity(1);
    for (unsigned n = 0; n < 200; n++) {
        struct fact *fact = make(n, FACT_ACTIVE, 0, 300);
        cache_insert(cache, fact);
        cache_attach(cache, fact, identity);
        cr_assert_leq(stats_of(cache).n_bytes, 100 * 400);
        fact_unref(fact);
    }
    const size_t n_expected = 100 * 400 / (stats_of(cache).n_bytes / stats_of(cache).n_entries);
    cr_expect_eq(stats_of(cache).n_entries, n_expected);
    cr_expect_lt(n_expected, 100, "bytes are the limit here, and not entries");
    cr_expect_eq(identity->n_refs, n_expected + 1);
    cache_free(cache);
    identity_unref(identity);
}

Test(cache, an_identity_that_does_not_fit_evicts_the_oldest) {
    struct fact *first = make(1, FACT_ACTIVE, 0, 100), *second = make(2, FACT_ACTIVE, 0, 100);
    struct identity *identity = make_identity(1);
    struct cache *cache = make_cache(10, 0, fact_bytes(first) + fact_bytes(second) + identity_bytes(identity) - 1);
    cache_insert(cache, second);
    cache_insert(cache, first);
    cache_attach(cache, second, identity);
    cr_expect_null(look(cache, 1));
    cr_expect_eq(look_identity(cache, 2), identity);
    cr_expect_eq(stats_of(cache).n_bytes, fact_bytes(second) + identity_bytes(identity));
    cache_free(cache);
    identity_unref(identity);
    fact_unref(first);
    fact_unref(second);
}

Test(cache, a_fact_that_comes_back_comes_without_its_identity) {
    struct cache *cache = make_cache(10, 0, 100000);
    struct fact *fact = make(1, FACT_ACTIVE, 0, 100);
    struct identity *identity = make_identity(1);
    cache_insert(cache, fact);
    cache_attach(cache, fact, identity);
    cache_remove(cache, fact->key);
    cr_expect_eq(identity->n_refs, 1);
    cache_insert(cache, fact);
    cr_expect_null(look_identity(cache, 1));
    cr_expect_eq(stats_of(cache).n_bytes, fact_bytes(fact));
    identity_unref(identity);
    fact_unref(fact);
    cache_free(cache);
}

/* ---- failures ---- */

Test(cache, every_failed_allocation_is_survived) {
    int r = -1;
    size_t n_failures = 0;
    for (size_t n = 1; r != 0; n++) {
        const struct cache_limits limits = {10000, 10000, 100000000};
        struct cache *cache = NULL;
        memory_fail_at(n);
        r = cache_new(&limits, &cache);
        memory_fail_at(0);
        n_failures += r != 0;
        cr_expect(r == 0 || (r == -ENOMEM && cache == NULL));
        cache_free(cache);
    }
    cr_expect_eq(n_failures, 17, "the cache, and the buckets of 16 shards");
}

Test(cache, without_memory_for_more_buckets_all_is_still_found) {
    struct cache *cache = make_cache(1000, 1000, 100000000);
    for (unsigned n = 0; n < 800; n++) {
        struct fact *fact = make(n, FACT_ACTIVE, 0, 10);
        memory_fail_at(1);
        cache_insert(cache, fact);
        memory_fail_at(0);
        fact_unref(fact);
    }
    for (unsigned n = 0; n < 800; n++)
        cr_expect_not_null(look(cache, n), "%u", n);
    insert(cache, 800);
    for (unsigned n = 0; n <= 800; n++)
        cr_expect_not_null(look(cache, n), "%u after growing", n);
    cache_free(cache);
}

Test(cache, buckets_grow_with_the_facts) {
    struct cache *cache = make_cache(1000, 100, 100000000); /* few enough for one shard */
    struct fact *facts[500];
    for (unsigned n = 0; n < 500; n++)
        facts[n] = make(n, FACT_ACTIVE, 0, 10);
    memory_fail_at(0);
    for (unsigned n = 0; n < 500; n++)
        cache_insert(cache, facts[n]);
    /* 64 buckets are enough for 128 facts, 128 for 256, 256 for 512 */
    cr_expect_eq(memory_n_allocations(), 2);
    for (unsigned n = 0; n < 500; n++)
        fact_unref(facts[n]);
    cache_free(cache);
}

Test(cache, nothing_is_fine_to_free) {
    cache_free(NULL);
}

/* ---- threads ---- */

#define N_THREADS 4
#define N_KEYS 300

struct worker {
    struct cache *cache;
    struct identity *identities[4];
    unsigned seed;
    size_t n_found, n_wrong;
};

static unsigned next_random(unsigned *state) {
    *state = *state * 1103515245 + 12345;
    return *state >> 12;
}

static void look_and_check(struct worker *worker, unsigned n) {
    uint8_t key[DIGEST_BYTES];
    struct name name;
    struct fact *fact;
    struct identity *identity;
    make_key(n, key);
    if (cache_lookup(worker->cache, key, token_of(n, &name), &fact, &identity) != 0)
        return;
    worker->n_found++;
    worker->n_wrong += !text_equal(fact_token(fact), text_of(name.text)) || memcmp(fact->key, key, DIGEST_BYTES) != 0;
    cache_attach(worker->cache, fact, worker->identities[next_random(&worker->seed) % 4]);
    fact_unref(fact);
    identity_unref(identity);
}

static void *work(void *context) {
    struct worker *worker = context;
    const struct cache_limits limits[2] = {{150, 50, 1000000}, {100, 70, 40000}};
    for (unsigned i = 0; i < 6000; i++) {
        const unsigned n = next_random(&worker->seed) % N_KEYS;
        uint8_t key[DIGEST_BYTES];
        make_key(n, key);
        switch (next_random(&worker->seed) % 8) {
        case 0:
        case 1:
            insert_at(worker->cache, n, n % 3 == 0 ? FACT_INACTIVE : FACT_ACTIVE, i);
            break;
        case 2:
            cache_remove(worker->cache, key);
            break;
        case 3:
            if (i % 50 == 0)
                cache_resize(worker->cache, &limits[i / 50 % 2]);
            worker->n_wrong += stats_of(worker->cache).n_entries > 150;
            break;
        default:
            look_and_check(worker, n);
        }
    }
    return NULL;
}

Test(cache, many_threads_may_use_it_at_once) {
    struct cache *cache = make_cache(150, 50, 1000000);
    pthread_t threads[N_THREADS];
    struct worker workers[N_THREADS];
    struct identity *identities[4];
    for (uint32_t i = 0; i < 4; i++)
        identities[i] = make_identity(i + 1);
    for (size_t i = 0; i < N_THREADS; i++) {
        workers[i] = (struct worker){.cache = cache, .seed = (unsigned)i + 1};
        memcpy(workers[i].identities, identities, sizeof(identities));
        cr_assert_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(workers[i].n_wrong, 0);
        cr_expect_gt(workers[i].n_found, 100);
    }
    cache_free(cache);
    for (size_t i = 0; i < 4; i++) {
        cr_expect_eq(identities[i]->n_refs, 1, "every reference was given back");
        identity_unref(identities[i]);
    }
}
