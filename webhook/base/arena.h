/*
 * Memory that is taken piece by piece and given back all at once: for structures that are built in one go and never
 * change, as a configuration. Not for secrets: it does not wipe.
 */
#pragma once

#include "base/text.h"

struct arena;

/*
 * An empty arena.
 *
 * max_bytes  how much may be taken from it in all, padding for alignment counted
 *
 * Returns 0, or -ENOMEM. The caller owns *ret_arena: arena_free() it.
 */
int arena_new(size_t max_bytes, struct arena **ret_arena);

/* Frees all that was taken from it. NULL is fine. */
void arena_free(struct arena *arena);

/*
 * Takes n_bytes, zeroed and aligned for any type. Returns NULL when there is no memory or the arena's maximum is reached;
 * never NULL for 0 bytes otherwise. One thread at a time.
 */
void *arena_alloc(struct arena *arena, size_t n_bytes);

/* The same for n items of a size: NULL as well where n times the size is no size_t. */
void *arena_array(struct arena *arena, size_t n_items, size_t item_bytes);

/* Copies a text into the arena. Returns 0, or -ENOMEM. */
int arena_text(struct arena *arena, struct text text, struct text *ret_text);

/* Copies a text into the arena, with a zero byte after it. Returns NULL like arena_alloc(). */
char *arena_string(struct arena *arena, struct text text);
