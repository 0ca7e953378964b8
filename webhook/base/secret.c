#include "base/secret.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include <openssl/crypto.h>

struct secret {
    size_t n_bytes;
    char bytes[]; /* and a zero byte */
};

int secret_new(struct text bytes, struct secret **ret_secret) {
    if (bytes.n_bytes > SIZE_MAX - sizeof(struct secret) - 1)
        return -ENOMEM;
    struct secret *secret = malloc(sizeof(*secret) + bytes.n_bytes + 1);
    if (secret == NULL)
        return -ENOMEM;
    secret->n_bytes = bytes.n_bytes;
    if (bytes.n_bytes > 0)
        memcpy(secret->bytes, bytes.data, bytes.n_bytes);
    secret->bytes[bytes.n_bytes] = '\0';
    *ret_secret = secret;
    return 0;
}

void secret_free(struct secret *secret) {
    if (secret == NULL)
        return;
    secret_wipe(secret, sizeof(*secret) + secret->n_bytes);
    free(secret);
}

struct text secret_text(const struct secret *secret) {
    return (struct text){.data = secret->bytes, .n_bytes = secret->n_bytes};
}

bool secret_equal(struct text a, struct text b) {
    return a.n_bytes == b.n_bytes && (a.n_bytes == 0 || CRYPTO_memcmp(a.data, b.data, a.n_bytes) == 0);
}

void secret_wipe(void *memory, size_t n_bytes) {
    if (n_bytes > 0)
        OPENSSL_cleanse(memory, n_bytes);
}
