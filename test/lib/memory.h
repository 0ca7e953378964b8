/*
 * Makes allocations fail. Every unit test is linked with malloc, calloc, realloc, strdup and strndup wrapped, so that a test can
 * make the n-th of them, as called by our own code, return NULL. (Libraries call the real ones: jansson's failures are
 * set through json_set_alloc_funcs() where a test wants them.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* From now on, the n-th allocation (1 is the next) fails, and all after it. 0: none fails. */
void memory_fail_at(size_t n);

/* Whether memory_fail_at() has made one fail since it was called. */
bool memory_has_failed(void);

/* Allocations counted since memory_fail_at(). */
size_t memory_n_allocations(void);
