#include "wire/jwt.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/secret.h"
#include "wire/scan.h"

#define N_PARTS_SIGNED 3
#define N_PARTS_ENCRYPTED 5

/* Splits at the dots; returns how many parts there are, or 0 where there are more than a JWE has. */
static size_t split(struct text token, struct text ret_parts[N_PARTS_ENCRYPTED]) {
    struct text rest = token;
    for (size_t n = 0; n < N_PARTS_ENCRYPTED; n++) {
        const char *dot = rest.n_bytes == 0 ? NULL : memchr(rest.data, '.', rest.n_bytes);
        ret_parts[n] = rest;
        if (dot == NULL)
            return n + 1;
        ret_parts[n].n_bytes = (size_t)(dot - rest.data);
        rest = (struct text){.data = dot + 1, .n_bytes = rest.n_bytes - ret_parts[n].n_bytes - 1};
    }
    return 0;
}

/* Decoded bytes of a part of a token: as secret as the token. */
struct decoded {
    uint8_t *bytes;
    size_t n_room;
};

static void decoded_deinit(struct decoded *decoded) {
    if (decoded->bytes != NULL)
        secret_wipe(decoded->bytes, decoded->n_room);
    free(decoded->bytes);
}

/* Whether the bytes are a JOSE header: a JSON object with an "alg", and for a JWE an "enc" (RFC 7516 section 4.1.2). */
static bool is_header(struct text json, bool is_encrypted) {
    struct scan scan;
    struct scan_string name, value;
    bool has_alg = false, has_enc = false;
    scan_begin(&scan, json);
    if (scan_object(&scan) != 0)
        return false;
    while (scan_member(&scan, &name) == 0) {
        if (scan_string_equal(name, TEXT("alg")))
            has_alg = scan_string(&scan, &value) == 0;
        else if (scan_string_equal(name, TEXT("enc")))
            has_enc = scan_string(&scan, &value) == 0;
        else
            scan_skip(&scan);
    }
    return scan_end(&scan) == 0 && has_alg && (has_enc || !is_encrypted);
}

/* Unescapes a string where it stands in bytes that are ours to change. */
static struct text unescape(char *json, struct scan_string string) {
    char *place = json + (string.raw.data - json);
    return (struct text){.data = place, .n_bytes = scan_string_unescape(string, place)};
}

/* What the payload says of itself. The bytes are unescaped in place. */
static void peek_payload(uint8_t *bytes, size_t n_bytes, struct jwt_peek *peek) {
    struct scan scan;
    struct scan_string name, issuer, subject;
    bool has_issuer = false, has_subject = false, has_kubernetes = false;
    char *json = (char *)bytes;
    scan_begin(&scan, (struct text){.data = json, .n_bytes = n_bytes});
    if (scan_object(&scan) != 0)
        return;
    while (scan_member(&scan, &name) == 0) {
        if (scan_string_equal(name, TEXT("iss"))) {
            has_issuer = scan_string(&scan, &issuer) == 0;
        } else if (scan_string_equal(name, TEXT("sub"))) {
            has_subject = scan_string(&scan, &subject) == 0;
        } else {
            has_kubernetes = has_kubernetes || scan_string_equal(name, TEXT("kubernetes.io"));
            scan_skip(&scan);
        }
    }
    if (scan_end(&scan) != 0)
        return;
    const struct text sub = has_subject ? unescape(json, subject) : TEXT("");
    peek->is_service_account = has_kubernetes || text_starts_with(sub, TEXT("system:serviceaccount:"));
    const struct text iss = has_issuer ? unescape(json, issuer) : TEXT("");
    if (!has_issuer || iss.n_bytes > sizeof(peek->issuer))
        return;
    peek->has_issuer = true;
    peek->n_issuer_bytes = iss.n_bytes;
    memcpy(peek->issuer, iss.data, iss.n_bytes);
}

/* Looks at a token in three or five parts. */
static int peek_parts(const struct text *parts, size_t n_parts, size_t n_token_bytes, struct jwt_peek *ret_peek) {
    const bool is_encrypted = n_parts == N_PARTS_ENCRYPTED;
    /* Each part is decoded into the same room in turn, which is large enough for the whole token. */
    __attribute__((cleanup(decoded_deinit))) struct decoded decoded = {.n_room = n_token_bytes};
    decoded.bytes = malloc(decoded.n_room);
    if (decoded.bytes == NULL)
        return -ENOMEM;
    *ret_peek = (struct jwt_peek){.form = JWT_FORM_NONE};
    size_t n;
    if (base64url_decode(parts[0], decoded.bytes, &n) != 0)
        return 0;
    if (!is_header((struct text){.data = (const char *)decoded.bytes, .n_bytes = n}, is_encrypted))
        return 0;
    ret_peek->form = is_encrypted ? JWT_FORM_ENCRYPTED : JWT_FORM_SIGNED;
    if (!is_encrypted && base64url_decode(parts[1], decoded.bytes, &n) == 0)
        peek_payload(decoded.bytes, n, ret_peek);
    return 0;
}

int jwt_peek(struct text token, struct jwt_peek *ret_peek) {
    struct text parts[N_PARTS_ENCRYPTED];
    const size_t n_parts = token.n_bytes <= LIMIT_TOKEN_BYTES ? split(token, parts) : 0;
    if (n_parts == N_PARTS_SIGNED || n_parts == N_PARTS_ENCRYPTED)
        return peek_parts(parts, n_parts, token.n_bytes, ret_peek);
    ret_peek->form = JWT_FORM_NONE;
    ret_peek->has_issuer = ret_peek->is_service_account = false;
    ret_peek->n_issuer_bytes = 0;
    return 0;
}
