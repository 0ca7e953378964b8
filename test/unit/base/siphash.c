#include "base/siphash.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>

static const uint8_t key[SIPHASH_KEY_BYTES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static uint64_t hash(const char *bytes, size_t n_bytes) {
    struct siphash siphash;
    siphash_begin(&siphash, key);
    siphash_update(&siphash, (struct text){.data = bytes, .n_bytes = n_bytes});
    return siphash_end(&siphash);
}

/* The same by OpenSSL, told to do one round for each word and three at the end. */
static uint64_t by_openssl(const char *bytes, size_t n_bytes) {
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    size_t size = sizeof(uint64_t), n;
    unsigned c_rounds = 1, d_rounds = 3;
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                                     OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &c_rounds),
                                     OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &d_rounds),
                                     OSSL_PARAM_construct_end()};
    uint64_t made = 0;
    cr_assert_eq(EVP_MAC_init(context, key, sizeof(key), parameters), 1);
    cr_assert_eq(EVP_MAC_update(context, (const unsigned char *)bytes, n_bytes), 1);
    cr_assert_eq(EVP_MAC_final(context, (unsigned char *)&made, &n, sizeof(made)), 1);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
    return le64toh(made);
}

Test(siphash, is_what_openssl_says_at_any_length) {
    char bytes[100];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 37 + 1);
    for (size_t n = 0; n <= sizeof(bytes); n++)
        cr_expect_eq(hash(bytes, n), by_openssl(bytes, n), "%zu bytes", n);
}

Test(siphash, is_the_same_however_the_bytes_come) {
    char bytes[64];
    memset(bytes, 'x', sizeof(bytes));
    const uint64_t whole = hash(bytes, sizeof(bytes));
    for (size_t first = 0; first <= sizeof(bytes); first++) {
        for (size_t second = first; second <= sizeof(bytes); second += 5) {
            struct siphash siphash;
            siphash_begin(&siphash, key);
            siphash_update(&siphash, (struct text){.data = bytes, .n_bytes = first});
            siphash_update(&siphash, (struct text){.data = bytes + first, .n_bytes = second - first});
            siphash_update(&siphash, (struct text){.data = bytes + second, .n_bytes = sizeof(bytes) - second});
            cr_expect_eq(siphash_end(&siphash), whole, "%zu and %zu", first, second);
        }
    }
}

Test(siphash, another_key_gives_another_number) {
    uint8_t other[SIPHASH_KEY_BYTES];
    for (size_t i = 0; i < sizeof(key); i++) {
        memcpy(other, key, sizeof(key));
        other[i] ^= 1;
        struct siphash siphash;
        siphash_begin(&siphash, other);
        siphash_update(&siphash, TEXT("name"));
        cr_expect_neq(siphash_end(&siphash), hash("name", 4), "byte %zu", i);
    }
}
