#include "core/handle.h"

#include <errno.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/secret.h"

/* A handle of another form gets another version here, and other keys by the other purpose. */
#define VERSION TEXT("1")
#define KEY_PURPOSE TEXT("kube-introspect handle 1")
#define FACT_PURPOSE TEXT("kube-introspect fact 1")

/* How base64url spells the bytes of each field: fixed, so that each has its place. */
#define DIGEST_CHARACTERS 43
#define HINTS_CHARACTERS 16
#define MAX_TIME_DIGITS 11

enum { HINT_USERNAME, HINT_UID, HINT_CLUSTER, N_HINTS };

struct handle_keys {
    size_t n_keys;
    struct digest *keys[LIMIT_HANDLE_KEYS];
};

/* ---- keys ---- */

static int add_key(struct handle_keys *keys, struct text line) {
    uint8_t secret[DIGEST_BYTES];
    int r = digest_derive(line, KEY_PURPOSE, secret);
    if (r == 0)
        r = digest_new(secret, &keys->keys[keys->n_keys]);
    secret_wipe(secret, sizeof(secret));
    if (r == 0)
        keys->n_keys++;
    return r;
}

static bool are_acceptable(const struct text *lines, size_t n_lines) {
    for (size_t i = 0; i < n_lines; i++) {
        if (lines[i].n_bytes < LIMIT_HANDLE_KEY_BYTES)
            return false;
    }
    return n_lines > 0 && n_lines <= LIMIT_HANDLE_KEYS;
}

int handle_keys_new(const struct text *lines, size_t n_lines, struct handle_keys **ret_keys) {
    if (!are_acceptable(lines, n_lines))
        return -EINVAL;
    struct handle_keys *keys = calloc(1, sizeof(*keys));
    if (keys == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n_lines; i++) {
        const int r = add_key(keys, lines[i]);
        if (r < 0) {
            handle_keys_free(keys);
            return r;
        }
    }
    *ret_keys = keys;
    return 0;
}

void handle_keys_free(struct handle_keys *keys) {
    if (keys == NULL)
        return;
    for (size_t i = 0; i < keys->n_keys; i++)
        digest_free(keys->keys[i]);
    free(keys);
}

int handle_fact_secret(struct text first_line, uint8_t ret_secret[DIGEST_BYTES]) {
    return digest_derive(first_line, FACT_PURPOSE, ret_secret);
}

/* ---- what is in a handle ---- */

struct fields {
    struct text time;
    uint8_t key[DIGEST_BYTES];
    uint8_t hints[N_HINTS][sizeof(uint32_t)];
    uint8_t mac[DIGEST_BYTES];
};

/* FNV-1a: short, and without OpenSSL's allocations. A collision only makes a refusal give a less exact reason. */
static void write_hint(struct text name, uint8_t ret_hint[sizeof(uint32_t)]) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.n_bytes; i++)
        hash = (hash ^ (uint8_t)name.data[i]) * 16777619u;
    for (size_t i = 0; i < sizeof(hash); i++)
        ret_hint[i] = (uint8_t)(hash >> (24 - 8 * i));
}

static void write_hints(const struct handle_subject *subject, uint8_t ret_hints[N_HINTS][sizeof(uint32_t)]) {
    write_hint(subject->username, ret_hints[HINT_USERNAME]);
    write_hint(subject->uid, ret_hints[HINT_UID]);
    write_hint(subject->cluster, ret_hints[HINT_CLUSTER]);
}

static struct text bytes_of(const void *bytes, size_t n_bytes) {
    return (struct text){.data = bytes, .n_bytes = n_bytes};
}

/* Returns 0, or -EIO. */
static int authenticate(struct digest *key, const struct handle_subject *subject, const struct fields *fields,
                        uint8_t ret_mac[DIGEST_BYTES]) {
    const struct text parts[] = {
        VERSION,
        fields->time,
        bytes_of(fields->key, sizeof(fields->key)),
        bytes_of(fields->hints, sizeof(fields->hints)),
        subject->username,
        subject->uid,
        subject->cluster,
    };
    return digest_parts(key, parts, sizeof(parts) / sizeof(parts[0]), ret_mac);
}

/* ---- issuing ---- */

static void append_fields(const struct fields *fields, struct buffer *buffer) {
    buffer_append(buffer, VERSION);
    buffer_append_char(buffer, '.');
    buffer_append(buffer, fields->time);
    buffer_append_char(buffer, '.');
    base64url_encode(bytes_of(fields->key, sizeof(fields->key)), buffer);
    buffer_append_char(buffer, '.');
    base64url_encode(bytes_of(fields->hints, sizeof(fields->hints)), buffer);
    buffer_append_char(buffer, '.');
    base64url_encode(bytes_of(fields->mac, sizeof(fields->mac)), buffer);
}

int handle_append(struct handle_keys *keys, const struct handle_subject *subject, const uint8_t fact_key[DIGEST_BYTES],
                  int64_t now_unix_s, struct buffer *buffer) {
    char digits[32];
    struct buffer time;
    buffer_init_fixed(&time, digits, sizeof(digits));
    /* A clock from before 1970 makes a handle that is too old, not one that nobody can read. */
    buffer_append_u64(&time, now_unix_s < 0 ? 0 : (uint64_t)now_unix_s);
    struct fields fields = {.time = buffer_text(&time)};
    memcpy(fields.key, fact_key, sizeof(fields.key));
    write_hints(subject, fields.hints);
    const int r = authenticate(keys->keys[0], subject, &fields, fields.mac);
    if (r < 0)
        return r;
    append_fields(&fields, buffer);
    return 0;
}

/* ---- verifying ---- */

/* Takes what stands before the next dot, or all that is left. Returns false where nothing is left to take. */
static bool take(struct text *rest, struct text *ret_field) {
    if (rest->data == NULL)
        return false;
    const char *dot = rest->n_bytes == 0 ? NULL : memchr(rest->data, '.', rest->n_bytes);
    if (dot == NULL) {
        *ret_field = *rest;
        *rest = (struct text){0};
        return true;
    }
    const size_t n = (size_t)(dot - rest->data);
    *ret_field = bytes_of(rest->data, n);
    *rest = bytes_of(dot + 1, rest->n_bytes - n - 1);
    return true;
}

static bool take_bytes(struct text *rest, size_t n_characters, uint8_t *ret_bytes) {
    struct text field;
    size_t n;
    return take(rest, &field) && field.n_bytes == n_characters && base64url_decode(field, ret_bytes, &n) == 0;
}

/* As we write it, and in no other way: digits, no leading zero. */
static bool is_time(struct text time) {
    if (time.n_bytes == 0 || time.n_bytes > MAX_TIME_DIGITS || (time.data[0] == '0' && time.n_bytes > 1))
        return false;
    for (size_t i = 0; i < time.n_bytes; i++) {
        if (time.data[i] < '0' || time.data[i] > '9')
            return false;
    }
    return true;
}

static int64_t time_of(struct text time) {
    int64_t unix_s = 0;
    for (size_t i = 0; i < time.n_bytes; i++)
        unix_s = unix_s * 10 + (time.data[i] - '0');
    return unix_s;
}

static bool parse(struct text handle, struct fields *ret_fields) {
    struct text version;
    if (handle.n_bytes > LIMIT_HANDLE_BYTES || !take(&handle, &version) || !text_equal(version, VERSION))
        return false;
    return take(&handle, &ret_fields->time) && is_time(ret_fields->time) &&
           take_bytes(&handle, DIGEST_CHARACTERS, ret_fields->key) &&
           take_bytes(&handle, HINTS_CHARACTERS, ret_fields->hints[0]) &&
           take_bytes(&handle, DIGEST_CHARACTERS, ret_fields->mac) && handle.data == NULL;
}

/* Returns 1, 0, or a negative errno. */
static int is_signed(const struct handle_keys *keys, const struct handle_subject *subject, const struct fields *fields) {
    for (size_t i = 0; i < keys->n_keys; i++) {
        uint8_t mac[DIGEST_BYTES];
        const int r = authenticate(keys->keys[i], subject, fields, mac);
        if (r < 0)
            return r;
        if (secret_equal(bytes_of(mac, sizeof(mac)), bytes_of(fields->mac, sizeof(fields->mac))))
            return 1;
    }
    return 0;
}

/* Whoever is refused is told what differs first. */
static enum reason why_not_signed(const struct handle_subject *subject, const struct fields *fields) {
    static const enum reason reasons[N_HINTS] = {
        [HINT_USERNAME] = REASON_HANDLE_OTHER_USER,
        [HINT_UID] = REASON_HANDLE_OTHER_UID,
        [HINT_CLUSTER] = REASON_HANDLE_OTHER_CLUSTER,
    };
    uint8_t hints[N_HINTS][sizeof(uint32_t)];
    write_hints(subject, hints);
    for (size_t i = 0; i < N_HINTS; i++) {
        if (memcmp(hints[i], fields->hints[i], sizeof(hints[i])) != 0)
            return reasons[i];
    }
    return REASON_HANDLE_ALTERED;
}

static enum reason check_age(int64_t issued_unix_s, int64_t now_unix_s, int64_t max_age_s) {
    if (issued_unix_s > now_unix_s && issued_unix_s - now_unix_s > LIMIT_HANDLE_AHEAD_S)
        return REASON_HANDLE_FROM_FUTURE;
    return issued_unix_s < now_unix_s && now_unix_s - issued_unix_s > max_age_s ? REASON_HANDLE_TOO_OLD : REASON_OK;
}

enum reason handle_verify(struct handle_keys *keys, const struct handle_subject *subject, struct text handle,
                          int64_t now_unix_s, int64_t max_age_s, uint8_t ret_fact_key[DIGEST_BYTES]) {
    struct fields fields;
    if (!parse(handle, &fields))
        return REASON_HANDLE_MALFORMED;
    /* No identity has such names: nobody shall make us hash megabytes, once for each key. */
    if (subject->username.n_bytes > LIMIT_USERNAME_BYTES)
        return REASON_HANDLE_OTHER_USER;
    if (subject->uid.n_bytes > LIMIT_UID_BYTES)
        return REASON_HANDLE_OTHER_UID;
    const int is_ours = is_signed(keys, subject, &fields);
    if (is_ours < 0)
        return REASON_INTERNAL;
    const enum reason reason =
        is_ours ? check_age(time_of(fields.time), now_unix_s, max_age_s) : why_not_signed(subject, &fields);
    if (reason == REASON_OK)
        memcpy(ret_fact_key, fields.key, sizeof(fields.key));
    return reason;
}
