#include "base/digest.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#define LENGTH_BYTES 8
/* Issuer, endpoint, client and an opaque token take some 200 bytes. */
#define GATHERED_BYTES 512

struct digest {
    EVP_MAC_CTX *context; /* keyed once: to start again without a key costs a third of keying it anew */
};

int digest_secret(uint8_t ret_secret[DIGEST_BYTES]) {
    uint8_t secret[DIGEST_BYTES];
    if (RAND_priv_bytes(secret, sizeof(secret)) != 1)
        return -EIO;
    memcpy(ret_secret, secret, sizeof(secret));
    OPENSSL_cleanse(secret, sizeof(secret));
    return 0;
}

static EVP_MAC_CTX *keyed_context(struct text secret) {
    EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac); /* holds mac by itself; NULL for NULL */
    EVP_MAC_free(mac);
    char name[] = OSSL_DIGEST_NAME_SHA2_256;
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0), OSSL_PARAM_END};
    if (context != NULL && EVP_MAC_init(context, (const unsigned char *)secret.data, secret.n_bytes, parameters) == 1)
        return context;
    EVP_MAC_CTX_free(context);
    return NULL;
}

int digest_new(const uint8_t secret[DIGEST_BYTES], struct digest **ret_digest) {
    struct digest *digest = malloc(sizeof(*digest));
    if (digest == NULL)
        return -ENOMEM;
    digest->context = keyed_context((struct text){.data = (const char *)secret, .n_bytes = DIGEST_BYTES});
    if (digest->context == NULL) {
        free(digest);
        return -EIO;
    }
    *ret_digest = digest;
    return 0;
}

void digest_free(struct digest *digest) {
    if (digest == NULL)
        return;
    EVP_MAC_CTX_free(digest->context); /* OpenSSL wipes the key */
    free(digest);
}

static void write_length(struct text part, uint8_t ret_length[LENGTH_BYTES]) {
    for (size_t i = 0; i < LENGTH_BYTES; i++)
        ret_length[i] = (uint8_t)((uint64_t)part.n_bytes >> (56 - 8 * i));
}

static bool update(EVP_MAC_CTX *context, struct text part) {
    uint8_t length[LENGTH_BYTES];
    write_length(part, length);
    return EVP_MAC_update(context, length, sizeof(length)) == 1 &&
           (part.n_bytes == 0 || EVP_MAC_update(context, (const unsigned char *)part.data, part.n_bytes) == 1);
}

static bool update_each(EVP_MAC_CTX *context, const struct text *parts, size_t n_parts) {
    for (size_t i = 0; i < n_parts; i++) {
        if (!update(context, parts[i]))
            return false;
    }
    return true;
}

/* Writes lengths and parts one behind the other. Returns how many bytes, or 0 where they do not fit. */
static size_t gather(const struct text *parts, size_t n_parts, uint8_t room[GATHERED_BYTES]) {
    size_t n = 0;
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].n_bytes > GATHERED_BYTES || n + LENGTH_BYTES + parts[i].n_bytes > GATHERED_BYTES)
            return 0;
        write_length(parts[i], room + n);
        n += LENGTH_BYTES;
        if (parts[i].n_bytes > 0)
            memcpy(room + n, parts[i].data, parts[i].n_bytes);
        n += parts[i].n_bytes;
    }
    return n;
}

/* What is short, as an opaque token is, goes in by one call instead of two for each part. */
static bool update_all(EVP_MAC_CTX *context, const struct text *parts, size_t n_parts) {
    uint8_t room[GATHERED_BYTES];
    const size_t n = gather(parts, n_parts, room);
    if (n == 0)
        return update_each(context, parts, n_parts);
    const bool is_done = EVP_MAC_update(context, room, n) == 1;
    OPENSSL_cleanse(room, n);
    return is_done;
}

int digest_parts(struct digest *digest, const struct text *parts, size_t n_parts, uint8_t ret_digest[DIGEST_BYTES]) {
    if (EVP_MAC_init(digest->context, NULL, 0, NULL) != 1 || !update_all(digest->context, parts, n_parts))
        return -EIO;
    size_t n_bytes;
    uint8_t result[DIGEST_BYTES];
    if (EVP_MAC_final(digest->context, result, &n_bytes, sizeof(result)) != 1 || n_bytes != sizeof(result))
        return -EIO;
    memcpy(ret_digest, result, sizeof(result));
    return 0;
}

int digest_derive(struct text secret, struct text purpose, uint8_t ret_secret[DIGEST_BYTES]) {
    /* OpenSSL takes a key that is not there for "as before", which there is not. */
    struct digest digest = {.context = keyed_context(secret.n_bytes == 0 ? TEXT("") : secret)};
    if (digest.context == NULL)
        return -EIO;
    const int r = digest_parts(&digest, &purpose, 1, ret_secret);
    EVP_MAC_CTX_free(digest.context);
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
