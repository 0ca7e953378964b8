#include "core/mapping.h"

#include "unit/core/rows.h"

TestSuite(mapping, .init = set_up);

/* ---- username ---- */

Test(mapping, the_username_is_one_string_that_can_stand_in_a_log) {
    static const struct row rows[] = {
        {"\"sub\":\"u1\"", "username_absent"},
        {"\"sub\":\"u1\",\"preferred_username\":\"\"", "username_absent"},
        {"\"sub\":\"u1\",\"preferred_username\":null", "username_absent"},
        {"\"sub\":\"u1\",\"preferred_username\":[\"alice\"]", "claim_type_invalid"},
        {"\"sub\":\"u1\",\"preferred_username\":[]", "claim_type_invalid"},
        {"\"sub\":\"u1\",\"preferred_username\":true", "claim_type_invalid"},
        {"\"sub\":\"u1\",\"preferred_username\":1", "claim_type_invalid"},
        {"\"sub\":\"u1\",\"preferred_username\":{\"a\":1}", "claim_type_invalid"},
        {"\"sub\":\"u1\",\"preferred_username\":\"a\\nb\"", "username_invalid"},
        {"\"sub\":\"u1\",\"preferred_username\":\"a\\u001bb\"", "username_invalid"},
        {"\"sub\":\"u1\",\"preferred_username\":\"a\\u007fb\"", "username_invalid"},
        {"\"sub\":\"u1\",\"preferred_username\":\"a\\u0080b\"", "username_invalid"},
        {"\"sub\":\"u1\",\"preferred_username\":\"a\\u009f\"", "username_invalid"},
        {"\"sub\":\"u1\",\"preferred_username\":\"a\\u00a0\"", "{\"username\":\"corp:a\xc2\xa0\",\"uid\":\"u1\"}"},
        {"\"sub\":\"u1\",\"preferred_username\":\"system:admin\"", "{\"username\":\"corp:system:admin\",\"uid\":\"u1\"}"},
    };
    EXPECT_ROWS(rows);
}

Test(mapping, no_prefix_and_value_together_make_a_name_of_kubernetes) {
    static const struct {
        const char *prefix, *value;
        bool is_reserved;
    } cases[] = {
        {"", "system:", true},
        {"", "system:masters", true},
        {"", "system:serviceaccount:a:b", true},
        {"", "system", false},
        {"", "System:masters", false},
        {"", " system:masters", false},
        {"sys", "tem:masters", true},
        {"system", ":masters", true},
        {"system:", "masters", true},
        {"system:node:", "n", true},
        {"s", "ystem:x", true},
        {"systematic", ":x", false},
        {"corp:", "system:masters", false},
        {"corp:", "m:masters", false},
        {"sys", "tem", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char reply[512];
        issuer = fixture_issuer();
        issuer.username_prefix = text_of(cases[i].prefix);
        snprintf(reply, sizeof(reply), "{\"active\":true,\"sub\":\"u\",\"preferred_username\":\"%s\"}", cases[i].value);
        const bool name_refused = strcmp(outcome(text_of(reply)), "username_reserved") == 0;
        cr_expect_eq(name_refused, cases[i].is_reserved, "user %s%s", cases[i].prefix, cases[i].value);
        issuer = fixture_issuer();
        issuer.groups_prefix = text_of(cases[i].prefix);
        snprintf(reply, sizeof(reply), "{\"active\":true," ALICE ",\"groups\":[\"ok\",\"%s\"]}", cases[i].value);
        const bool group_refused = strcmp(outcome(text_of(reply)), "group_reserved") == 0;
        const bool other_reserved = strncmp(cases[i].prefix, "system:", 7) == 0; /* then "ok" is refused first */
        cr_expect_eq(group_refused, cases[i].is_reserved || other_reserved, "group %s%s", cases[i].prefix, cases[i].value);
    }
}

Test(mapping, names_are_as_long_as_their_limit_and_no_longer) {
    const char *name = "{\"active\":true,\"sub\":\"u\",\"preferred_username\":\"";
    const size_t n_prefix = strlen("corp:");
    cr_expect_eq(outcome_of_long(name, LIMIT_USERNAME_BYTES - n_prefix, "\"}")[0], '{');
    cr_expect_str_eq(outcome_of_long(name, LIMIT_USERNAME_BYTES - n_prefix + 1, "\"}"), "username_invalid");
    const char *group = "{\"active\":true," ALICE ",\"groups\":[\"";
    cr_expect_eq(outcome_of_long(group, LIMIT_GROUP_BYTES - n_prefix, "\"]}")[0], '{');
    cr_expect_str_eq(outcome_of_long(group, LIMIT_GROUP_BYTES - n_prefix + 1, "\"]}"), "group_invalid");
    const char *uid = "{\"active\":true,\"preferred_username\":\"a\",\"sub\":\"";
    cr_expect_eq(outcome_of_long(uid, LIMIT_UID_BYTES, "\"}")[0], '{');
    cr_expect_str_eq(outcome_of_long(uid, LIMIT_UID_BYTES + 1, "\"}"), "uid_invalid");
}

Test(mapping, a_prefix_that_is_too_long_by_itself_refuses_and_overflows_nothing) {
    static char long_prefix[LIMIT_USERNAME_BYTES + 2];
    memset(long_prefix, 'p', sizeof(long_prefix));
    issuer.username_prefix = (struct text){long_prefix, sizeof(long_prefix)};
    cr_expect_str_eq(outcome(TEXT("{\"active\":true," ALICE "}")), "username_invalid");
    issuer = fixture_issuer();
    issuer.groups_prefix = (struct text){long_prefix, LIMIT_GROUP_BYTES + 1};
    cr_expect_str_eq(outcome(TEXT("{\"active\":true," ALICE ",\"groups\":[\"a\"]}")), "group_invalid");
}

/* ---- uid ---- */

Test(mapping, the_uid_is_one_string) {
    issuer.uid_claim = TEXT("oid");
    static const struct row rows[] = {
        {ALICE ",\"oid\":\"o1\"", "{\"username\":\"corp:alice\",\"uid\":\"o1\"}"},
        {ALICE, "uid_invalid"},
        {ALICE ",\"oid\":\"\"", "uid_invalid"},
        {ALICE ",\"oid\":\"a\\tb\"", "uid_invalid"},
        {ALICE ",\"oid\":5", "claim_type_invalid"},
        {ALICE ",\"oid\":[\"o1\"]", "claim_type_invalid"},
        {ALICE ",\"oid\":{}", "claim_type_invalid"},
    };
    EXPECT_ROWS(rows);
}

Test(mapping, a_client_stands_in_for_its_subject_only) {
    issuer.absent_subject_is_client_id = true;
    issuer.uid_claim = TEXT("oid");
    static const struct row rows[] = {
        {"\"client_id\":\"svc\"", "uid_invalid"},
        {"\"client_id\":\"svc\",\"oid\":\"o1\"", "{\"username\":\"corp:svc\",\"uid\":\"o1\"}"},
        {"\"client_id\":\"svc\",\"oid\":\"o1\",\"preferred_username\":\"\"", "username_absent"},
        {"\"client_id\":\"svc\",\"oid\":\"o1\",\"preferred_username\":7", "claim_type_invalid"},
    };
    EXPECT_ROWS(rows);
}

/* ---- extra ---- */

Test(mapping, extra_takes_strings_and_scalars) {
    const struct extra_mapping extra[] = {{TEXT("example.com/tenant"), TEXT("tenant")},
                                          {TEXT("example.com/acr"), TEXT("acr")}};
    issuer.extra = extra;
    issuer.n_extra = 2;
#define EXTRA(members) "{\"username\":\"corp:alice\",\"uid\":\"u1\",\"extra\":{" members "}}"
    static const struct row rows[] = {
        {ALICE ",\"tenant\":\"t1\"", EXTRA("\"example.com/tenant\":[\"t1\"]")},
        {ALICE ",\"tenant\":[\"t1\",\"t2\"],\"acr\":1",
         EXTRA("\"example.com/tenant\":[\"t1\",\"t2\"],\"example.com/acr\":[\"1\"]")},
        {ALICE ",\"acr\":false", EXTRA("\"example.com/acr\":[\"false\"]")},
        {ALICE ",\"acr\":-9223372036854775808", EXTRA("\"example.com/acr\":[\"-9223372036854775808\"]")},
        {ALICE ",\"acr\":\"\"", EXTRA("\"example.com/acr\":[\"\"]")},
        {ALICE ",\"acr\":\"a\\\"b\"", EXTRA("\"example.com/acr\":[\"a\\\"b\"]")},
        {ALICE ",\"jti\":\"j\",\"acr\":\"x\"",
         EXTRA("\"example.com/acr\":[\"x\"],\"authentication.kubernetes.io/credential-id\":[\"JTI=j\"]")},
        {ALICE, ALICE_IS},
        {ALICE ",\"tenant\":null,\"acr\":[]", ALICE_IS},
        {ALICE ",\"tenant\":{\"a\":1}", "claim_type_invalid"},
        {ALICE ",\"tenant\":{}", "claim_type_invalid"},
        {ALICE ",\"tenant\":[\"a\",1]", "claim_type_invalid"},
        {ALICE ",\"tenant\":1.5", "claim_type_invalid"},
        {ALICE ",\"tenant\":\"a\\nb\"", "extra_invalid"},
    };
    EXPECT_ROWS(rows);
}

Test(mapping, extra_has_limits) {
    const struct extra_mapping extra = {TEXT("example.com/tenant"), TEXT("tenant")};
    issuer.extra = &extra;
    issuer.n_extra = 1;
    const char *before = "{\"active\":true," ALICE ",\"tenant\":\"";
    cr_expect_eq(outcome_of_long(before, LIMIT_EXTRA_VALUE_BYTES, "\"}")[0], '{');
    cr_expect_str_eq(outcome_of_long(before, LIMIT_EXTRA_VALUE_BYTES + 1, "\"}"), "extra_invalid");
    for (size_t n = LIMIT_EXTRA_VALUES; n <= LIMIT_EXTRA_VALUES + 1; n++) {
        char reply[4096] = "{\"active\":true," ALICE ",\"tenant\":[\"v\"";
        for (size_t i = 1; i < n; i++)
            snprintf(reply + strlen(reply), sizeof(reply) - strlen(reply), ",\"v\"");
        snprintf(reply + strlen(reply), sizeof(reply) - strlen(reply), "]}");
        cr_expect_eq(strcmp(outcome(text_of(reply)), "extra_invalid") == 0, n > LIMIT_EXTRA_VALUES);
    }
}

Test(mapping, a_jti_that_is_nothing_to_show_is_left_out) {
    static const struct row rows[] = {
        {ALICE ",\"jti\":\"\"", ALICE_IS},
        {ALICE ",\"jti\":\"a\\nb\"", ALICE_IS},
        {ALICE ",\"jti\":null", ALICE_IS},
    };
    EXPECT_ROWS(rows);
    const char *before = "{\"active\":true," ALICE ",\"jti\":\"";
    const size_t n_start = strlen("JTI=");
    cr_expect_not_null(strstr(outcome_of_long(before, LIMIT_EXTRA_VALUE_BYTES - n_start, "\"}"), "credential-id"));
    cr_expect_str_eq(outcome_of_long(before, LIMIT_EXTRA_VALUE_BYTES - n_start + 1, "\"}"), ALICE_IS);
}

/* ---- userValidationRules ---- */

Test(mapping, user_rules_look_at_the_names_with_their_prefixes) {
    const struct user_rule rules[] = {{USER_RULE_USERNAME_NOT_PREFIX, TEXT("corp:adm")},
                                      {USER_RULE_GROUPS_NOT_PREFIX, TEXT("corp:root")}};
    issuer.user_rules = rules;
    issuer.n_user_rules = 2;
    static const struct row rows[] = {
        {ALICE, ALICE_IS},
        {"\"sub\":\"u1\",\"preferred_username\":\"admin\"", "user_rule"},
        {"\"sub\":\"u1\",\"preferred_username\":\"adm\"", "user_rule"},
        {"\"sub\":\"u1\",\"preferred_username\":\"ad\"", "{\"username\":\"corp:ad\",\"uid\":\"u1\"}"},
        {"\"sub\":\"u1\",\"preferred_username\":\"corp:adm\"", "{\"username\":\"corp:corp:adm\",\"uid\":\"u1\"}"},
        {ALICE ",\"groups\":[\"a\",\"roots\"]", "user_rule"},
        {ALICE ",\"groups\":[\"roo\"]", "{\"username\":\"corp:alice\",\"uid\":\"u1\",\"groups\":[\"corp:roo\"]}"},
    };
    EXPECT_ROWS(rows);
}
