#include "core/identity.h"

#include <stdio.h>

#include "base/limits.h"
#include "unit/core/fixture.h"
#include "wire/claims.h"

/* ---- helpers ---- */

static struct issuer_policy issuer;

static void set_up(void) {
    issuer = fixture_issuer();
}

TestSuite(identity, .init = set_up);

/* The user's JSON, or the word of the reason why there is none. */
static const char *outcome(struct text reply) {
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

struct row {
    const char *claims; /* members beside active */
    const char *expected;
};

static void expect_rows(const struct row *rows, size_t n_rows) {
    for (size_t i = 0; i < n_rows; i++) {
        char reply[4096];
        snprintf(reply, sizeof(reply), "{\"active\":true%s%s}", rows[i].claims[0] == '\0' ? "" : ",", rows[i].claims);
        cr_expect_str_eq(outcome(text_of(reply)), rows[i].expected, "%s\n%s\nand not %s", reply, outcome(text_of(reply)),
                         rows[i].expected);
    }
}
#define EXPECT_ROWS(rows) expect_rows(rows, sizeof(rows) / sizeof(rows[0]))

#define ALICE "\"sub\":\"u1\",\"preferred_username\":\"alice\""
#define ALICE_IS "{\"username\":\"corp:alice\",\"uid\":\"u1\"}"

/* ---- the whole ---- */

Test(identity, is_the_user_in_compact_json) {
    static const struct row rows[] = {
        {ALICE, ALICE_IS},
        {ALICE ",\"groups\":[\"a\",\"b\"]", "{\"username\":\"corp:alice\",\"uid\":\"u1\",\"groups\":[\"corp:a\",\"corp:b\"]}"},
        {ALICE ",\"jti\":\"j-1\"", "{\"username\":\"corp:alice\",\"uid\":\"u1\",\"extra\":"
                                   "{\"authentication.kubernetes.io/credential-id\":[\"JTI=j-1\"]}}"},
    };
    EXPECT_ROWS(rows);
    issuer.uid_claim = TEXT("");
    issuer.username_prefix = issuer.groups_prefix = TEXT("");
    static const struct row bare[] = {
        {ALICE, "{\"username\":\"alice\"}"},
        {"\"sub\":\"u1\",\"preferred_username\":\"a\\\"\\\\b \\u00e4\"", "{\"username\":\"a\\\"\\\\b \xc3\xa4\"}"},
    };
    EXPECT_ROWS(bare);
}

Test(identity, has_generation_ttl_and_reason_but_no_time) {
    const struct policy policy = {.generation = 7, .issuers = &issuer, .n_issuers = 1};
    struct fact *fact = fixture_fact(TEXT("{\"active\":true,\"exp\":1,\"nbf\":253402300799,\"iat\":253402300799," ALICE "}"));
    struct identity *identity;
    cr_assert_eq(identity_new(fact, &policy, &issuer, NULL, &identity), 0);
    cr_expect_eq(identity->generation, 7);
    cr_expect_eq(identity->ttl_ms, 30000);
    cr_expect_eq(identity->reason, REASON_OK, "times are judged on every hit, and not here");
    identity_unref(identity);
    fact_unref(fact);
}

/* ---- iss ---- */

Test(identity, iss_must_be_the_issuer_where_it_is_there) {
    static const struct row rows[] = {
        {ALICE ",\"iss\":\"https://localhost:9443\"", ALICE_IS},
        {ALICE, ALICE_IS},
        {ALICE ",\"iss\":null", ALICE_IS},
        {ALICE ",\"iss\":\"https://localhost:9443/\"", "issuer_mismatch"},
        {ALICE ",\"iss\":\"https://LOCALHOST:9443\"", "issuer_mismatch"},
        {ALICE ",\"iss\":\"https://localhost:94\"", "issuer_mismatch"},
        {ALICE ",\"iss\":\"\"", "issuer_mismatch"},
    };
    EXPECT_ROWS(rows);
}

/* ---- token_type, typ ---- */

Test(identity, only_access_tokens_become_somebody) {
    static const struct row rows[] = {
        {ALICE ",\"token_type\":\"Bearer\"", ALICE_IS},
        {ALICE ",\"token_type\":\"bearer\"", ALICE_IS},
        {ALICE ",\"token_type\":\"BEARER\"", ALICE_IS},
        {ALICE ",\"token_type\":\"access_token\"", ALICE_IS},
        {ALICE ",\"token_type\":null", ALICE_IS},
        {ALICE ",\"token_type\":\"DPoP\"", "token_bound"},
        {ALICE ",\"token_type\":\"dpop\"", "token_bound"},
        {ALICE ",\"token_type\":\"N_A\"", "token_type_refused"},
        {ALICE ",\"token_type\":\"Refresh\"", "token_type_refused"},
        {ALICE ",\"token_type\":\"refresh_token\"", "token_type_refused"},
        {ALICE ",\"token_type\":\"ID\"", "token_type_refused"},
        {ALICE ",\"token_type\":\"id_token\"", "token_type_refused"},
        {ALICE ",\"token_type\":\"mac\"", "token_type_refused"},
        {ALICE ",\"token_type\":\"Bearer \"", "token_type_refused"},
        {ALICE ",\"token_type\":\"Bearer\\u0001\"", "token_type_refused"},
        {ALICE ",\"token_type\":\"\"", "token_type_refused"},
        {ALICE ",\"token_type\":\"Bearer\",\"typ\":\"Bearer\"", ALICE_IS},
        {ALICE ",\"token_type\":\"Bearer\",\"typ\":\"at+jwt\"", ALICE_IS},
        {ALICE ",\"token_type\":\"Bearer\",\"typ\":\"application/at+jwt\"", ALICE_IS},
        {ALICE ",\"token_type\":\"Bearer\",\"typ\":\"JWT\"", ALICE_IS},
        {ALICE ",\"token_type\":\"Bearer\",\"typ\":null", ALICE_IS},
        {ALICE ",\"token_type\":\"Bearer\",\"typ\":\"Refresh\"", "token_type_refused"},
        {ALICE ",\"token_type\":\"Bearer\",\"typ\":\"Offline\"", "token_type_refused"},
        {ALICE ",\"token_type\":\"Bearer\",\"typ\":\"ID\"", "token_type_refused"},
        {ALICE ",\"token_type\":\"Bearer\",\"typ\":\"Logout\"", "token_type_refused"},
        {ALICE ",\"token_type\":\"Bearer\",\"typ\":\"logout+jwt\"", "token_type_refused"},
        {ALICE ",\"token_type\":\"Bearer\",\"typ\":\"DPoP\"", "token_bound"},
        {ALICE ",\"token_type\":\"Bearer\",\"typ\":[\"Bearer\"]", "token_type_refused"},
        {ALICE ",\"token_type\":\"Bearer\",\"typ\":1", "token_type_refused"},
        {ALICE ",\"typ\":\"Refresh\"", "token_type_refused"},
    };
    EXPECT_ROWS(rows);
    issuer.accept_absent_token_type = false;
    static const struct row strict[] = {
        {ALICE, "token_type_absent"},
        {ALICE ",\"typ\":\"Bearer\"", "token_type_absent"},
        {ALICE ",\"token_type\":\"Bearer\"", ALICE_IS},
    };
    EXPECT_ROWS(strict);
}

/* ---- cnf ---- */

Test(identity, a_token_bound_to_a_key_becomes_nobody) {
    static const struct row rows[] = {
        {ALICE ",\"cnf\":null", ALICE_IS},
        {ALICE ",\"cnf\":{\"jkt\":\"x\"}", "token_bound"},
        {ALICE ",\"cnf\":{\"x5t#S256\":\"x\"}", "token_bound"},
        {ALICE ",\"cnf\":{\"whatever\":1}", "token_bound"},
        {ALICE ",\"cnf\":{}", "token_bound"},
        {ALICE ",\"cnf\":[]", "token_bound"},
        {ALICE ",\"cnf\":\"\"", "token_bound"},
        {ALICE ",\"cnf\":false", "token_bound"},
        {ALICE ",\"cnf\":0", "token_bound"},
    };
    EXPECT_ROWS(rows);
}

/* ---- client ---- */

Test(identity, only_tokens_of_the_listed_clients_log_in) {
    issuer.any_client = false;
    issuer.client_ids = LIST(TEXT("kubectl"), TEXT("ci"));
    static const struct row rows[] = {
        {ALICE ",\"client_id\":\"kubectl\"", ALICE_IS},
        {ALICE ",\"client_id\":\"ci\"", ALICE_IS},
        {ALICE ",\"azp\":\"kubectl\"", ALICE_IS},
        {ALICE ",\"client_id\":null,\"azp\":\"kubectl\"", ALICE_IS},
        {ALICE ",\"client_id\":\"kubectl\",\"azp\":\"other\"", ALICE_IS},
        {ALICE ",\"client_id\":\"other\",\"azp\":\"kubectl\"", "client_refused"},
        {ALICE ",\"client_id\":\"\",\"azp\":\"kubectl\"", "client_refused"},
        {ALICE ",\"client_id\":\"Kubectl\"", "client_refused"},
        {ALICE ",\"client_id\":\"kubectl2\"", "client_refused"},
        {ALICE ",\"azp\":\"other\"", "client_refused"},
        {ALICE, "client_refused"},
    };
    EXPECT_ROWS(rows);
    issuer.client_ids = (struct text_list){0};
    static const struct row none[] = {{ALICE ",\"client_id\":\"kubectl\"", "client_refused"}, {ALICE, "client_refused"}};
    EXPECT_ROWS(none);
    issuer.any_client = true;
    static const struct row any[] = {{ALICE ",\"client_id\":\"other\"", ALICE_IS}, {ALICE, ALICE_IS}};
    EXPECT_ROWS(any);
}

/* ---- aud ---- */

Test(identity, the_token_must_be_for_one_of_the_issuers_audiences) {
    issuer.accept_absent_audience = false;
    static const struct row rows[] = {
        {ALICE ",\"aud\":\"kubernetes\"", ALICE_IS},
        {ALICE ",\"aud\":[\"kubernetes\"]", ALICE_IS},
        {ALICE ",\"aud\":[\"account\",\"kubernetes\"]", ALICE_IS},
        {ALICE ",\"aud\":\"account\"", "audience_mismatch"},
        {ALICE ",\"aud\":[\"account\",\"other\"]", "audience_mismatch"},
        {ALICE ",\"aud\":[]", "audience_mismatch"},
        {ALICE ",\"aud\":\"\"", "audience_mismatch"},
        {ALICE ",\"aud\":\"Kubernetes\"", "audience_mismatch"},
        {ALICE ",\"aud\":\"kubernetes \"", "audience_mismatch"},
        {ALICE ",\"aud\":\"kubernetes account\"", "audience_mismatch"},
        {ALICE ",\"aud\":null", "audience_absent"},
        {ALICE, "audience_absent"},
    };
    EXPECT_ROWS(rows);
    issuer.accept_absent_audience = true;
    static const struct row lenient[] = {
        {ALICE, ALICE_IS},
        {ALICE ",\"aud\":null", ALICE_IS},
        {ALICE ",\"aud\":[]", "audience_mismatch"},
        {ALICE ",\"aud\":\"account\"", "audience_mismatch"},
    };
    EXPECT_ROWS(lenient);
}

Test(identity, keeps_the_tokens_audiences_that_are_the_issuers) {
    static const struct {
        const char *aud;
        const char *kept; /* each followed by a space */
    } cases[] = {
        {"\"kubernetes\"", "kubernetes "},
        {"[\"account\",\"rs-basic\",\"kubernetes\"]", "kubernetes rs-basic "},
        {"[\"rs-basic\",\"rs-basic\"]", "rs-basic "},
        {"null", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char reply[512], kept[512] = "";
        snprintf(reply, sizeof(reply), "{\"active\":true," ALICE ",\"aud\":%s}", cases[i].aud);
        struct identity *identity = fixture_identity(text_of(reply), &issuer, NULL);
        struct text audiences[4];
        const size_t n = identity_audiences(identity, audiences, 4);
        for (size_t j = 0; j < n; j++)
            snprintf(kept + strlen(kept), sizeof(kept) - strlen(kept), "%.*s ", (int)audiences[j].n_bytes, audiences[j].data);
        cr_expect_str_eq(kept, cases[i].kept, "%s: %s", cases[i].aud, kept);
        identity_unref(identity);
    }
}

Test(identity, audiences_that_do_not_fit_are_not_written) {
    struct identity *identity =
        fixture_identity(TEXT("{\"active\":true," ALICE ",\"aud\":[\"kubernetes\",\"rs-basic\"]}"), &issuer, NULL);
    struct text audiences[2] = {TEXT("untouched"), TEXT("untouched")};
    cr_expect_eq(identity_audiences(identity, audiences, 1), 1);
    assert_text(audiences[0], TEXT("kubernetes"));
    assert_text(audiences[1], TEXT("untouched"));
    cr_expect_eq(identity_audiences(identity, audiences, 0), 0);
    identity_unref(identity);
}

/* ---- sub ---- */

Test(identity, a_token_without_subject_is_its_clients_only_where_the_admin_says_so) {
    static const struct row refused[] = {
        {"\"client_id\":\"svc\",\"preferred_username\":\"alice\"", "subject_absent"},
        {"\"client_id\":\"svc\",\"sub\":\"\"", "subject_absent"},
        {"\"client_id\":\"svc\",\"sub\":null", "subject_absent"},
    };
    EXPECT_ROWS(refused);
    issuer.absent_subject_is_client_id = true;
    static const struct row taken[] = {
        {"\"client_id\":\"svc\"", "{\"username\":\"corp:svc\",\"uid\":\"svc\"}"},
        {"\"client_id\":\"svc\",\"sub\":\"\"", "{\"username\":\"corp:svc\",\"uid\":\"svc\"}"},
        {"\"client_id\":\"svc\",\"preferred_username\":\"service-account-svc\"",
         "{\"username\":\"corp:service-account-svc\",\"uid\":\"svc\"}"},
        {"\"client_id\":\"svc\",\"preferred_username\":\"\"", "username_absent"},
        {"\"client_id\":\"system:masters\",\"sub\":\"\"", "{\"username\":\"corp:system:masters\",\"uid\":\"system:masters\"}"},
        {"\"client_id\":\"\"", "subject_absent"},
        {"\"azp\":\"svc\"", "subject_absent"},
        {"", "subject_absent"},
        /* with a subject, the client never stands in for it */
        {"\"client_id\":\"svc\",\"sub\":\"u1\"", "username_absent"},
        {"\"client_id\":\"svc\"," ALICE, ALICE_IS},
    };
    EXPECT_ROWS(taken);
    issuer.username_claim = TEXT("sub");
    static const struct row by_subject[] = {
        {"\"client_id\":\"svc\",\"preferred_username\":\"x\"", "{\"username\":\"corp:svc\",\"uid\":\"svc\"}"},
        {"\"client_id\":\"svc\",\"sub\":\"u1\"", "{\"username\":\"corp:u1\",\"uid\":\"u1\"}"},
    };
    EXPECT_ROWS(by_subject);
    issuer.username_prefix = TEXT("");
    static const struct row reserved[] = {{"\"client_id\":\"system:admin\"", "username_reserved"}};
    EXPECT_ROWS(reserved);
}

/* ---- claimValidationRules ---- */

Test(identity, every_claim_rule_must_hold) {
    const struct claim_rule rules[] = {{TEXT("token_use"), TEXT("access")}, {TEXT("verified"), TEXT("true")}};
    issuer.claim_rules = rules;
    issuer.n_claim_rules = 2;
    static const struct row rows[] = {
        {ALICE ",\"token_use\":\"access\",\"verified\":true", ALICE_IS},
        {ALICE ",\"token_use\":\"access\",\"verified\":\"true\"", ALICE_IS},
        {ALICE ",\"token_use\":\"access\",\"verified\":false", "claim_rule"},
        {ALICE ",\"token_use\":\"access\",\"verified\":1", "claim_rule"},
        {ALICE ",\"token_use\":\"access\",\"verified\":[true]", "claim_rule"},
        {ALICE ",\"token_use\":\"access\",\"verified\":{\"true\":true}", "claim_rule"},
        {ALICE ",\"token_use\":\"access\"", "claim_rule"},
        {ALICE ",\"token_use\":\"id\",\"verified\":true", "claim_rule"},
        {ALICE ",\"token_use\":\"Access\",\"verified\":true", "claim_rule"},
        {ALICE ",\"token_use\":\"access \",\"verified\":true", "claim_rule"},
        {ALICE ",\"token_use\":[\"access\"],\"verified\":true", "claim_rule"},
        {ALICE ",\"token_use\":null,\"verified\":true", "claim_rule"},
        {ALICE ",\"verified\":true", "claim_rule"},
    };
    EXPECT_ROWS(rows);
}

Test(identity, a_claim_rule_compares_numbers_as_text_and_nothing_that_is_absent) {
    const struct claim_rule number = {TEXT("level"), TEXT("42")};
    issuer.claim_rules = &number;
    issuer.n_claim_rules = 1;
    static const struct row numbers[] = {
        {ALICE ",\"level\":42", ALICE_IS},       {ALICE ",\"level\":\"42\"", ALICE_IS},
        {ALICE ",\"level\":42.0", "claim_rule"}, {ALICE ",\"level\":43", "claim_rule"},
        {ALICE ",\"level\":-42", "claim_rule"},
    };
    EXPECT_ROWS(numbers);
    const struct claim_rule empty = {TEXT("level"), TEXT("")};
    issuer.claim_rules = &empty;
    static const struct row empties[] = {
        {ALICE ",\"level\":\"\"", ALICE_IS},
        {ALICE, "claim_rule"},
        {ALICE ",\"level\":null", "claim_rule"},
        {ALICE ",\"level\":[]", "claim_rule"},
        {ALICE ",\"level\":{}", "claim_rule"},
        {ALICE ",\"level\":1.5", "claim_rule"},
    };
    EXPECT_ROWS(empties);
}

/* ---- username ---- */

Test(identity, the_username_is_one_string_that_can_stand_in_a_log) {
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

Test(identity, no_prefix_and_value_together_make_a_name_of_kubernetes) {
    static const struct {
        const char *prefix, *value;
        bool is_reserved;
    } cases[] = {
        {"", "system:", true},           {"", "system:masters", true}, {"", "system:serviceaccount:a:b", true},
        {"", "system", false},           {"", "System:masters", false}, {"", " system:masters", false},
        {"sys", "tem:masters", true},    {"system", ":masters", true},  {"system:", "masters", true},
        {"system:node:", "n", true},     {"s", "ystem:x", true},        {"systematic", ":x", false},
        {"corp:", "system:masters", false}, {"sys", "tem", false},
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

static const char *outcome_of_long(const char *before, size_t n, const char *after) {
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

Test(identity, names_are_as_long_as_their_limit_and_no_longer) {
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

Test(identity, a_prefix_that_is_too_long_by_itself_refuses_and_overflows_nothing) {
    static char long_prefix[LIMIT_USERNAME_BYTES + 2];
    memset(long_prefix, 'p', sizeof(long_prefix));
    issuer.username_prefix = (struct text){long_prefix, sizeof(long_prefix)};
    cr_expect_str_eq(outcome(TEXT("{\"active\":true," ALICE "}")), "username_invalid");
    issuer = fixture_issuer();
    issuer.groups_prefix = (struct text){long_prefix, LIMIT_GROUP_BYTES + 1};
    cr_expect_str_eq(outcome(TEXT("{\"active\":true," ALICE ",\"groups\":[\"a\"]}")), "group_invalid");
}

/* ---- groups ---- */

Test(identity, groups_are_taken_whole_or_not_at_all) {
    static const struct row rows[] = {
        {ALICE ",\"groups\":[\"a\",\"b\",\"a\"]", "{\"username\":\"corp:alice\",\"uid\":\"u1\",\"groups\":[\"corp:a\",\"corp:b\"]}"},
        {ALICE ",\"groups\":\"a\"", "{\"username\":\"corp:alice\",\"uid\":\"u1\",\"groups\":[\"corp:a\"]}"},
        {ALICE ",\"groups\":\"a b,c\"", "{\"username\":\"corp:alice\",\"uid\":\"u1\",\"groups\":[\"corp:a b,c\"]}"},
        {ALICE ",\"groups\":[]", ALICE_IS},
        {ALICE ",\"groups\":null", ALICE_IS},
        {ALICE, ALICE_IS},
        {ALICE ",\"groups\":[\"a\",1]", "claim_type_invalid"},
        {ALICE ",\"groups\":[\"a\",null]", "claim_type_invalid"},
        {ALICE ",\"groups\":[[\"a\"]]", "claim_type_invalid"},
        {ALICE ",\"groups\":{\"a\":true}", "claim_type_invalid"},
        {ALICE ",\"groups\":true", "claim_type_invalid"},
        {ALICE ",\"groups\":7", "claim_type_invalid"},
        {ALICE ",\"groups\":[\"a\",\"\"]", "group_invalid"},
        {ALICE ",\"groups\":\"\"", "group_invalid"},
        {ALICE ",\"groups\":[\"a\\u0000\"]", NULL},
        {ALICE ",\"groups\":[\"a\\nb\"]", "group_invalid"},
        {ALICE ",\"groups\":[\"a\\u0085b\"]", "group_invalid"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].expected != NULL) /* a zero byte never gets past the decoder */
            expect_rows(&rows[i], 1);
    }
    issuer.accept_absent_groups = false;
    static const struct row strict[] = {
        {ALICE, "groups_absent"},
        {ALICE ",\"groups\":null", "groups_absent"},
        {ALICE ",\"groups\":[]", ALICE_IS},
    };
    EXPECT_ROWS(strict);
    issuer.groups_claim = TEXT("");
    static const struct row unmapped[] = {
        {ALICE ",\"groups\":[\"a\"]", ALICE_IS},
        {ALICE ",\"groups\":7,\"hasgroups\":true,\"_claim_names\":{\"groups\":\"src1\"}", ALICE_IS},
    };
    EXPECT_ROWS(unmapped);
}

Test(identity, groups_that_the_provider_left_out_are_never_silently_fewer) {
    static const struct row rows[] = {
        {ALICE ",\"_claim_names\":{\"groups\":\"src1\"},\"_claim_sources\":{\"src1\":{\"endpoint\":\"x\"}}", "groups_overage"},
        {ALICE ",\"groups\":[\"a\"],\"_claim_names\":{\"groups\":\"src1\"}", "groups_overage"},
        {ALICE ",\"hasgroups\":true", "groups_overage"},
        {ALICE ",\"groups\":[\"a\"],\"hasgroups\":true", "groups_overage"},
        {ALICE ",\"hasgroups\":false", ALICE_IS},
        {ALICE ",\"_claim_names\":{\"address\":\"src1\"}", ALICE_IS},
        {ALICE ",\"_claim_names\":\"groups\"", ALICE_IS},
    };
    EXPECT_ROWS(rows);
}

static const char *outcome_of_groups(size_t n_groups) {
    struct buffer reply;
    buffer_init(&reply, LIMIT_INTROSPECTION_REPLY_BYTES);
    buffer_append(&reply, TEXT("{\"active\":true," ALICE ",\"groups\":["));
    for (size_t i = 0; i < n_groups; i++)
        buffer_append_format(&reply, "%s\"g%zu\"", i == 0 ? "" : ",", i);
    buffer_append(&reply, TEXT("]}"));
    const char *is = outcome(buffer_text(&reply));
    buffer_deinit(&reply);
    return is;
}

Test(identity, more_groups_than_the_limit_are_an_overage) {
    cr_expect_eq(outcome_of_groups(LIMIT_GROUPS)[0], '{');
    cr_expect_str_eq(outcome_of_groups(LIMIT_GROUPS + 1), "groups_overage");
    /* also where the mapping makes them more */
    const struct group_rule rule = {.group = TEXT("g0"), .to = LIST(TEXT("x"), TEXT("y"))};
    issuer.group_rules = &rule;
    issuer.n_group_rules = 1;
    cr_expect_eq(outcome_of_groups(LIMIT_GROUPS - 1)[0], '{');
    cr_expect_str_eq(outcome_of_groups(LIMIT_GROUPS), "groups_overage");
}

Test(identity, groups_are_mapped_before_the_prefix) {
    const struct group_rule rules[] = {
        {.group = TEXT("platform-admins"), .to = LIST(TEXT("cluster-admins"), TEXT("on-call"))},
        {.group = TEXT("sre"), .to = LIST(TEXT("on-call"))},
        {.group = TEXT("sre"), .to = LIST(TEXT("readers"))},
        {.group = TEXT("nobody"), .to = {.n_items = 0}},
        {.group = TEXT("corp:x"), .to = LIST(TEXT("wrong"))},
        {.group = TEXT("cluster-admins"), .to = LIST(TEXT("wrong"))},
    };
    issuer.group_rules = rules;
    issuer.n_group_rules = sizeof(rules) / sizeof(rules[0]);
#define GROUPS(list) "{\"username\":\"corp:alice\",\"uid\":\"u1\",\"groups\":[" list "]}"
    static const struct row keep[] = {
        {ALICE ",\"groups\":[\"platform-admins\"]", GROUPS("\"corp:cluster-admins\",\"corp:on-call\"")},
        {ALICE ",\"groups\":[\"sre\",\"platform-admins\"]", GROUPS("\"corp:on-call\",\"corp:readers\",\"corp:cluster-admins\"")},
        {ALICE ",\"groups\":[\"x\",\"sre\"]", GROUPS("\"corp:x\",\"corp:on-call\",\"corp:readers\"")},
        {ALICE ",\"groups\":[\"nobody\"]", ALICE_IS},
    };
    EXPECT_ROWS(keep);
    issuer.drop_unmapped_groups = true;
    static const struct row drop[] = {
        {ALICE ",\"groups\":[\"x\",\"sre\"]", GROUPS("\"corp:on-call\",\"corp:readers\"")},
        {ALICE ",\"groups\":[\"x\"]", ALICE_IS},
        /* what is dropped by the admin's word can be neither invalid nor reserved */
        {ALICE ",\"groups\":[\"\",\"system:masters\",\"sre\"]", GROUPS("\"corp:on-call\",\"corp:readers\"")},
    };
    EXPECT_ROWS(drop);
}

Test(identity, the_mapping_cannot_grant_a_group_of_kubernetes) {
    const struct group_rule rule = {.group = TEXT("admins"), .to = LIST(TEXT("system:masters"))};
    issuer.group_rules = &rule;
    issuer.n_group_rules = 1;
    issuer.groups_prefix = TEXT("");
    static const struct row rows[] = {
        {ALICE ",\"groups\":[\"admins\"]", "group_reserved"},
        {ALICE ",\"groups\":[\"a\",\"system:masters\"]", "group_reserved"},
        {ALICE ",\"groups\":\"system:nodes\"", "group_reserved"},
    };
    EXPECT_ROWS(rows);
}

/* ---- uid ---- */

Test(identity, the_uid_is_one_string) {
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

/* ---- extra ---- */

Test(identity, extra_takes_strings_and_scalars) {
    const struct extra_mapping extra[] = {{TEXT("example.com/tenant"), TEXT("tenant")}, {TEXT("example.com/acr"), TEXT("acr")}};
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

Test(identity, extra_has_limits) {
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

Test(identity, a_jti_that_is_nothing_to_show_is_left_out) {
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

Test(identity, user_rules_look_at_the_names_with_their_prefixes) {
    const struct user_rule rules[] = {{USER_RULE_USERNAME_NOT_PREFIX, TEXT("corp:adm")}, {USER_RULE_GROUPS_NOT_PREFIX, TEXT("corp:root")}};
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

/* ---- size ---- */

Test(identity, an_identity_over_the_limit_is_refused_as_a_whole) {
    static char name[60];
    memset(name, 'n', sizeof(name));
    struct extra_mapping extra[LIMIT_EXTRA_KEYS];
    static char keys[LIMIT_EXTRA_KEYS][32];
    for (size_t i = 0; i < LIMIT_EXTRA_KEYS; i++) {
        snprintf(keys[i], sizeof(keys[i]), "example.com/k%zu", i);
        extra[i] = (struct extra_mapping){text_of(keys[i]), TEXT("big")};
    }
    issuer.extra = extra;
    struct buffer reply;
    buffer_init(&reply, LIMIT_INTROSPECTION_REPLY_BYTES);
    buffer_append(&reply, TEXT("{\"active\":true," ALICE ",\"big\":[\"0\""));
    for (size_t i = 1; i < LIMIT_EXTRA_VALUES; i++)
        buffer_append_format(&reply, ",\"%0*zu\"", (int)LIMIT_EXTRA_VALUE_BYTES, i);
    buffer_append(&reply, TEXT("]}"));
    issuer.n_extra = 5;
    cr_expect_eq(outcome(buffer_text(&reply))[0], '{');
    issuer.n_extra = LIMIT_EXTRA_KEYS;
    cr_expect_str_eq(outcome(buffer_text(&reply)), "identity_too_large");
    buffer_deinit(&reply);
}

/* ---- tiers ---- */

Test(identity, the_first_tier_with_one_of_its_groups_gives_the_ttl) {
    const struct group_rule rule = {.group = TEXT("admins"), .to = LIST(TEXT("cluster-admins"))};
    const struct cache_tier tiers[] = {
        {.groups = LIST(TEXT("cluster-admins")), .ttl_ms = 5000},
        {.groups = LIST(TEXT("ops"), TEXT("admins")), .ttl_ms = 9000},
        {.groups = LIST(TEXT("guests")), .ttl_ms = 60000},
        {.groups = LIST(TEXT("sre")), .ttl_ms = 1000},
        {.groups = LIST(TEXT("off")), .ttl_ms = 0},
    };
    issuer.group_rules = &rule;
    issuer.n_group_rules = 1;
    issuer.tiers = tiers;
    issuer.n_tiers = sizeof(tiers) / sizeof(tiers[0]);
    static const struct {
        const char *groups;
        uint32_t ttl_ms;
    } cases[] = {
        {"[\"admins\"]", 5000},        {"[\"ops\"]", 9000},    {"[\"x\",\"sre\",\"ops\"]", 9000}, {"[\"sre\"]", 1000},
        {"[\"guests\"]", 30000},       {"[\"off\"]", 0},       {"[\"x\"]", 30000},                {"[]", 30000},
        {"\"ops\"", 9000},             {"null", 30000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char reply[256];
        snprintf(reply, sizeof(reply), "{\"active\":true," ALICE ",\"groups\":%s}", cases[i].groups);
        struct identity *identity = fixture_identity(text_of(reply), &issuer, NULL);
        cr_expect_eq(identity->ttl_ms, cases[i].ttl_ms, "%s: %u", cases[i].groups, identity->ttl_ms);
        identity_unref(identity);
    }
    /* a name that the mapping replaced still counts, and so does one that was dropped: a shorter ttl harms nobody */
    issuer.drop_unmapped_groups = true;
    issuer.tiers = &tiers[1];
    issuer.n_tiers = 1;
    for (size_t i = 0; i < 2; i++) {
        struct identity *identity = fixture_identity(
            i == 0 ? TEXT("{\"active\":true," ALICE ",\"groups\":[\"admins\"]}") : TEXT("{\"active\":true," ALICE ",\"groups\":[\"ops\"]}"),
            &issuer, NULL);
        cr_expect_eq(identity->ttl_ms, 9000);
        identity_unref(identity);
    }
}

/* ---- what real providers send ---- */

Test(identity, recorded_replies_become_whom_they_should) {
    static const struct {
        const char *file;
        const char *expected;
        bool is_client; /* absentSubject: ClientID */
    } cases[] = {
        {"oidc-provider/introspect.user.json", "audience_absent", false},
        {"oidc-provider/introspect.user-with-resource.json",
         "{\"username\":\"corp:alice\",\"uid\":\"user-2bd806c97f0e00af\",\"groups\":[\"corp:developers\",\"corp:team-a\"]}", false},
        {"oidc-provider/introspect.code-flow.json",
         "{\"username\":\"corp:alice\",\"uid\":\"user-2bd806c97f0e00af\",\"groups\":[\"corp:developers\",\"corp:team-a\"]}", false},
        {"oidc-provider/introspect.exchanged.json", "client_refused", false},
        {"oidc-provider/introspect.after-logout.offline.json",
         "{\"username\":\"corp:bob\",\"uid\":\"user-81b637d8fcd2c6da\",\"groups\":[\"corp:viewers\"]}", false},
        /* active: true, with a user and groups, and no access token */
        {"oidc-provider/introspect.refresh-token.offline.json", "token_type_absent", false},
        {"oidc-provider/introspect.dpop-bound.json", "token_bound", false},
        {"oidc-provider/introspect.certificate-bound.json", "token_bound", false},
        {"keycloak/introspect.app-multi.json", "client_refused", false},
        {"keycloak/introspect.dpop.json", "token_bound", false},
    };
    issuer.accept_absent_audience = false;
    issuer.accept_absent_token_type = false;
    issuer.any_client = false;
    issuer.client_ids = LIST(TEXT("app"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[256];
        snprintf(path, sizeof(path), "test/data/providers/%s", cases[i].file);
        struct secret *reply = fixture_file(path);
        issuer.url = strncmp(cases[i].file, "keycloak", 8) == 0 ? TEXT("http://127.0.0.1:9180/realms/demo") : TEXT(ISSUER_URL);
        cr_expect_str_eq(outcome(secret_text(reply)), cases[i].expected, "%s: %s", path, outcome(secret_text(reply)));
        secret_free(reply);
    }
}

Test(identity, a_recorded_keycloak_reply_has_its_groups_and_its_credential_id) {
    struct secret *reply = fixture_file("test/data/providers/keycloak/introspect.offline.json");
    issuer.url = TEXT("http://127.0.0.1:9180/realms/demo");
    cr_expect_str_eq(outcome(secret_text(reply)),
                     "{\"username\":\"corp:carol\",\"uid\":\"69213a91-0592-405c-8ffa-9c3862eb3610\","
                     "\"groups\":[\"corp:developers\",\"corp:platform-admins\"],\"extra\":"
                     "{\"authentication.kubernetes.io/credential-id\":[\"JTI=ofrtro:509b1239-76f5-fb9b-34ee-86ebb86d3519\"]}}");
    secret_free(reply);
    /* a service's own token has a subject and no groups claim at all */
    issuer.accept_absent_groups = false;
    reply = fixture_file("test/data/providers/keycloak/introspect.svc.json");
    cr_expect_str_eq(outcome(secret_text(reply)), "groups_absent");
    secret_free(reply);
}

Test(identity, a_recorded_client_credentials_token_logs_in_as_its_client_only_where_told) {
    struct secret *reply = fixture_file("test/data/providers/oidc-provider/introspect.client_credentials.json");
    cr_expect_str_eq(outcome(secret_text(reply)), "subject_absent");
    issuer.absent_subject_is_client_id = true;
    cr_expect_str_eq(outcome(secret_text(reply)), "{\"username\":\"corp:svc\",\"uid\":\"svc\"}");
    secret_free(reply);
}

/* ---- order ---- */

/* Each step mends the first thing that is wrong: the reasons come in the order that identity.h promises. */
Test(identity, rules_are_checked_in_their_order) {
    const struct claim_rule rule = {TEXT("token_use"), TEXT("access")};
    const struct extra_mapping extra = {TEXT("example.com/tenant"), TEXT("tenant")};
    const struct user_rule user_rule = {USER_RULE_USERNAME_NOT_PREFIX, TEXT("corp:root")};
    issuer.claim_rules = &rule;
    issuer.n_claim_rules = 1;
    issuer.extra = &extra;
    issuer.n_extra = 1;
    issuer.user_rules = &user_rule;
    issuer.n_user_rules = 1;
    issuer.any_client = false;
    issuer.uid_claim = TEXT("oid");
    issuer.client_ids = LIST(TEXT("app"));
    static const struct row rows[] = {
        {"\"iss\":\"x\",\"token_type\":\"ID\",\"typ\":\"ID\",\"cnf\":{\"jkt\":\"x\"},\"aud\":\"x\",\"groups\":7,\"tenant\":{}",
         "issuer_mismatch"},
        {"\"token_type\":\"ID\",\"typ\":\"DPoP\",\"cnf\":{\"jkt\":\"x\"},\"aud\":\"x\",\"groups\":7,\"tenant\":{}",
         "token_type_refused"},
        {"\"typ\":\"ID\",\"cnf\":{\"jkt\":\"x\"},\"aud\":\"x\",\"groups\":7,\"tenant\":{}", "token_type_refused"},
        {"\"cnf\":{\"jkt\":\"x\"},\"aud\":\"x\",\"groups\":7,\"tenant\":{}", "token_bound"},
        {"\"aud\":\"x\",\"groups\":7,\"tenant\":{}", "client_refused"},
        {"\"client_id\":\"app\",\"aud\":\"x\",\"groups\":7,\"tenant\":{}", "audience_mismatch"},
        {"\"client_id\":\"app\",\"groups\":7,\"tenant\":{}", "subject_absent"},
        {"\"client_id\":\"app\",\"sub\":\"s\",\"groups\":7,\"tenant\":{}", "claim_rule"},
        {"\"client_id\":\"app\",\"sub\":\"s\",\"token_use\":\"access\",\"groups\":7,\"tenant\":{}", "username_absent"},
        {"\"client_id\":\"app\",\"sub\":\"s\",\"token_use\":\"access\",\"preferred_username\":\"root\",\"groups\":7,\"tenant\":{}",
         "claim_type_invalid"},
        {"\"client_id\":\"app\",\"sub\":\"s\",\"token_use\":\"access\",\"preferred_username\":\"root\",\"tenant\":{}",
         "uid_invalid"},
        {"\"client_id\":\"app\",\"sub\":\"s\",\"token_use\":\"access\",\"preferred_username\":\"root\",\"oid\":\"o\",\"tenant\":{}",
         "claim_type_invalid"},
        {"\"client_id\":\"app\",\"sub\":\"s\",\"token_use\":\"access\",\"preferred_username\":\"root\",\"oid\":\"o\"", "user_rule"},
        {"\"client_id\":\"app\",\"sub\":\"s\",\"token_use\":\"access\",\"preferred_username\":\"bob\",\"oid\":\"o\"",
         "{\"username\":\"corp:bob\",\"uid\":\"o\"}"},
    };
    EXPECT_ROWS(rows);
}

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

Test(identity, an_explanation_names_each_rule_and_what_was_seen) {
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
    identity_unref(fixture_identity(
        TEXT("{\"active\":true,\"iss\":\"" ISSUER_URL "\",\"token_type\":\"Bearer\",\"typ\":\"Bearer\",\"client_id\":\"app\","
             "\"aud\":\"kubernetes\"," ALICE ",\"token_use\":\"access\",\"groups\":[\"a\",\"rooted\"],\"tenant\":\"t1\"}"),
        &issuer, &recorded.explanation));
    cr_expect_str_eq(recorded.lines, "+ issuer.url: iss \"https://localhost:9443\"\n"
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

Test(identity, every_refusal_has_a_line_that_failed_and_it_is_the_last) {
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
        cr_expect_null(strchr(strchr(failed + 1, '\n') + 1, '\n') == NULL ? NULL : strstr(failed + 1, "\n+"), "%s:\n%s", reply,
                       recorded.lines);
        identity_unref(identity);
    }
}

Test(identity, an_explanation_has_no_control_character_and_is_cut) {
    struct recorded recorded = {.explanation.line = record};
    struct buffer reply;
    buffer_init(&reply, LIMIT_INTROSPECTION_REPLY_BYTES);
    buffer_append(&reply, TEXT("{\"active\":true,\"sub\":\"u\",\"preferred_username\":\"\\u001b[31m\\u009b\\nroot"));
    for (size_t i = 0; i < 5000; i++)
        buffer_append_char(&reply, 'x');
    buffer_append(&reply, TEXT("\"}"));
    identity_unref(fixture_identity(buffer_text(&reply), &issuer, &recorded.explanation));
    cr_expect_not_null(strstr(recorded.lines, "- claimMappings.username: \"corp:?[31m????rootxx") != NULL
                           ? recorded.lines
                           : strstr(recorded.lines, "- claimMappings.username: \"corp:?[31m???rootxx"),
                       "%s", recorded.lines);
    cr_expect_lt(strlen(recorded.lines), 1500);
    buffer_deinit(&reply);
}

Test(identity, an_explanation_has_no_part_of_the_token) {
    struct recorded recorded = {.explanation.line = record};
    identity_unref(fixture_identity(TEXT("{\"active\":true," ALICE "}"), &issuer, &recorded.explanation));
    cr_expect_null(strstr(recorded.lines, "KISentinel"));
}

/* ---- failures ---- */

Test(identity, every_failed_allocation_is_survived) {
    const struct policy policy = {.generation = 1, .issuers = &issuer, .n_issuers = 1};
    const struct extra_mapping extra = {TEXT("example.com/tenant"), TEXT("tenant")};
    issuer.extra = &extra;
    issuer.n_extra = 1;
    struct fact *fact = fixture_fact(TEXT("{\"active\":true," ALICE ",\"groups\":[\"a\"],\"tenant\":\"t\",\"aud\":\"kubernetes\"}"));
    int r = -1;
    size_t n_failures = 0;
    for (size_t n = 1; r != 0; n++) {
        struct identity *identity = NULL;
        memory_fail_at(n);
        r = identity_new(fact, &policy, &issuer, NULL, &identity);
        memory_fail_at(0);
        n_failures += r != 0;
        cr_expect(r == 0 || r == -ENOMEM, "%d", r);
        cr_expect_eq(identity == NULL, r != 0);
        if (r == 0)
            cr_expect_eq(identity->reason, REASON_OK, "no rule may be skipped for want of memory");
        identity_unref(identity);
    }
    cr_expect_geq(n_failures, 5);
    fact_unref(fact);
}

Test(identity, nothing_is_fine_to_release) {
    identity_unref(NULL);
}
