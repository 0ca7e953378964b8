#include "core/explanation.h"

#include "unit/core/rows.h"

TestSuite(explanation, .init = set_up);

/* ---- explanations ---- */

struct recorded {
    struct explanation explanation;
    char lines[8192];
};

static void record(struct explanation *explanation, const char *rule, bool held, const char *seen) {
    struct recorded *recorded = (struct recorded *)explanation;
    const size_t n = strlen(recorded->lines);
    snprintf(recorded->lines + n, sizeof(recorded->lines) - n, "%s %s: %s\n", held ? "+" : "-", rule, seen);
}

Test(explanation, an_explanation_names_each_rule_and_what_was_seen) {
    struct recorded recorded = {.explanation.line = record};
    const struct claim_rule rule = {TEXT("token_use"), TEXT("access")};
    const struct extra_mapping extra = {TEXT("example.com/tenant"), TEXT("tenant")};
    const struct user_rule user_rule = {USER_RULE_GROUPS_NOT_PREFIX, TEXT("corp:root")};
    issuer.claim_rules = &rule;
    issuer.n_claim_rules = 1;
    issuer.extra = &extra;
    issuer.n_extra = 1;
    issuer.user_rules = &user_rule;
    issuer.n_user_rules = 1;
    issuer.any_client = false;
    issuer.client_ids = LIST(TEXT("app"));
    identity_unref(fixture_identity(TEXT("{\"active\":true,\"iss\":\"" ISSUER_URL
                                         "\",\"token_type\":\"Bearer\",\"typ\":\"Bearer\",\"client_id\":\"app\","
                                         "\"aud\":\"kubernetes\"," ALICE
                                         ",\"token_use\":\"access\",\"groups\":[\"a\",\"rooted\"],\"tenant\":\"t1\"}"),
                                    &issuer, &recorded.explanation));
    cr_expect_str_eq(recorded.lines,
                     "+ issuer.url: iss \"https://localhost:9443\"\n"
                     "+ token_type: \"Bearer\"\n"
                     "+ typ: \"Bearer\"\n"
                     "+ cnf: absent: a plain bearer token\n"
                     "+ clientIDs: client_id \"app\"\n"
                     "+ issuer.audiences: aud has \"kubernetes\"\n"
                     "+ absentSubject: sub \"u1\"\n"
                     "+ claimValidationRules[0]: token_use is \"access\"\n"
                     "+ claimMappings.username: \"corp:alice\" from preferred_username\n"
                     "+ claimMappings.groups: 2 from groups, 2 after groupMapping\n"
                     "+ claimMappings.uid: \"u1\" from sub\n"
                     "+ claimMappings.extra[0]: example.com/tenant: 1 values from tenant\n"
                     "- userValidationRules[0]: groups notPrefix \"corp:root\"\n",
                     "%s", recorded.lines);
}

Test(explanation, every_refusal_has_a_line_that_failed_and_it_is_the_last) {
    const struct claim_rule rule = {TEXT("token_use"), TEXT("access")};
    const struct extra_mapping extra = {TEXT("example.com/tenant"), TEXT("tenant")};
    issuer.claim_rules = &rule;
    issuer.n_claim_rules = 1;
    issuer.extra = &extra;
    issuer.n_extra = 1;
    issuer.any_client = false;
    issuer.client_ids = LIST(TEXT("app"));
    issuer.accept_absent_groups = false;
#define GOOD ALICE ",\"client_id\":\"app\",\"token_use\":\"access\""
    static const char *const claims[] = {
        GOOD ",\"iss\":\"x\"",
        GOOD ",\"token_type\":\"ID\"",
        GOOD ",\"typ\":\"ID\"",
        GOOD ",\"cnf\":{\"jkt\":\"x\"}",
        ALICE,
        GOOD ",\"aud\":\"x\"",
        GOOD ",\"aud\":[]",
        "\"client_id\":\"app\",\"token_use\":\"access\"",
        ALICE ",\"client_id\":\"app\"",
        "\"client_id\":\"app\",\"token_use\":\"access\",\"sub\":\"u\"",
        GOOD,
        GOOD ",\"groups\":7",
        GOOD ",\"groups\":[\"\"]",
        GOOD ",\"hasgroups\":true",
        GOOD ",\"groups\":[],\"tenant\":{}",
    };
    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        struct recorded recorded = {.explanation.line = record};
        char reply[1024];
        snprintf(reply, sizeof(reply), "{\"active\":true,%s}", claims[i]);
        struct identity *identity = fixture_identity(text_of(reply), &issuer, &recorded.explanation);
        cr_expect_neq(identity->reason, REASON_OK, "%s", reply);
        const char *failed = recorded.lines[0] == '-' ? recorded.lines : strstr(recorded.lines, "\n- ");
        cr_assert_not_null(failed, "%s:\n%s", reply, recorded.lines);
        cr_expect_null(strchr(strchr(failed + 1, '\n') + 1, '\n') == NULL ? NULL : strstr(failed + 1, "\n+"), "%s:\n%s",
                       reply, recorded.lines);
        identity_unref(identity);
    }
}

Test(explanation, an_explanation_has_no_control_character_and_is_cut) {
    struct recorded recorded = {.explanation.line = record};
    struct buffer reply;
    buffer_init(&reply, LIMIT_INTROSPECTION_REPLY_BYTES);
    buffer_append(&reply, TEXT("{\"active\":true,\"sub\":\"u\",\"preferred_username\":\"\\u001b[31m\\u009b\\nroot"));
    for (size_t i = 0; i < 5000; i++)
        buffer_append_char(&reply, 'x');
    buffer_append(&reply, TEXT("\"}"));
    identity_unref(fixture_identity(buffer_text(&reply), &issuer, &recorded.explanation));
    /* the escape is one byte, U+009B two, the line feed one */
    cr_expect_not_null(strstr(recorded.lines, "- claimMappings.username: \"corp:?[31m???rootxxx"), "%s", recorded.lines);
    cr_expect_lt(strlen(recorded.lines), 1500);
    buffer_deinit(&reply);
}

Test(explanation, an_explanation_has_no_part_of_the_token) {
    struct recorded recorded = {.explanation.line = record};
    identity_unref(fixture_identity(TEXT("{\"active\":true," ALICE "}"), &issuer, &recorded.explanation));
    cr_expect_null(strstr(recorded.lines, "KISentinel"));
}
