#include "net/runtime.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "lib/memory.h"

#define LINE "handle-key-of-thirty-two-characters-1"
#define OLD_LINE "handle-key-of-thirty-two-characters-2"

/* What runtime_handle_keys() looks at of a generation. */
struct generation {
    struct config config;
    struct snapshot snapshot;
    struct runtime runtime;
};

static struct generation *generation_new(bool is_on, const char *first, const char *second) {
    struct generation *generation = calloc(1, sizeof(*generation));
    cr_assert_not_null(generation);
    generation->config.policy.handle.is_on = is_on;
    generation->snapshot.config = &generation->config;
    generation->runtime.snapshot = &generation->snapshot;
    const char *const lines[] = {first, second};
    for (size_t i = 0; i < 2 && lines[i] != NULL; i++) {
        cr_assert_eq(secret_new(text_of(lines[i]), &generation->snapshot.handle_keys[i]), 0);
        generation->snapshot.n_handle_keys++;
    }
    return generation;
}

static void generation_free(struct generation *generation) {
    for (size_t i = 0; i < generation->snapshot.n_handle_keys; i++)
        secret_free(generation->snapshot.handle_keys[i]);
    free(generation);
}

static const struct handle_subject ada = {.username = TEXT("corp:ada"), .uid = TEXT("1"), .cluster = TEXT("test")};
static const uint8_t name_of_fact[DIGEST_BYTES] = {1, 2, 3};

static struct handle_keys *keys_of(const struct generation *generation) {
    struct handle_keys *keys = NULL;
    cr_assert_eq(runtime_handle_keys(&generation->runtime, &keys), 0);
    return keys;
}

/* What the keys say of a handle that those of another generation have signed. */
static enum reason verify(const struct generation *by, const struct generation *signed_by) {
    struct handle_keys *signing = keys_of(signed_by), *verifying = keys_of(by);
    char memory[LIMIT_HANDLE_BYTES];
    struct buffer handle;
    buffer_init_fixed(&handle, memory, sizeof(memory));
    cr_assert_eq(handle_append(signing, &ada, name_of_fact, 1700000000, &handle), 0);
    uint8_t key[DIGEST_BYTES];
    const enum reason reason = handle_verify(verifying, &ada, buffer_text(&handle), 1700000000, 60, key);
    handle_keys_free(signing);
    handle_keys_free(verifying);
    return reason;
}

Test(runtime, the_first_line_signs_and_every_line_verifies) {
    struct generation *old = generation_new(true, OLD_LINE, NULL), *both = generation_new(true, LINE, OLD_LINE),
                      *new = generation_new(true, LINE, NULL);
    cr_expect_eq(verify(both, old), REASON_OK);
    cr_expect_eq(verify(new, both), REASON_OK);
    cr_expect_eq(verify(both, new), REASON_OK);
    cr_expect_eq(verify(new, old), REASON_HANDLE_ALTERED);
    cr_expect_eq(verify(old, both), REASON_HANDLE_ALTERED);
    generation_free(old);
    generation_free(both);
    generation_free(new);
}

Test(runtime, without_a_handle_there_are_no_keys_whatever_lines_there_are) {
    struct generation *off = generation_new(false, LINE, NULL);
    cr_expect_null(keys_of(off));
    generation_free(off);
}

Test(runtime, a_handle_without_lines_is_an_error_and_not_a_handle_that_anybody_signs) {
    struct generation *none = generation_new(true, NULL, NULL);
    struct handle_keys *keys;
    cr_expect_eq(runtime_handle_keys(&none->runtime, &keys), -EINVAL);
    generation_free(none);
}

Test(runtime, every_failed_allocation_of_handle_keys_is_survived) {
    struct generation *generation = generation_new(true, LINE, OLD_LINE);
    int r = -1;
    for (size_t n = 1; r != 0; n++) {
        struct handle_keys *keys = NULL;
        memory_fail_at(n);
        r = runtime_handle_keys(&generation->runtime, &keys);
        memory_fail_at(0);
        cr_expect(r == 0 || r == -ENOMEM, "%d", r);
        cr_expect_eq(keys == NULL, r != 0);
        handle_keys_free(keys);
    }
    generation_free(generation);
}
