/*
 * What is shown as a handle: any bytes. None passes but the very text that we would have issued at that time, under one of
 * the keys; and what we issue passes for its owner, whatever the names are, and for nobody else. The seeds hold handles
 * that are in order, so that the fuzzer starts from what it should not be able to alter.
 */
#include <string.h>

#include "fuzz/check.h"
#include "core/handle.h"

#define NOW INT64_C(1700000000)
#define MAX_AGE 180

static const struct text lines[] = {
    {.data = "0123456789abcdef0123456789abcdef", .n_bytes = 32},
    {.data = "fedcba9876543210fedcba9876543210", .n_bytes = 32},
};
static struct handle_keys *keys[2]; /* each line's, as the first */
static struct handle_keys *both;

static void set_up(void) {
    if (both != NULL)
        return;
    CHECK(handle_keys_new(&lines[0], 1, &keys[0]) == 0);
    CHECK(handle_keys_new(&lines[1], 1, &keys[1]) == 0);
    CHECK(handle_keys_new(lines, 2, &both) == 0);
}

static struct text issue(struct handle_keys *with, const struct handle_subject *subject, const uint8_t *key, int64_t now,
                         char room[LIMIT_HANDLE_BYTES + 1]) {
    struct buffer buffer;
    buffer_init_fixed(&buffer, room, LIMIT_HANDLE_BYTES + 1);
    CHECK(handle_append(with, subject, key, now, &buffer) == 0 && buffer.error == 0);
    return buffer_text(&buffer);
}

/* Whatever passes is byte for byte what we write. */
static void check_shown(struct text shown) {
    const struct handle_subject alice = {.username = TEXT("corp:alice"), .uid = TEXT("u1"), .cluster = TEXT("prod-1")};
    uint8_t key[DIGEST_BYTES];
    const enum reason reason = handle_verify(both, &alice, shown, NOW, MAX_AGE, key);
    if (reason != REASON_OK) {
        CHECK(reason_verdict(reason) == VERDICT_DENY);
        return;
    }
    const int64_t issued = strtoll(shown.data + 2, NULL, 10);
    CHECK(issued >= NOW - MAX_AGE && issued <= NOW + LIMIT_HANDLE_AHEAD_S);
    char room[2][LIMIT_HANDLE_BYTES + 1];
    CHECK(text_equal(shown, issue(keys[0], &alice, key, issued, room[0])) ||
          text_equal(shown, issue(keys[1], &alice, key, issued, room[1])));
}

/* Three names out of the bytes, and one that is a byte longer: whose handle it is, and whose it is not. */
static void check_names(const char *bytes, size_t n_bytes) {
    const size_t n = n_bytes / 3 < 40 ? n_bytes / 3 : 40;
    if (n == 0)
        return;
    const struct handle_subject owner = {
        .username = {.data = bytes, .n_bytes = n - 1},
        .uid = {.data = bytes + n, .n_bytes = n - 1},
        .cluster = {.data = bytes + 2 * n, .n_bytes = n - 1},
    };
    const uint8_t key[DIGEST_BYTES] = {(uint8_t)bytes[0]};
    uint8_t found[DIGEST_BYTES];
    char room[LIMIT_HANDLE_BYTES + 1];
    const struct text handle = issue(keys[1], &owner, key, NOW, room);
    CHECK(handle_verify(both, &owner, handle, NOW, MAX_AGE, found) == REASON_OK);
    CHECK(memcmp(found, key, sizeof(key)) == 0);
    struct handle_subject other = owner;
    struct text *const names[] = {&other.username, &other.uid, &other.cluster};
    names[(uint8_t)bytes[0] % 3]->n_bytes++;
    CHECK(reason_verdict(handle_verify(both, &other, handle, NOW, MAX_AGE, found)) == VERDICT_DENY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    set_up();
    /* On the heap and ended by a zero, for strtoll(); a sanitizer sees whoever reads on. */
    char *bytes = malloc(n_bytes + 1);
    CHECK(bytes != NULL);
    if (n_bytes > 0)
        memcpy(bytes, data, n_bytes);
    bytes[n_bytes] = '\0';
    check_shown((struct text){.data = bytes, .n_bytes = n_bytes});
    check_names(bytes, n_bytes);
    free(bytes);
    return 0;
}
