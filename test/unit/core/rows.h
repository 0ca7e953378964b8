/*
 * Rows of claims and of what they should become, for the tests of the rules and of the mapping.
 */
#pragma once

#include <stdio.h>

#include "base/limits.h"
#include "unit/core/fixture.h"

/* The issuer that the rows are read by; set_up() makes it lenient before each test. */
static struct issuer_policy issuer;

static inline void set_up(void) {
    issuer = fixture_issuer();
}

/* The user's JSON, or the word of the reason why there is none. */
static inline const char *outcome(struct text reply) {
    static char room[LIMIT_IDENTITY_BYTES + 1];
    struct identity *identity = fixture_identity(reply, &issuer, NULL);
    const struct text user = identity_user(identity);
    cr_assert_eq(user.n_bytes > 0, identity->reason == REASON_OK);
    if (identity->reason == REASON_OK)
        snprintf(room, sizeof(room), "%.*s", (int)user.n_bytes, user.data);
    else
        snprintf(room, sizeof(room), "%s", reason_word((enum reason)identity->reason));
    identity_unref(identity);
    return room;
}

/* The same of a reply with n times an "x" in its middle. */
static inline const char *outcome_of_long(const char *before, size_t n, const char *after) {
    struct buffer reply;
    buffer_init(&reply, LIMIT_INTROSPECTION_REPLY_BYTES);
    buffer_append(&reply, text_of(before));
    for (size_t i = 0; i < n; i++)
        buffer_append_char(&reply, 'x');
    buffer_append(&reply, text_of(after));
    const char *is = outcome(buffer_text(&reply));
    buffer_deinit(&reply);
    return is;
}

struct row {
    const char *claims; /* members beside active */
    const char *expected;
};

static inline void expect_rows(const struct row *rows, size_t n_rows) {
    for (size_t i = 0; i < n_rows; i++) {
        char reply[4096];
        snprintf(reply, sizeof(reply), "{\"active\":true%s%s}", rows[i].claims[0] == '\0' ? "" : ",", rows[i].claims);
        const char *is = outcome(text_of(reply));
        cr_expect_str_eq(is, rows[i].expected, "%s\nis      %s\nand not %s", reply, is, rows[i].expected);
    }
}
#define EXPECT_ROWS(rows) expect_rows(rows, sizeof(rows) / sizeof(rows[0]))

#define ALICE "\"sub\":\"u1\",\"preferred_username\":\"alice\""
#define ALICE_IS "{\"username\":\"corp:alice\",\"uid\":\"u1\"}"
