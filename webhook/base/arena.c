#include "base/arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#define CHUNK_BYTES ((size_t)8192)

struct chunk {
    struct chunk *next;
    size_t n_bytes, capacity_bytes;
    alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct chunk *chunks; /* the first is the one being filled */
    size_t n_bytes, max_bytes;
};

int arena_new(size_t max_bytes, struct arena **ret_arena) {
    struct arena *arena = malloc(sizeof(*arena));
    if (arena == NULL)
        return -ENOMEM;
    *arena = (struct arena){.max_bytes = max_bytes};
    *ret_arena = arena;
    return 0;
}

void arena_free(struct arena *arena) {
    if (arena == NULL)
        return;
    for (struct chunk *chunk = arena->chunks, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(arena);
}

static struct chunk *add_chunk(struct arena *arena, size_t n_bytes) {
    const size_t capacity = n_bytes > CHUNK_BYTES ? n_bytes : CHUNK_BYTES;
    struct chunk *chunk = calloc(1, sizeof(*chunk) + capacity);
    if (chunk == NULL)
        return NULL;
    chunk->capacity_bytes = capacity;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t n_bytes) {
    const size_t unit = alignof(max_align_t);
    if (n_bytes > SIZE_MAX - sizeof(struct chunk) - unit)
        return NULL;
    const size_t padded = n_bytes == 0 ? unit : (n_bytes + unit - 1) / unit * unit;
    if (padded > arena->max_bytes - arena->n_bytes)
        return NULL;
    struct chunk *chunk = arena->chunks;
    if (chunk == NULL || padded > chunk->capacity_bytes - chunk->n_bytes)
        chunk = add_chunk(arena, padded);
    if (chunk == NULL)
        return NULL;
    void *memory = chunk->bytes + chunk->n_bytes;
    chunk->n_bytes += padded;
    arena->n_bytes += padded;
    return memory;
}

void *arena_array(struct arena *arena, size_t n_items, size_t item_bytes) {
    size_t n_bytes;
    return __builtin_mul_overflow(n_items, item_bytes, &n_bytes) ? NULL : arena_alloc(arena, n_bytes);
}

char *arena_string(struct arena *arena, struct text text) {
    char *copy = text.n_bytes == SIZE_MAX ? NULL : arena_alloc(arena, text.n_bytes + 1);
    if (copy != NULL && text.n_bytes > 0)
        memcpy(copy, text.data, text.n_bytes); /* the zero byte is there */
    return copy;
}

int arena_text(struct arena *arena, struct text text, struct text *ret_text) {
    const char *copy = arena_string(arena, text);
    if (copy == NULL)
        return -ENOMEM;
    *ret_text = (struct text){.data = copy, .n_bytes = text.n_bytes};
    return 0;
}
