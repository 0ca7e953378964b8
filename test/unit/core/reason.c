#include "core/reason.h"

#include <ctype.h>
#include <stdio.h>

#include "unit/core/fixture.h"
#include "wire/subject_access_review.h"

Test(reason, each_has_a_word_of_lower_case_and_underscores_that_no_other_has) {
    for (int i = 0; i < N_REASONS; i++) {
        const char *word = reason_word((enum reason)i);
        for (const char *c = word; *c != '\0'; c++)
            cr_expect(islower((unsigned char)*c) || *c == '_', "%s", word);
        for (int j = 0; j < i; j++)
            cr_expect_str_neq(word, reason_word((enum reason)j));
    }
}

Test(reason, each_has_one_sentence_on_one_line) {
    for (int i = 0; i < N_REASONS; i++) {
        const char *sentence = reason_sentence((enum reason)i);
        cr_expect(isupper((unsigned char)sentence[0]), "%s", sentence);
        cr_expect_eq(sentence[strlen(sentence) - 1], '.', "%s", sentence);
        cr_expect_null(strchr(sentence, '\n'));
        cr_expect_leq(strlen(sentence), 120, "%s", sentence);
    }
}

/* The others of this verdict are no objection to a request, and come with no identity: see core/recheck.h. */
Test(reason, nothing_allows_but_ok_and_what_is_no_objection) {
    static const enum reason reasons[] = {REASON_OK, REASON_NOT_OURS, REASON_HANDLE_OFF, REASON_PASSED_WITHOUT_HANDLE,
                                          REASON_PASSED_WITHOUT_FACT};
    for (int i = 0; i < N_REASONS; i++) {
        bool is_listed = false;
        for (size_t k = 0; k < sizeof(reasons) / sizeof(reasons[0]); k++)
            is_listed = is_listed || reasons[k] == (enum reason)i;
        cr_expect_eq(reason_verdict((enum reason)i) == VERDICT_ALLOW, is_listed, "%s", reason_word((enum reason)i));
    }
}

Test(reason, verdicts_have_their_words) {
    cr_expect_str_eq(verdict_word(VERDICT_ALLOW), "allow");
    cr_expect_str_eq(verdict_word(VERDICT_DENY), "deny");
    cr_expect_str_eq(verdict_word(VERDICT_UNAVAILABLE), "unavailable");
}

/* The words that dashboards, alerts and docs are written against. */
Test(reason, what_the_provider_cannot_say_is_never_a_no) {
    static const enum reason reasons[] = {
        REASON_PROVIDER_UNREACHABLE,
        REASON_PROVIDER_TIMEOUT,
        REASON_PROVIDER_TLS,
        REASON_PROVIDER_ERROR,
        REASON_PROVIDER_THROTTLED,
        REASON_PROVIDER_REPLY_INVALID,
        REASON_PROVIDER_REPLY_TOO_LARGE,
        REASON_PROVIDER_MISCONFIGURED,
        REASON_CLIENT_CREDENTIALS_REJECTED,
        REASON_DISCOVERY_FAILED,
        REASON_OVERLOADED,
        REASON_DEADLINE_EXCEEDED,
        REASON_AUDIT_UNWRITABLE,
        REASON_STOPPING,
        REASON_INTERNAL,
        REASON_CLAIM_TYPE_INVALID,
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        cr_expect_eq(reason_verdict(reasons[i]), VERDICT_UNAVAILABLE, "%s", reason_word(reasons[i]));
}

/* ---- docs/reasons.md ---- */

/* The rows of the table, in the list's order: | `word` | verdict | sentence | what to do | */
Test(reason, the_documentation_has_exactly_these_reasons) {
    struct secret *docs = fixture_file("docs/reasons.md");
    const char *next = secret_text(docs).data;
    int n_rows = 0;
    while ((next = strstr(next, "\n| `")) != NULL) {
        cr_assert_lt(n_rows, N_REASONS, "docs/reasons.md has a row too many: %.60s", next + 1);
        const enum reason reason = (enum reason)n_rows++;
        char begin[512];
        const int n = snprintf(begin, sizeof(begin), "\n| `%s` | %s | %s | ", reason_word(reason),
                               verdict_word(reason_verdict(reason)), reason_sentence(reason));
        cr_assert_eq(strncmp(next, begin, (size_t)n), 0, "docs/reasons.md should have: %s...", begin + 1);
        const char *end = strchr(next + 1, '\n');
        cr_assert_geq(end - (next + n), 20, "docs/reasons.md does not say what to do about %s", reason_word(reason));
        cr_assert_eq(memcmp(end - 3, ". |", 3), 0, "the row of %s does not end with a full stop", reason_word(reason));
        next++;
    }
    cr_expect_eq(n_rows, N_REASONS, "docs/reasons.md has %d rows of %d", n_rows, N_REASONS);
    secret_free(docs);
}

/* It is made on the stack: one that does not fit would leave the API server without an answer. */
Test(reason, each_fits_into_the_answer_to_a_subject_access_review_and_none_allows) {
    for (int i = 0; i < N_REASONS * 3 * 2; i++) {
        const enum reason reason = (enum reason)(i / 6);
        const struct subject_access_answer answer = {
            .version = (enum review_version)(i % 2),
            .outcome = (enum subject_access_outcome)(i / 2 % 3),
            .sentence = text_of(reason_sentence(reason)),
            .word = text_of(reason_word(reason)),
            .request_id = UINT64_MAX,
        };
        char memory[LIMIT_AUTHORIZATION_ANSWER_BYTES];
        struct buffer buffer;
        buffer_init_fixed(&buffer, memory, sizeof(memory));
        subject_access_review_encode(&answer, &buffer);
        cr_expect_eq(buffer.error, 0, "%s", reason_word(reason));
        buffer_append_char(&buffer, '\0');
        cr_expect_not_null(strstr(memory, "\"allowed\":false"), "%s", memory);
        cr_expect_null(strstr(memory, "\"allowed\":true"), "%s", memory);
    }
}
