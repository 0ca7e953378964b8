#include "wire/claims.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "base/limits.h"
#include "lib/memory.h"

static const char all[] =
    "{\"string\":\"alice\",\"empty\":\"\",\"utf8\":\"Zo\xc3\xab\",\"strings\":[\"a\",\"\",\"c\"],\"none\":[],"
    "\"mixed\":[\"a\",1],\"with_null\":[\"a\",null],\"nested\":[[\"a\"]],\"true\":true,\"false\":false,"
    "\"integer\":42,\"negative\":-7,\"least\":-9223372036854775808,\"real\":42.0,\"null\":null,"
    "\"object\":{\"groups\":\"src1\",\"null\":null},\"https://example.com/claim\":\"url\"}";

static struct claims *opened(const char *json) {
    struct claims *claims;
    cr_assert_eq(claims_open(text_of(json), &claims), 0);
    return claims;
}

static void expect_text(struct text text, const char *expected, const char *what) {
    cr_expect(text_equal(text, text_of(expected)), "%s: \"%.*s\"", what, (int)text.n_bytes,
              text.data == NULL ? "" : text.data);
}

/* What each accessor says of each claim. */
static const struct {
    const char *name;
    enum claim_kind kind;
    const char *string;
    size_t n_strings;
    const char *first, *scalar;
    bool is_true;
} table[] = {
    {"string", CLAIM_STRING, "alice", 1, "alice", "", false},
    {"empty", CLAIM_STRING, "", 1, "", "", false},
    {"utf8", CLAIM_STRING, "Zo\xc3\xab", 1, "Zo\xc3\xab", "", false},
    {"strings", CLAIM_STRINGS, "", 3, "a", "", false},
    {"none", CLAIM_STRINGS, "", 0, "", "", false},
    {"mixed", CLAIM_OTHER, "", 0, "", "", false},
    {"with_null", CLAIM_OTHER, "", 0, "", "", false},
    {"nested", CLAIM_OTHER, "", 0, "", "", false},
    {"true", CLAIM_BOOLEAN, "", 0, "", "true", true},
    {"false", CLAIM_BOOLEAN, "", 0, "", "false", false},
    {"integer", CLAIM_NUMBER, "", 0, "", "42", false},
    {"negative", CLAIM_NUMBER, "", 0, "", "-7", false},
    {"least", CLAIM_NUMBER, "", 0, "", "-9223372036854775808", false},
    {"real", CLAIM_NUMBER, "", 0, "", "", false},
    {"null", CLAIM_ABSENT, "", 0, "", "", false},
    {"object", CLAIM_OTHER, "", 0, "", "", false},
    {"https://example.com/claim", CLAIM_STRING, "url", 1, "url", "", false},
    {"absent", CLAIM_ABSENT, "", 0, "", "", false},
    {"String", CLAIM_ABSENT, "", 0, "", "", false},
    {"", CLAIM_ABSENT, "", 0, "", "", false},
};

Test(claims, each_accessor_answers_for_its_kind_and_is_empty_for_others) {
    struct claims *const claims = opened(all);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        const struct text name = text_of(table[i].name);
        char room[32];
        cr_expect_eq(claims_kind(claims, name), table[i].kind, "%s", table[i].name);
        expect_text(claims_string(claims, name), table[i].string, table[i].name);
        cr_expect_eq(claims_n_strings(claims, name), table[i].n_strings, "%s", table[i].name);
        expect_text(claims_scalar(claims, name, room, sizeof(room)), table[i].scalar, table[i].name);
        cr_expect_eq(claims_is_true(claims, name), table[i].is_true, "%s", table[i].name);
        if (table[i].n_strings > 0)
            expect_text(claims_string_at(claims, name, 0), table[i].first, table[i].name);
    }
    claims_close(claims);
}

Test(claims, strings_are_given_by_index_and_nothing_past_the_end) {
    struct claims *const claims = opened(all);
    expect_text(claims_string_at(claims, TEXT("strings"), 0), "a", "0");
    expect_text(claims_string_at(claims, TEXT("strings"), 1), "", "1");
    expect_text(claims_string_at(claims, TEXT("strings"), 2), "c", "2");
    expect_text(claims_string_at(claims, TEXT("strings"), 3), "", "3");
    expect_text(claims_string_at(claims, TEXT("strings"), SIZE_MAX), "", "end of memory");
    expect_text(claims_string_at(claims, TEXT("string"), 1), "", "behind a string");
    expect_text(claims_string_at(claims, TEXT("absent"), 0), "", "absent");
    claims_close(claims);
}

Test(claims, a_member_counts_only_inside_an_object_and_only_when_it_is_not_null) {
    struct claims *const claims = opened(all);
    cr_expect(claims_has_member(claims, TEXT("object"), TEXT("groups")));
    cr_expect_not(claims_has_member(claims, TEXT("object"), TEXT("null")));
    cr_expect_not(claims_has_member(claims, TEXT("object"), TEXT("other")));
    cr_expect_not(claims_has_member(claims, TEXT("string"), TEXT("groups")));
    cr_expect_not(claims_has_member(claims, TEXT("strings"), TEXT("a")));
    cr_expect_not(claims_has_member(claims, TEXT("null"), TEXT("a")));
    cr_expect_not(claims_has_member(claims, TEXT("absent"), TEXT("groups")));
    claims_close(claims);
}

Test(claims, names_and_strings_are_what_their_escapes_say) {
    struct claims *const claims =
        opened("{\"n\\u0061me\":\"\\u0041\\n\",\"list\":[\"\\\"a\",\"b\",\"\\ud83d\\ude00\"],"
               "\"o\":{\"\\u0067roups\":1,\"last\":null},\"mixed\":[\"\\u0041\",{\"\\u0041\":[]}],"
               "\"after\":\"z\"}");
    expect_text(claims_string(claims, TEXT("name")), "A\n", "a string");
    expect_text(claims_string_at(claims, TEXT("list"), 0), "\"a", "the first of a list");
    expect_text(claims_string_at(claims, TEXT("list"), 1), "b", "one without escapes behind it");
    expect_text(claims_string_at(claims, TEXT("list"), 2), "\xf0\x9f\x98\x80", "a surrogate pair");
    cr_expect(claims_has_member(claims, TEXT("o"), TEXT("groups")));
    cr_expect_not(claims_has_member(claims, TEXT("o"), TEXT("last")));
    cr_expect_eq(claims_kind(claims, TEXT("mixed")), CLAIM_OTHER);
    expect_text(claims_string(claims, TEXT("after")), "z", "what stands behind them");
    claims_close(claims);
}

/* The densest documents there are, whole and cut off anywhere: the tables are as large as their bytes allow, not counted.
 */
Test(claims, the_most_members_and_strings_that_bytes_can_hold_have_their_place) {
    static const char *const dense[] = {"{\"\":0,\"a\":0,\"b\":1,\"c\":2}", "{\"\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\"]}",
                                        "{\"\":\"\",\"a\":\"\",\"b\":[\"\"]}", "{\"\":\"\"}"};
    for (size_t i = 0; i < sizeof(dense) / sizeof(*dense); i++) {
        const struct text whole = text_of(dense[i]);
        for (size_t n = 0; n <= whole.n_bytes; n++) {
            struct claims *claims = NULL;
            const int expected = n == whole.n_bytes ? 0 : -EBADMSG;
            cr_expect_eq(claims_open((struct text){whole.data, n}, &claims), expected, "%s: %zu", dense[i], n);
            claims_close(claims);
        }
    }
}

Test(claims, names_need_not_end_with_a_zero_byte) {
    struct claims *const claims = opened(all);
    expect_text(claims_string(claims, (struct text){"stringent", 6}), "alice", "a part of a longer name");
    claims_close(claims);
}

Test(claims, a_scalar_that_does_not_fit_is_empty) {
    struct claims *const claims = opened(all);
    char room[8] = "#######";
    expect_text(claims_scalar(claims, TEXT("true"), room, 4), "", "four bytes have no place for the zero byte");
    expect_text(claims_scalar(claims, TEXT("true"), room, 5), "true", "five have");
    expect_text(claims_scalar(claims, TEXT("least"), room, sizeof(room)), "", "twenty digits in eight bytes");
    expect_text(claims_scalar(claims, TEXT("true"), NULL, 0), "", "no room");
    claims_close(claims);
}

Test(claims, what_is_no_object_is_a_bad_message) {
    static const char *const bad[] = {"", "[]", "null", "{", "{\"a\":1,\"a\":2}", "{}{}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct claims *claims = NULL;
        cr_expect_eq(claims_open(text_of(bad[i]), &claims), -EBADMSG, "%s", bad[i]);
        cr_expect_null(claims);
    }
}

Test(claims, more_than_a_reply_may_have_is_a_bad_message) {
    static char large[LIMIT_INTROSPECTION_REPLY_BYTES + 1];
    memset(large, ' ', sizeof(large));
    memcpy(large, "{}", 2);
    struct claims *claims = NULL;
    cr_expect_eq(claims_open((struct text){large, sizeof(large)}, &claims), -EBADMSG);
    cr_assert_eq(claims_open((struct text){large, sizeof(large) - 1}, &claims), 0);
    claims_close(claims);
}

Test(claims, closing_none_is_fine) {
    claims_close(NULL);
}

Test(claims, opening_survives_each_failing_allocation) {
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        struct claims *claims = NULL;
        memory_fail_at(n);
        const int result = claims_open(TEXT(all), &claims);
        has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert_eq(result, has_failed ? -ENOMEM : 0, "allocation %zu", n);
        cr_assert_eq(claims == NULL, has_failed);
        claims_close(claims);
    }
}

Test(claims, asking_allocates_nothing) {
    struct claims *const claims = opened(all);
    memory_fail_at(1);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        char room[32];
        claims_kind(claims, text_of(table[i].name));
        claims_string_at(claims, text_of(table[i].name), 0);
        claims_scalar(claims, text_of(table[i].name), room, sizeof(room));
        claims_has_member(claims, text_of(table[i].name), TEXT("groups"));
    }
    const bool has_failed = memory_has_failed();
    memory_fail_at(0);
    cr_expect_not(has_failed);
    claims_close(claims);
}
