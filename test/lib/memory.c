#include "lib/memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic size_t fail_at, n_allocations;
static _Atomic bool has_failed;

void *__real_malloc(size_t n_bytes);
void *__real_calloc(size_t n, size_t n_bytes);
void *__real_realloc(void *memory, size_t n_bytes);
void *__wrap_malloc(size_t n_bytes);
void *__wrap_calloc(size_t n, size_t n_bytes);
void *__wrap_realloc(void *memory, size_t n_bytes);
char *__wrap_strdup(const char *string);
char *__wrap_strndup(const char *string, size_t n_bytes);

void memory_fail_at(size_t n) {
    fail_at = n;
    n_allocations = 0;
    has_failed = false;
}

bool memory_has_failed(void) {
    return has_failed;
}

size_t memory_n_allocations(void) {
    return n_allocations;
}

static bool fails(void) {
    const size_t n = ++n_allocations;
    if (fail_at == 0 || n < fail_at)
        return false;
    has_failed = true;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n_bytes) {
    return fails() ? NULL : __real_malloc(n_bytes);
}

void *__wrap_calloc(size_t n, size_t n_bytes) {
    return fails() ? NULL : __real_calloc(n, n_bytes);
}

void *__wrap_realloc(void *memory, size_t n_bytes) {
    return fails() ? NULL : __real_realloc(memory, n_bytes);
}

char *__wrap_strndup(const char *string, size_t n_bytes) {
    const size_t n = strnlen(string, n_bytes);
    char *copy = __wrap_malloc(n + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, string, n);
    copy[n] = '\0';
    return copy;
}

char *__wrap_strdup(const char *string) {
    return __wrap_strndup(string, strlen(string));
}
