#include "core/cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/secret.h"

/* A chain of two facts is walked as fast as one: what a lookup waits for is the memory of the fact itself. */
#define FACTS_PER_BUCKET 2
#define FIRST_BUCKETS 64
#define MAX_SHARDS 16
/* Below this, the luck of the keys would leave some shards full while others are empty. */
#define MIN_FACTS_PER_SHARD 64
/* Facts that one eviction looks at, with the lock held. */
#define MAX_PASSED_OVER 16
#define CACHE_LINE_BYTES 64
/* What a hit reads of most facts and identities. */
#define FACT_AHEAD_BYTES 256
#define IDENTITY_AHEAD_BYTES 320

/* The facts that compete for the same room, in the order in which they came or were last given another turn. */
struct partition {
    struct fact *oldest, *newest;
    size_t n_entries, max_entries;
    size_t n_bytes, max_bytes;
    uint64_t n_evictions;
};

enum { POSITIVE, NEGATIVE, N_PARTITIONS };

/* One lock each. Keys are HMACs, so facts spread over the shards evenly and nobody can aim at one. */
struct shard {
    pthread_mutex_t lock; /* guards all below, and fact->link of each fact in here */
    struct fact **buckets;
    size_t n_buckets; /* a power of two */
    struct partition partitions[N_PARTITIONS];
};

struct cache {
    size_t n_shards; /* a power of two */
    struct shard shards[];
};

/* ---- where a fact is ---- */

static struct shard *shard_of(struct cache *cache, const uint8_t *key) {
    return &cache->shards[key[0] & (cache->n_shards - 1)];
}

/* Not the bytes that chose the shard. */
static struct fact **bucket_of(const struct shard *shard, const uint8_t *key) {
    uint64_t hash;
    memcpy(&hash, key + 8, sizeof(hash));
    return &shard->buckets[hash & (shard->n_buckets - 1)];
}

/* Chosen when it is put in. A "no" to a token that was good stays among the good ones: whoever holds a revoked token must
   not be able to have that forgotten by sending garbage, which only fills the other partition. */
static struct partition *partition_of(struct shard *shard, const struct fact *fact) {
    return &shard->partitions[fact->was_active ? POSITIVE : NEGATIVE];
}

/* Asks for memory that is read soon, so that its parts come at once and not one after the other. It may be less than that,
   or none at all: no address is wrong. */
static void fetch_ahead(const void *start, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; i += CACHE_LINE_BYTES)
        __builtin_prefetch((const void *)((uintptr_t)start + i));
}

static struct fact *find(const struct shard *shard, const uint8_t *key) {
    struct fact *fact = *bucket_of(shard, key);
    fetch_ahead(fact, FACT_AHEAD_BYTES);
    while (fact != NULL && memcmp(fact->key, key, DIGEST_BYTES) != 0)
        fact = fact->link.bucket_next;
    return fact;
}

static size_t bytes_of(const struct fact *fact) {
    return fact_bytes(fact) + (fact->link.identity == NULL ? 0 : identity_bytes(fact->link.identity));
}

/* ---- the order of eviction ---- */

static void append_newest(struct partition *partition, struct fact *fact) {
    fact->link.older = partition->newest;
    fact->link.newer = NULL;
    if (partition->newest != NULL)
        partition->newest->link.newer = fact;
    else
        partition->oldest = fact;
    partition->newest = fact;
}

static void take_out(struct partition *partition, struct fact *fact) {
    if (fact->link.older != NULL)
        fact->link.older->link.newer = fact->link.newer;
    else
        partition->oldest = fact->link.newer;
    if (fact->link.newer != NULL)
        fact->link.newer->link.older = fact->link.older;
    else
        partition->newest = fact->link.older;
}

static void make_newest(struct partition *partition, struct fact *fact) {
    take_out(partition, fact);
    append_newest(partition, fact);
}

/*
 * Which one goes first: the oldest that nobody has used since it was the newest. One that was used gets another turn, and
 * loses its mark (second chance, as of pages). A use then costs a mark on the fact itself, which is at hand, where to move
 * it would wait for the memory of three others. Where so many were used in a row that to pass over them all would hold the
 * lock for long, the next one goes. NULL where there is none.
 */
static struct fact *find_victim(struct partition *partition) {
    struct fact *fact = partition->oldest;
    for (size_t i = 0; i < MAX_PASSED_OVER && fact != NULL && fact->is_used; i++, fact = partition->oldest) {
        fact->is_used = false;
        make_newest(partition, fact);
    }
    return fact;
}

/* ---- in and out, with the shard's lock held ---- */

static void drop(struct shard *shard, struct fact *fact) {
    struct partition *partition = partition_of(shard, fact);
    struct fact **place = bucket_of(shard, fact->key);
    while (*place != fact)
        place = &(*place)->link.bucket_next;
    *place = fact->link.bucket_next;
    take_out(partition, fact);
    partition->n_entries--;
    partition->n_bytes -= bytes_of(fact);
    identity_unref(fact->link.identity);
    fact->link = (struct fact_link){0};
    fact_unref(fact);
}

/* Evicts until n_entries and n_bytes more would fit, or nothing is left. Returns whether they fit. */
static bool make_room(struct shard *shard, struct partition *partition, size_t n_entries, size_t n_bytes) {
    while (partition->n_entries + n_entries > partition->max_entries ||
           partition->n_bytes + n_bytes > partition->max_bytes) {
        struct fact *victim = find_victim(partition);
        if (victim == NULL)
            return false;
        drop(shard, victim);
        partition->n_evictions++;
    }
    return true;
}

/* More buckets where chains have become long. Without memory for them the chains grow: slower, and right. */
static void grow(struct shard *shard) {
    const size_t n_facts = shard->partitions[POSITIVE].n_entries + shard->partitions[NEGATIVE].n_entries;
    if (n_facts <= shard->n_buckets * FACTS_PER_BUCKET)
        return;
    struct fact **buckets = calloc(shard->n_buckets * 2, sizeof(*buckets));
    if (buckets == NULL)
        return;
    struct fact **old = shard->buckets;
    const size_t n_old = shard->n_buckets;
    shard->buckets = buckets;
    shard->n_buckets = n_old * 2;
    for (size_t i = 0; i < n_old; i++) {
        for (struct fact *fact = old[i], *next; fact != NULL; fact = next) {
            struct fact **bucket = bucket_of(shard, fact->key);
            next = fact->link.bucket_next;
            fact->link.bucket_next = *bucket;
            *bucket = fact;
        }
    }
    free(old);
}

static void put(struct shard *shard, struct fact *fact, bool was_active) {
    fact->was_active = was_active || fact->answer == FACT_ACTIVE;
    fact->is_used = false;
    struct partition *partition = partition_of(shard, fact);
    if (!make_room(shard, partition, 1, fact_bytes(fact)))
        return;
    struct fact **bucket = bucket_of(shard, fact->key);
    fact->link.bucket_next = *bucket;
    *bucket = fact_ref(fact);
    append_newest(partition, fact);
    partition->n_entries++;
    partition->n_bytes += bytes_of(fact);
    grow(shard);
}

/* ---- limits ---- */

/* What one of n shards gets of a total, so that all together get exactly the total. */
static size_t share(size_t total, size_t n, size_t index) {
    return total / n + (index < total % n ? 1 : 0);
}

/* Bytes are divided like entries: in a common purse, large garbage tokens could buy the room of good ones. */
static void divide_bytes(const struct cache_limits *limits, size_t ret_max_bytes[N_PARTITIONS]) {
    const size_t n_entries = limits->max_entries + limits->max_negative_entries;
    const size_t n_bytes_per_entry = n_entries == 0 ? 0 : limits->max_bytes / n_entries;
    ret_max_bytes[NEGATIVE] = n_bytes_per_entry * limits->max_negative_entries;
    ret_max_bytes[POSITIVE] = limits->max_bytes - ret_max_bytes[NEGATIVE];
}

static void limit_shard(const struct cache *cache, size_t index, const struct cache_limits *limits, struct shard *shard) {
    const size_t max_entries[N_PARTITIONS] = {limits->max_entries, limits->max_negative_entries};
    size_t max_bytes[N_PARTITIONS];
    divide_bytes(limits, max_bytes);
    for (size_t i = 0; i < N_PARTITIONS; i++) {
        shard->partitions[i].max_entries = share(max_entries[i], cache->n_shards, index);
        shard->partitions[i].max_bytes = share(max_bytes[i], cache->n_shards, index);
    }
}

static size_t shards_for(const struct cache_limits *limits) {
    const size_t n_negative = limits->max_negative_entries;
    const size_t n_fewest = n_negative > 0 && n_negative < limits->max_entries ? n_negative : limits->max_entries;
    size_t n_shards = MAX_SHARDS;
    while (n_shards > 1 && n_fewest / n_shards < MIN_FACTS_PER_SHARD)
        n_shards /= 2;
    return n_shards;
}

/* ---- life ---- */

static int shard_init(struct shard *shard) {
    shard->buckets = calloc(FIRST_BUCKETS, sizeof(struct fact *));
    if (shard->buckets == NULL)
        return -ENOMEM;
    shard->n_buckets = FIRST_BUCKETS;
    pthread_mutex_init(&shard->lock, NULL);
    return 0;
}

/* A shard that was never begun is fine. */
static void shard_deinit(struct shard *shard) {
    if (shard->buckets == NULL)
        return;
    for (size_t i = 0; i < N_PARTITIONS; i++) {
        while (shard->partitions[i].oldest != NULL)
            drop(shard, shard->partitions[i].oldest);
    }
    free(shard->buckets);
    pthread_mutex_destroy(&shard->lock);
}

int cache_new(const struct cache_limits *limits, struct cache **ret_cache) {
    const size_t n_shards = shards_for(limits);
    struct cache *cache = calloc(1, sizeof(*cache) + n_shards * sizeof(cache->shards[0]));
    if (cache == NULL)
        return -ENOMEM;
    cache->n_shards = n_shards;
    for (size_t i = 0; i < n_shards; i++) {
        const int r = shard_init(&cache->shards[i]);
        if (r < 0) {
            cache_free(cache);
            return r;
        }
        limit_shard(cache, i, limits, &cache->shards[i]);
    }
    *ret_cache = cache;
    return 0;
}

void cache_free(struct cache *cache) {
    if (cache == NULL)
        return;
    for (size_t i = 0; i < cache->n_shards; i++)
        shard_deinit(&cache->shards[i]);
    free(cache);
}

void cache_resize(struct cache *cache, const struct cache_limits *limits) {
    for (size_t i = 0; i < cache->n_shards; i++) {
        struct shard *shard = &cache->shards[i];
        pthread_mutex_lock(&shard->lock);
        limit_shard(cache, i, limits, shard);
        pthread_mutex_unlock(&shard->lock);
    }
}

/* ---- use ---- */

/* token: NULL where the key alone is enough. */
static int look_up(struct cache *cache, const uint8_t key[DIGEST_BYTES], const struct text *token, bool is_use,
                   struct fact **ret_fact, struct identity **ret_identity) {
    struct shard *shard = shard_of(cache, key);
    pthread_mutex_lock(&shard->lock);
    struct fact *fact = find(shard, key);
    if (fact != NULL)
        fetch_ahead(fact->link.identity, IDENTITY_AHEAD_BYTES); /* while the token is compared */
    if (fact == NULL || (token != NULL && !secret_equal(fact_token(fact), *token))) {
        pthread_mutex_unlock(&shard->lock);
        return CACHE_MISS;
    }
    if (is_use)
        fact->is_used = true;
    fact_ref(fact);
    struct identity *identity = fact->link.identity;
    if (identity != NULL && ret_identity != NULL)
        identity_ref(identity);
    pthread_mutex_unlock(&shard->lock);
    *ret_fact = fact;
    if (ret_identity != NULL)
        *ret_identity = identity;
    return 0;
}

int cache_lookup(struct cache *cache, const uint8_t key[DIGEST_BYTES], struct text token, struct fact **ret_fact,
                 struct identity **ret_identity) {
    return look_up(cache, key, &token, true, ret_fact, ret_identity);
}

int cache_peek(struct cache *cache, const uint8_t key[DIGEST_BYTES], struct text token, struct fact **ret_fact,
               struct identity **ret_identity) {
    return look_up(cache, key, &token, false, ret_fact, ret_identity);
}

int cache_find(struct cache *cache, const uint8_t key[DIGEST_BYTES], struct fact **ret_fact,
               struct identity **ret_identity) {
    return look_up(cache, key, NULL, true, ret_fact, ret_identity);
}

void cache_insert(struct cache *cache, struct fact *fact) {
    struct shard *shard = shard_of(cache, fact->key);
    pthread_mutex_lock(&shard->lock);
    struct fact *present = find(shard, fact->key);
    /* Two answers may arrive in another order than they were asked for; the later question knows better. */
    const bool is_older = present != NULL && present->asked_mono_ms > fact->asked_mono_ms;
    if (present != fact && !is_older) {
        const bool was_active = present != NULL && present->was_active;
        if (present != NULL)
            drop(shard, present);
        put(shard, fact, was_active);
    }
    pthread_mutex_unlock(&shard->lock);
}

/* Whether the one that is there was made by a later configuration. Generations wrap. */
static bool is_newer(const struct identity *present, const struct identity *identity) {
    return present != NULL && (int32_t)(present->generation - identity->generation) > 0;
}

void cache_attach(struct cache *cache, struct fact *fact, struct identity *identity) {
    struct shard *shard = shard_of(cache, fact->key);
    pthread_mutex_lock(&shard->lock);
    if (find(shard, fact->key) == fact && !is_newer(fact->link.identity, identity)) {
        struct partition *partition = partition_of(shard, fact);
        partition->n_bytes -= bytes_of(fact);
        identity_unref(fact->link.identity);
        fact->link.identity = identity_ref(identity);
        partition->n_bytes += bytes_of(fact);
        make_newest(partition, fact); /* or the room for its identity might be its own */
        make_room(shard, partition, 0, 0);
    }
    pthread_mutex_unlock(&shard->lock);
}

void cache_remove(struct cache *cache, const uint8_t key[DIGEST_BYTES]) {
    struct shard *shard = shard_of(cache, key);
    pthread_mutex_lock(&shard->lock);
    struct fact *fact = find(shard, key);
    if (fact != NULL)
        drop(shard, fact);
    pthread_mutex_unlock(&shard->lock);
}

void cache_stats(struct cache *cache, struct cache_stats *ret_stats) {
    *ret_stats = (struct cache_stats){0};
    for (size_t i = 0; i < cache->n_shards; i++) {
        struct shard *shard = &cache->shards[i];
        pthread_mutex_lock(&shard->lock);
        const struct partition *positive = &shard->partitions[POSITIVE], *negative = &shard->partitions[NEGATIVE];
        ret_stats->n_entries += positive->n_entries;
        ret_stats->n_negative_entries += negative->n_entries;
        ret_stats->n_bytes += positive->n_bytes + negative->n_bytes;
        ret_stats->n_evictions += positive->n_evictions;
        ret_stats->n_negative_evictions += negative->n_evictions;
        pthread_mutex_unlock(&shard->lock);
    }
}
