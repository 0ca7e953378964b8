#include "core/handle.h"

#include "unit/core/fixture.h"

#define NOW INT64_C(1700000000)
#define MAX_AGE 180
#define OLD_LINE TEXT("0123456789abcdef0123456789abcdef")
#define NEW_LINE TEXT("fedcba9876543210fedcba9876543210")

static const struct handle_subject alice = {
    .username = {.data = "corp:alice", .n_bytes = 10},
    .uid = {.data = "u1", .n_bytes = 2},
    .cluster = {.data = "prod-1", .n_bytes = 6},
};
static const uint8_t fact_key_of_alice[DIGEST_BYTES] = {1, 2, 3, 0xff, [31] = 0x80};

static struct handle_keys *keys_of(const struct text *lines, size_t n_lines) {
    struct handle_keys *keys = NULL;
    cr_assert_eq(handle_keys_new(lines, n_lines, &keys), 0);
    return keys;
}

static struct handle_keys *keys_of_line(struct text line) {
    return keys_of(&line, 1);
}

struct room {
    char bytes[LIMIT_HANDLE_BYTES + 1];
};

static struct text issue_at(struct handle_keys *keys, const struct handle_subject *subject, int64_t now,
                            struct room *room) {
    struct buffer buffer;
    buffer_init_fixed(&buffer, room->bytes, sizeof(room->bytes));
    cr_assert_eq(handle_append(keys, subject, fact_key_of_alice, now, &buffer), 0);
    cr_assert_eq(buffer.error, 0);
    return buffer_text(&buffer);
}

static struct text issue(struct handle_keys *keys, struct room *room) {
    return issue_at(keys, &alice, NOW, room);
}

static enum reason verify_at(struct handle_keys *keys, const struct handle_subject *subject, struct text handle,
                             int64_t now) {
    uint8_t key[DIGEST_BYTES], untouched[DIGEST_BYTES];
    memset(key, 0xa5, sizeof(key));
    memset(untouched, 0xa5, sizeof(untouched));
    const enum reason reason = handle_verify(keys, subject, handle, now, MAX_AGE, key);
    cr_expect_eq(memcmp(key, reason == REASON_OK ? fact_key_of_alice : untouched, sizeof(key)), 0);
    return reason;
}

static enum reason verify(struct handle_keys *keys, struct text handle) {
    return verify_at(keys, &alice, handle, NOW);
}

#define expect_reason(actual, expected)                                                                                    \
    do {                                                                                                                   \
        const enum reason actual_ = (actual), expected_ = (expected);                                                      \
        cr_expect_eq(actual_, expected_, "%s and not %s", reason_word(actual_), reason_word(expected_));                   \
    } while (0)

/* ---- in order ---- */

/* The HMAC was computed by Python's hmac module: under HMAC(line, 8-byte length and "kube-introspect handle 1"), over each
   part's length (struct.pack(">Q")) and bytes. Whoever changes this text changes what other replicas read. */
Test(handle, is_written_in_this_very_form) {
    struct handle_keys *keys = keys_of_line(OLD_LINE);
    struct room room;
    assert_text(
        issue(keys, &room),
        TEXT(
            "1.1700000000.AQID_wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA.tf1wFwRCp_OZuL8e.17BLPNtPI1_9fmT1J1OtDko1ziFJejFPPA8-PNjcMss"));
    handle_keys_free(keys);
}

Test(handle, leads_its_owner_to_the_fact) {
    struct handle_keys *keys = keys_of_line(OLD_LINE);
    struct room room;
    expect_reason(verify(keys, issue(keys, &room)), REASON_OK);
    handle_keys_free(keys);
}

Test(handle, allocates_nothing_when_it_is_issued_and_verified) {
    struct handle_keys *keys = keys_of_line(OLD_LINE);
    struct room room;
    memory_fail_at(0);
    expect_reason(verify(keys, issue(keys, &room)), REASON_OK);
    cr_expect_eq(memory_n_allocations(), 0);
    handle_keys_free(keys);
}

Test(handle, fits_its_limit_with_the_longest_time) {
    struct handle_keys *keys = keys_of_line(OLD_LINE);
    struct room room;
    cr_expect_eq(issue(keys, &room).n_bytes, 117);
    cr_expect_leq(issue_at(keys, &alice, INT64_MAX, &room).n_bytes, LIMIT_HANDLE_BYTES);
    const struct text latest = issue_at(keys, &alice, INT64_C(99999999999), &room);
    expect_reason(verify_at(keys, &alice, latest, INT64_C(99999999999)), REASON_OK);
    handle_keys_free(keys);
}

/* ---- altered ---- */

Test(handle, with_any_byte_changed_to_any_other_is_refused) {
    struct handle_keys *keys = keys_of_line(OLD_LINE);
    struct room room;
    const struct text handle = issue(keys, &room);
    for (size_t i = 0; i < handle.n_bytes; i++) {
        const char kept = room.bytes[i];
        for (int c = 0; c < 256; c++) {
            room.bytes[i] = (char)c;
            if ((char)c != kept)
                cr_assert_eq(reason_verdict(verify(keys, handle)), VERDICT_DENY, "byte %zu as %d passes", i, c);
        }
        room.bytes[i] = kept;
    }
    expect_reason(verify(keys, handle), REASON_OK);
    handle_keys_free(keys);
}

Test(handle, that_is_shorter_or_longer_is_malformed) {
    struct handle_keys *keys = keys_of_line(OLD_LINE);
    struct room room;
    const struct text handle = issue(keys, &room);
    for (size_t n = 0; n < handle.n_bytes; n++) {
        expect_reason(verify(keys, (struct text){.data = handle.data, .n_bytes = n}), REASON_HANDLE_MALFORMED);
        expect_reason(verify(keys, (struct text){.data = handle.data + handle.n_bytes - n, .n_bytes = n}),
                      REASON_HANDLE_MALFORMED);
    }
    char longer[LIMIT_HANDLE_BYTES + 2];
    static const char ends[] = {'.', 'A', '=', ' ', '\n', '\0'};
    for (size_t i = 0; i < sizeof(ends); i++) {
        memcpy(longer, handle.data, handle.n_bytes);
        memset(longer + handle.n_bytes, ends[i], sizeof(longer) - handle.n_bytes);
        for (size_t n = handle.n_bytes + 1; n <= sizeof(longer); n++)
            expect_reason(verify(keys, (struct text){.data = longer, .n_bytes = n}), REASON_HANDLE_MALFORMED);
    }
    handle_keys_free(keys);
}

#define KEY_FIELD "AQID_wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA"
#define MAC_FIELD "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

Test(handle, of_another_form_is_malformed) {
    static const char *const rows[] = {
        "",
        ".",
        "....",
        "2.1700000000." KEY_FIELD ".AAAAAAAAAAAAAAAA." MAC_FIELD,  /* a version of later */
        "01.1700000000." KEY_FIELD ".AAAAAAAAAAAAAAAA." MAC_FIELD, /* the version in another way */
        "1.." KEY_FIELD ".AAAAAAAAAAAAAAAA." MAC_FIELD,
        "1.01700000000." KEY_FIELD ".AAAAAAAAAAAAAAAA." MAC_FIELD,
        "1.+1700000000." KEY_FIELD ".AAAAAAAAAAAAAAAA." MAC_FIELD,
        "1.-1." KEY_FIELD ".AAAAAAAAAAAAAAAA." MAC_FIELD,
        "1.170000000000." KEY_FIELD ".AAAAAAAAAAAAAAAA." MAC_FIELD, /* 12 digits */
        "1.1700000000 ." KEY_FIELD ".AAAAAAAAAAAAAAAA." MAC_FIELD,
        "1.1700000000." KEY_FIELD "A.AAAAAAAAAAAAAAAA." MAC_FIELD,
        "1.1700000000." KEY_FIELD "=.AAAAAAAAAAAAAAAA." MAC_FIELD,
        "1.1700000000." KEY_FIELD ".AAAAAAAAAAAAAAA." MAC_FIELD,
        "1.1700000000." KEY_FIELD ".AAAAAAAAAAAAAAA+." MAC_FIELD,                                  /* the other alphabet */
        "1.1700000000." KEY_FIELD ".AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", /* unused bits */
        "1.1700000000." KEY_FIELD ".AAAAAAAAAAAAAAAA",
        "1.1700000000." KEY_FIELD ".AAAAAAAAAAAAAAAA." MAC_FIELD ".",
    };
    struct handle_keys *keys = keys_of_line(OLD_LINE);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(verify(keys, text_of(rows[i])), REASON_HANDLE_MALFORMED, "%s", rows[i]);
    expect_reason(verify(keys, (struct text){0}), REASON_HANDLE_MALFORMED);
    handle_keys_free(keys);
}

Test(handle, that_nobody_signed_is_altered) {
    struct handle_keys *keys = keys_of_line(OLD_LINE), *others = keys_of_line(NEW_LINE);
    struct room room;
    expect_reason(verify(keys, issue(others, &room)), REASON_HANDLE_ALTERED);
    handle_keys_free(keys);
    handle_keys_free(others);
}

/* ---- moved ---- */

Test(handle, of_somebody_else_is_refused_with_what_differs) {
    static const struct {
        struct text username, uid, cluster;
        enum reason reason;
    } rows[] = {
        {TEXT("corp:alice"), TEXT("u1"), TEXT("prod-1"), REASON_OK},
        {TEXT("corp:bob"), TEXT("u1"), TEXT("prod-1"), REASON_HANDLE_OTHER_USER},
        {TEXT("corp:alic"), TEXT("eu1"), TEXT("prod-1"), REASON_HANDLE_OTHER_USER},
        {TEXT("Corp:alice"), TEXT("u1"), TEXT("prod-1"), REASON_HANDLE_OTHER_USER},
        {TEXT(""), TEXT("u1"), TEXT("prod-1"), REASON_HANDLE_OTHER_USER},
        {TEXT("corp:alice"), TEXT("u2"), TEXT("prod-1"), REASON_HANDLE_OTHER_UID},
        {TEXT("corp:alice"), TEXT(""), TEXT("prod-1"), REASON_HANDLE_OTHER_UID},
        {TEXT("corp:alice"), TEXT("u1p"), TEXT("rod-1"), REASON_HANDLE_OTHER_UID},
        {TEXT("corp:alice"), TEXT("u1"), TEXT("prod-2"), REASON_HANDLE_OTHER_CLUSTER},
        {TEXT("corp:alice"), TEXT("u1"), TEXT(""), REASON_HANDLE_OTHER_CLUSTER},
        {TEXT("corp:bob"), TEXT("u2"), TEXT("prod-2"), REASON_HANDLE_OTHER_USER},
    };
    struct handle_keys *keys = keys_of_line(OLD_LINE);
    struct room room;
    const struct text handle = issue(keys, &room);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct handle_subject subject = {rows[i].username, rows[i].uid, rows[i].cluster};
        expect_reason(verify_at(keys, &subject, handle, NOW), rows[i].reason);
    }
    handle_keys_free(keys);
}

/* Two names with one hint: what the hints cannot tell apart, the HMAC does. */
Test(handle, of_a_user_whose_hint_is_the_same_is_altered) {
    /* FNV-1a of 32 bits is the same for these two. */
    const struct handle_subject one = {.username = TEXT("costarring")}, other = {.username = TEXT("liquid")};
    struct handle_keys *keys = keys_of_line(OLD_LINE);
    struct room room;
    expect_reason(verify_at(keys, &other, issue_at(keys, &one, NOW, &room), NOW), REASON_HANDLE_ALTERED);
    handle_keys_free(keys);
}

Test(handle, of_names_that_no_identity_has_is_refused_unread) {
    static char large[LIMIT_USERNAME_BYTES + 1];
    struct handle_keys *keys = keys_of_line(OLD_LINE);
    struct handle_subject long_name = alice, long_uid = alice;
    long_name.username = (struct text){.data = large, .n_bytes = LIMIT_USERNAME_BYTES + 1};
    long_uid.uid = (struct text){.data = large, .n_bytes = LIMIT_UID_BYTES + 1};
    struct room room;
    expect_reason(verify_at(keys, &long_name, issue_at(keys, &long_name, NOW, &room), NOW), REASON_HANDLE_OTHER_USER);
    expect_reason(verify_at(keys, &long_uid, issue_at(keys, &long_uid, NOW, &room), NOW), REASON_HANDLE_OTHER_UID);
    handle_keys_free(keys);
}

/* ---- age ---- */

Test(handle, is_good_from_a_minute_ahead_until_its_age) {
    static const struct {
        int64_t now;
        enum reason reason;
    } rows[] = {
        {NOW, REASON_OK},
        {NOW + MAX_AGE, REASON_OK},
        {NOW + MAX_AGE + 1, REASON_HANDLE_TOO_OLD},
        {INT64_MAX, REASON_HANDLE_TOO_OLD},
        {NOW - LIMIT_HANDLE_AHEAD_S, REASON_OK},
        {NOW - LIMIT_HANDLE_AHEAD_S - 1, REASON_HANDLE_FROM_FUTURE},
        {0, REASON_HANDLE_FROM_FUTURE},
        {-1, REASON_HANDLE_FROM_FUTURE},
    };
    struct handle_keys *keys = keys_of_line(OLD_LINE);
    struct room room;
    const struct text handle = issue(keys, &room);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_reason(verify_at(keys, &alice, handle, rows[i].now), rows[i].reason);
    handle_keys_free(keys);
}

Test(handle, of_a_clock_before_1970_is_too_old_for_everybody_else) {
    struct handle_keys *keys = keys_of_line(OLD_LINE);
    struct room room;
    expect_reason(verify(keys, issue_at(keys, &alice, -5, &room)), REASON_HANDLE_TOO_OLD);
    handle_keys_free(keys);
}

/* Whose it is comes before how old it is: its time is no better than its signature. */
Test(handle, of_another_user_that_is_too_old_is_of_another_user) {
    struct handle_keys *keys = keys_of_line(OLD_LINE);
    struct handle_subject bob = alice;
    bob.username = TEXT("corp:bob");
    struct room room;
    expect_reason(verify_at(keys, &bob, issue(keys, &room), NOW + 10000), REASON_HANDLE_OTHER_USER);
    handle_keys_free(keys);
}

/* ---- keys ---- */

Test(handle, is_good_across_a_rotation_of_keys) {
    const struct text before[] = {OLD_LINE}, distributed[] = {OLD_LINE, NEW_LINE}, after[] = {NEW_LINE, OLD_LINE},
                      done[] = {NEW_LINE};
    struct handle_keys *const keys[] = {keys_of(before, 1), keys_of(distributed, 2), keys_of(after, 2), keys_of(done, 1)};
    static const bool is_good[4][4] = {
        /* issued with: before, distributed, after, done */
        {true, true, false, false},
        {true, true, true, true},
        {true, true, true, true},
        {false, false, true, true},
    };
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++) {
            struct room room;
            expect_reason(verify(keys[i], issue(keys[k], &room)), is_good[i][k] ? REASON_OK : REASON_HANDLE_ALTERED);
        }
    }
    for (size_t i = 0; i < 4; i++)
        handle_keys_free(keys[i]);
}

Test(handle, takes_one_to_four_lines_that_are_long_enough) {
    struct text lines[LIMIT_HANDLE_KEYS + 1];
    for (size_t i = 0; i <= LIMIT_HANDLE_KEYS; i++)
        lines[i] = OLD_LINE;
    struct handle_keys *keys = NULL;
    cr_expect_eq(handle_keys_new(lines, 0, &keys), -EINVAL);
    cr_expect_eq(handle_keys_new(lines, LIMIT_HANDLE_KEYS + 1, &keys), -EINVAL);
    lines[1].n_bytes = LIMIT_HANDLE_KEY_BYTES - 1;
    cr_expect_eq(handle_keys_new(lines, 2, &keys), -EINVAL);
    cr_expect_null(keys);
    lines[1].n_bytes = LIMIT_HANDLE_KEY_BYTES;
    cr_expect_eq(handle_keys_new(lines, LIMIT_HANDLE_KEYS, &keys), 0);
    handle_keys_free(keys);
}

Test(handle, the_last_of_four_keys_verifies_too) {
    struct text lines[] = {TEXT("1-3456789abcdef0123456789abcdef0"), TEXT("2-3456789abcdef0123456789abcdef0"),
                           TEXT("3-3456789abcdef0123456789abcdef0"), OLD_LINE};
    struct handle_keys *all = keys_of(lines, 4), *old = keys_of_line(OLD_LINE);
    struct room room;
    expect_reason(verify(all, issue(old, &room)), REASON_OK);
    expect_reason(verify(old, issue(all, &room)), REASON_HANDLE_ALTERED);
    handle_keys_free(all);
    handle_keys_free(old);
}

Test(handle, replicas_with_the_same_first_line_have_the_same_secret_of_facts) {
    uint8_t one[DIGEST_BYTES], same[DIGEST_BYTES], other[DIGEST_BYTES], derived[DIGEST_BYTES];
    cr_assert_eq(handle_fact_secret(OLD_LINE, one), 0);
    cr_assert_eq(handle_fact_secret(OLD_LINE, same), 0);
    cr_assert_eq(handle_fact_secret(NEW_LINE, other), 0);
    cr_expect_eq(memcmp(one, same, sizeof(one)), 0);
    cr_expect_neq(memcmp(one, other, sizeof(one)), 0);
    /* and it is not what handles are signed with */
    cr_assert_eq(digest_derive(OLD_LINE, TEXT("kube-introspect handle 1"), derived), 0);
    cr_expect_neq(memcmp(one, derived, sizeof(one)), 0);
}

Test(handle, every_failed_allocation_is_survived) {
    const struct text lines[] = {OLD_LINE, NEW_LINE};
    int r = -1;
    size_t n_failures = 0;
    for (size_t n = 1; r != 0; n++) {
        struct handle_keys *keys = NULL;
        memory_fail_at(n);
        r = handle_keys_new(lines, 2, &keys);
        memory_fail_at(0);
        n_failures += r != 0;
        cr_expect(r == 0 || r == -ENOMEM, "%d", r);
        cr_expect_eq(keys == NULL, r != 0);
        handle_keys_free(keys);
    }
    cr_expect_eq(n_failures, 3);
    handle_keys_free(NULL);
}
