#include "base/digest.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/memory.h"
#include "lib/sentinel.h"

static const uint8_t key[DIGEST_BYTES] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                          16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

static void assert_hex(const uint8_t bytes[DIGEST_BYTES], const char *expected) {
    char hex[2 * DIGEST_BYTES + 1];
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    cr_assert_str_eq(hex, expected);
}

/* Computed by Python's hmac module over each part's length (struct.pack(">Q")) and bytes. */
Test(digest, of_parts_is_hmac_sha_256_of_lengths_and_bytes) {
    char large[100000];
    memset(large, 'x', sizeof(large));
    const struct text three[] = {TEXT("https://id.example.com"), {0}, TEXT("token")};
    const struct text one[] = {{.data = large, .n_bytes = sizeof(large)}};
    struct digest *digest;
    uint8_t result[DIGEST_BYTES];
    cr_assert_eq(digest_new(key, &digest), 0);
    for (int round = 0; round < 3; round++) { /* the context is used again */
        cr_assert_eq(digest_parts(digest, three, 3, result), 0);
        assert_hex(result, "2c2bcb72097f410d721b0d6e737be1639007d5371bbef6cdb78ed31a84ff1677");
        cr_assert_eq(digest_parts(digest, NULL, 0, result), 0);
        assert_hex(result, "d38b42096d80f45f826b44a9d5607de72496a415d3f4a1a8c88e3bb9da8dc1cb");
        cr_assert_eq(digest_parts(digest, one, 1, result), 0);
        assert_hex(result, "17f5274b34c8abbfc85b45a134b0405b2e8fbf308d96012d17b03fbdda2b7080");
    }
    digest_free(digest);
}

Test(digest, two_lists_of_parts_with_the_same_bytes_differ) {
    const struct text lists[][2] = {{TEXT("ab"), TEXT("c")}, {TEXT("a"), TEXT("bc")}, {TEXT("abc"), TEXT("")}};
    uint8_t results[3][DIGEST_BYTES];
    struct digest *digest;
    cr_assert_eq(digest_new(key, &digest), 0);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(digest_parts(digest, lists[i], 2, results[i]), 0);
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < i; k++)
            cr_assert_neq(memcmp(results[i], results[k], DIGEST_BYTES), 0);
    }
    digest_free(digest);
}

Test(digest, under_another_secret_differs) {
    uint8_t other[DIGEST_BYTES], results[2][DIGEST_BYTES];
    memcpy(other, key, sizeof(other));
    other[DIGEST_BYTES - 1] ^= 1;
    const uint8_t *const secrets[] = {key, other};
    for (size_t i = 0; i < 2; i++) {
        struct digest *digest;
        cr_assert_eq(digest_new(secrets[i], &digest), 0);
        cr_assert_eq(digest_parts(digest, &TEXT(SENTINEL_TOKEN), 1, results[i]), 0);
        digest_free(digest);
    }
    cr_assert_neq(memcmp(results[0], results[1], DIGEST_BYTES), 0);
}

Test(digest, a_secret_is_new_each_time) {
    uint8_t one[DIGEST_BYTES] = {0}, two[DIGEST_BYTES] = {0};
    cr_assert_eq(digest_secret(one), 0);
    cr_assert_eq(digest_secret(two), 0);
    cr_assert_neq(memcmp(one, two, sizeof(one)), 0);
}

/* FIPS 180-4's own examples, as NIST publishes them, and the empty message. */
Test(digest, sha256) {
    const struct {
        struct text in;
        const char *out;
    } cases[] = {
        {TEXT("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {TEXT("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {{0}, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t result[DIGEST_BYTES];
        cr_assert_eq(digest_sha256(cases[i].in, result), 0);
        assert_hex(result, cases[i].out);
    }
}

Test(digest, without_memory_there_is_none) {
    struct digest *digest = NULL;
    memory_fail_at(1);
    cr_assert_eq(digest_new(key, &digest), -ENOMEM);
    memory_fail_at(0);
    cr_assert_null(digest);
    digest_free(NULL);
}

/* Computed by Python's hmac module, as above. */
Test(digest, derives_a_secret_of_its_own_for_each_purpose) {
    char long_secret[100];
    memset(long_secret, 'k', sizeof(long_secret));
    uint8_t result[DIGEST_BYTES];
    cr_assert_eq(digest_derive(TEXT("0123456789abcdef0123456789abcdef"), TEXT("kube-introspect fact 1"), result), 0);
    assert_hex(result, "64811d71d72d7b507aa26db00930967683b406c295f98644a7e64113e3a77759");
    cr_assert_eq(digest_derive((struct text){0}, TEXT("a"), result), 0);
    assert_hex(result, "df763263167c619bd7cdaebfcc476f1c83e99f3982c5c214c7fa677feda60292");
    cr_assert_eq(digest_derive((struct text){.data = long_secret, .n_bytes = sizeof(long_secret)}, TEXT("a"), result), 0);
    assert_hex(result, "8317a799f4005a8b164200427c8ca19c97f3ec9cc8c91fadec739182ca0792e2");
}
