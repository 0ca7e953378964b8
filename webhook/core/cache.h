/*
 * The facts cache: what providers said, for a while. Sharded, bounded in entries and in bytes, with a partition of its own
 * for negative facts, so that ten million garbage tokens cannot evict one good one, nor what is known of one that was good
 * until it was revoked: that stays in the partition of the good ones. What was not used for the longest goes first, more
 * or less: see find_victim().
 *
 * The cache knows nothing of verdicts: how old a fact may be is the caller's question at every hit. It drops a fact by
 * itself only for room, or when a newer one of the same key comes.
 *
 * Lock order: one shard's lock at a time, never two, and nothing is called with it held but fact_unref, identity_unref.
 */
#pragma once

#include "core/fact.h"
#include "core/identity.h"

struct cache;

struct cache_limits {
    size_t max_entries, max_negative_entries;
    size_t max_bytes; /* of both together, divided between them like the entries; links, tokens, identities counted */
};

struct cache_stats {
    size_t n_entries, n_negative_entries, n_bytes;
    uint64_t n_evictions, n_negative_evictions; /* for room; since the start */
};

/* Returns 0, or -ENOMEM. */
int cache_new(const struct cache_limits *limits, struct cache **ret_cache);
/* Frees all; nobody may be using it. NULL is fine. */
void cache_free(struct cache *cache);

/* New limits; what is over them goes with the next inserts. Any thread. */
void cache_resize(struct cache *cache, const struct cache_limits *limits);

enum { CACHE_MISS = 1 };

/*
 * Looks up what the provider last said of a token, however old that is.
 *
 * key           from fact_key()
 * token         compared with the fact's in constant time, so that not even a collision of keys mixes two up
 * ret_fact      a counted reference: fact_unref() it
 * ret_identity  the identity kept beside it, a counted reference, or NULL; of any generation. May itself be NULL.
 *
 * Returns 0 or CACHE_MISS. Any thread; takes one shard lock; never blocks on I/O, allocates nothing.
 */
int cache_lookup(struct cache *cache, const uint8_t key[DIGEST_BYTES], struct text token, struct fact **ret_fact,
                 struct identity **ret_identity);

/* The same by whoever has just had the fact put in: that is no use of it yet, or all would be used, also tokens that come
 * once. */
int cache_peek(struct cache *cache, const uint8_t key[DIGEST_BYTES], struct text token, struct fact **ret_fact,
               struct identity **ret_identity);

/*
 * The same for whoever has a key and no token: a key that a handle has proved to be ours. Not for a key that a caller could
 * have chosen.
 */
int cache_find(struct cache *cache, const uint8_t key[DIGEST_BYTES], struct fact **ret_fact,
               struct identity **ret_identity);

/*
 * Takes a fact in (its own reference is taken), in place of any older one of the same key: one that was asked before the
 * one that is there is not taken. Evicts for room in its own partition only. Any thread.
 */
void cache_insert(struct cache *cache, struct fact *fact);

/* Keeps an identity beside its fact, if that very fact is still there, unless the one there is of a later generation. Takes
 * its own reference. Any thread. */
void cache_attach(struct cache *cache, struct fact *fact, struct identity *identity);

/* Forgets one fact. Any thread. */
void cache_remove(struct cache *cache, const uint8_t key[DIGEST_BYTES]);

void cache_stats(struct cache *cache, struct cache_stats *ret_stats);
