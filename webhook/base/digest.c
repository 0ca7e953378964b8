#include "base/digest.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

/* SHA256_Init() and its sisters, which OpenSSL 3 has and would like to see replaced: see struct digest. */
#define OPENSSL_API_COMPAT 10101
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

/*
 * HMAC is SHA-256 of a block made of the key and of the message; then again, of another such block and of that result (RFC
 * 2104). Kept is where SHA-256 stands after either block: a message then costs what it is itself and one block more.
 *
 * EVP_MAC keeps the same, but allocates twice for each message and goes through so much code that it takes a quarter longer
 * where all of that is in the processor's cache, and twice as long where something else was there meanwhile.
 */
struct digest {
    SHA256_CTX inner, outer;
};

int digest_secret(uint8_t ret_secret[DIGEST_BYTES]) {
    uint8_t secret[DIGEST_BYTES];
    if (RAND_priv_bytes(secret, sizeof(secret)) != 1)
        return -EIO;
    memcpy(ret_secret, secret, sizeof(secret));
    OPENSSL_cleanse(secret, sizeof(secret));
    return 0;
}

/* SHA-256 after a block of the key, masked. */
static bool begin(const uint8_t key[SHA256_CBLOCK], uint8_t mask, SHA256_CTX *ret_state) {
    uint8_t block[SHA256_CBLOCK];
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = key[i] ^ mask;
    const bool is_done = SHA256_Init(ret_state) == 1 && SHA256_Update(ret_state, block, sizeof(block)) == 1;
    OPENSSL_cleanse(block, sizeof(block));
    return is_done;
}

/* Returns 0, or -EIO. */
static int digest_init(struct digest *digest, struct text secret) {
    uint8_t key[SHA256_CBLOCK] = {0};
    int r = 0;
    if (secret.n_bytes > sizeof(key))
        r = digest_sha256(secret, key);
    else if (secret.n_bytes > 0)
        memcpy(key, secret.data, secret.n_bytes);
    if (r == 0 && !(begin(key, 0x36, &digest->inner) && begin(key, 0x5c, &digest->outer)))
        r = -EIO;
    OPENSSL_cleanse(key, sizeof(key));
    return r;
}

int digest_new(const uint8_t secret[DIGEST_BYTES], struct digest **ret_digest) {
    struct digest *digest = malloc(sizeof(*digest));
    if (digest == NULL)
        return -ENOMEM;
    const int r = digest_init(digest, (struct text){.data = (const char *)secret, .n_bytes = DIGEST_BYTES});
    if (r != 0) {
        digest_free(digest);
        return r;
    }
    *ret_digest = digest;
    return 0;
}

void digest_free(struct digest *digest) {
    if (digest == NULL)
        return;
    OPENSSL_cleanse(digest, sizeof(*digest));
    free(digest);
}

static bool update(SHA256_CTX *state, struct text part) {
    const uint64_t length = htobe64(part.n_bytes);
    return SHA256_Update(state, &length, sizeof(length)) == 1 &&
           (part.n_bytes == 0 || SHA256_Update(state, part.data, part.n_bytes) == 1);
}

int digest_parts(struct digest *digest, const struct text *parts, size_t n_parts, uint8_t ret_digest[DIGEST_BYTES]) {
    SHA256_CTX state = digest->inner;
    bool is_done = true;
    for (size_t i = 0; is_done && i < n_parts; i++)
        is_done = update(&state, parts[i]);
    uint8_t inner[DIGEST_BYTES], result[DIGEST_BYTES];
    is_done = SHA256_Final(inner, &state) == 1 && is_done; /* always: it wipes what it has of the message */
    state = digest->outer;
    if (!is_done || SHA256_Update(&state, inner, sizeof(inner)) != 1 || SHA256_Final(result, &state) != 1)
        return -EIO;
    memcpy(ret_digest, result, sizeof(result));
    return 0;
}

int digest_derive(struct text secret, struct text purpose, uint8_t ret_secret[DIGEST_BYTES]) {
    struct digest digest;
    int r = digest_init(&digest, secret);
    if (r == 0)
        r = digest_parts(&digest, &purpose, 1, ret_secret);
    OPENSSL_cleanse(&digest, sizeof(digest));
    return r;
}

int digest_sha256(struct text bytes, uint8_t ret_digest[DIGEST_BYTES]) {
    uint8_t result[DIGEST_BYTES];
    const char *data = bytes.n_bytes == 0 ? "" : bytes.data;
    if (EVP_Digest(data, bytes.n_bytes, result, NULL, EVP_sha256(), NULL) != 1)
        return -EIO;
    memcpy(ret_digest, result, sizeof(result));
    return 0;
}
