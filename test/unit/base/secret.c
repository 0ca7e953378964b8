#include "base/secret.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/memory.h"
#include "lib/sentinel.h"

/* In place of OpenSSL's, as what was freed cannot be looked at. */
static struct {
    const char *memory;
    size_t n_bytes;
} wiped;

void OPENSSL_cleanse(void *memory, size_t n_bytes);
void OPENSSL_cleanse(void *memory, size_t n_bytes) {
    wiped.memory = memory;
    wiped.n_bytes = n_bytes;
    memset(memory, 0, n_bytes);
}

Test(secret, free_wipes_it_whole) {
    struct secret *secret;
    cr_assert_eq(secret_new(TEXT(SENTINEL_SECRET), &secret), 0);
    const char *const bytes = secret_text(secret).data;
    secret_free(secret);
    cr_assert_leq(wiped.memory, bytes);
    cr_assert_geq(wiped.memory + wiped.n_bytes, bytes + sizeof(SENTINEL_SECRET) - 1);
}

Test(secret, is_a_copy_followed_by_a_zero_byte) {
    char bytes[] = SENTINEL_SECRET;
    struct secret *secret;
    cr_assert_eq(secret_new(text_of(bytes), &secret), 0);
    memset(bytes, 'x', sizeof(bytes) - 1);
    cr_assert(text_equal(secret_text(secret), TEXT(SENTINEL_SECRET)));
    cr_assert_eq(secret_text(secret).data[secret_text(secret).n_bytes], '\0');
    secret_free(secret);
}

Test(secret, may_be_empty_and_may_hold_zero_bytes) {
    struct secret *secret;
    cr_assert_eq(secret_new((struct text){0}, &secret), 0);
    cr_assert_eq(secret_text(secret).n_bytes, 0);
    cr_assert_eq(secret_text(secret).data[0], '\0');
    secret_free(secret);

    cr_assert_eq(secret_new(TEXT("a\0b"), &secret), 0);
    cr_assert(text_equal(secret_text(secret), TEXT("a\0b")));
    secret_free(secret);
}

Test(secret, without_memory_there_is_none) {
    struct secret *const untouched = (struct secret *)&errno;
    struct secret *secret = untouched;
    memory_fail_at(1);
    cr_assert_eq(secret_new(TEXT(SENTINEL_SECRET), &secret), -ENOMEM);
    memory_fail_at(0);
    cr_assert_eq(secret, untouched);
    cr_assert_eq(secret_new((struct text){.data = "", .n_bytes = SIZE_MAX}, &secret), -ENOMEM);
}

Test(secret, equal_compares_every_byte_and_the_length) {
    const struct {
        struct text a, b;
        bool equal;
    } cases[] = {
        {TEXT("abc"), TEXT("abc"), true},    {TEXT("abc"), TEXT("abd"), false}, {TEXT("abc"), TEXT("xbc"), false},
        {TEXT("abc"), TEXT("ab"), false},    {TEXT("ab"), TEXT("abc"), false},  {TEXT(""), {0}, true},
        {TEXT("a\0b"), TEXT("a\0c"), false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_eq(secret_equal(cases[i].a, cases[i].b), cases[i].equal, "case %zu", i);
}

Test(secret, wipe_leaves_nothing) {
    char bytes[] = SENTINEL_SECRET;
    secret_wipe(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        cr_assert_eq(bytes[i], 0);
    secret_wipe(NULL, 0);
}

Test(secret, free_takes_null) {
    secret_free(NULL);
}
