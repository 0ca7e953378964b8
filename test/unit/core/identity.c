#include "core/identity.h"

#include "unit/core/rows.h"

TestSuite(identity, .init = set_up);

/* ---- the whole ---- */

Test(identity, is_the_user_in_compact_json) {
    static const struct row rows[] = {
        {ALICE, ALICE_IS},
        {ALICE ",\"groups\":[\"a\",\"b\"]",
         "{\"username\":\"corp:alice\",\"uid\":\"u1\",\"groups\":[\"corp:a\",\"corp:b\"]}"},
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
    struct fact *fact =
        fixture_fact(TEXT("{\"active\":true,\"exp\":1,\"nbf\":253402300799,\"iat\":253402300799," ALICE "}"));
    struct identity *identity;
    cr_assert_eq(identity_new(fact, &policy, 0, NULL, &identity), 0);
    cr_expect_eq(identity->generation, 7);
    cr_expect_eq(identity->ttl_ms, 30000);
    cr_expect_eq(identity->reason, REASON_OK, "times are judged on every hit, and not here");
    identity_unref(identity);
    fact_unref(fact);
}

/* ---- audiences ---- */

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
            snprintf(kept + strlen(kept), sizeof(kept) - strlen(kept), "%.*s ", (int)audiences[j].n_bytes,
                     audiences[j].data);
        cr_expect_str_eq(kept, cases[i].kept, "%s: %s", cases[i].aud, kept);
        identity_unref(identity);
    }
}

Test(identity, an_audience_that_the_issuer_has_twice_is_kept_once) {
    issuer.audiences = LIST(TEXT("kubernetes"), TEXT(""), TEXT("kubernetes"));
    struct identity *identity =
        fixture_identity(TEXT("{\"active\":true," ALICE ",\"aud\":[\"kubernetes\",\"\"]}"), &issuer, NULL);
    cr_expect_eq(identity->n_audiences, 1);
    identity_unref(identity);
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

/* ---- what real providers send ---- */

Test(identity, recorded_replies_become_whom_they_should) {
    static const struct {
        const char *file;
        const char *expected;
        bool is_client; /* absentSubject: ClientID */
    } cases[] = {
        {"oidc-provider/introspect.user.json", "audience_absent", false},
        {"oidc-provider/introspect.user-with-resource.json",
         "{\"username\":\"corp:alice\",\"uid\":\"user-2bd806c97f0e00af\",\"groups\":[\"corp:developers\",\"corp:team-a\"]}",
         false},
        {"oidc-provider/introspect.code-flow.json",
         "{\"username\":\"corp:alice\",\"uid\":\"user-2bd806c97f0e00af\",\"groups\":[\"corp:developers\",\"corp:team-a\"]}",
         false},
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
        issuer.url =
            strncmp(cases[i].file, "keycloak", 8) == 0 ? TEXT("http://127.0.0.1:9180/realms/demo") : TEXT(ISSUER_URL);
        cr_expect_str_eq(outcome(secret_text(reply)), cases[i].expected, "%s: %s", path, outcome(secret_text(reply)));
        secret_free(reply);
    }
}

Test(identity, a_recorded_keycloak_reply_has_its_groups_and_its_credential_id) {
    struct secret *reply = fixture_file("test/data/providers/keycloak/introspect.offline.json");
    issuer.url = TEXT("http://127.0.0.1:9180/realms/demo");
    cr_expect_str_eq(
        outcome(secret_text(reply)),
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
        {"\"client_id\":\"app\",\"sub\":\"s\",\"token_use\":\"access\",\"preferred_username\":\"root\",\"oid\":\"o\"",
         "user_rule"},
        {"\"client_id\":\"app\",\"sub\":\"s\",\"token_use\":\"access\",\"preferred_username\":\"bob\",\"oid\":\"o\"",
         "{\"username\":\"corp:bob\",\"uid\":\"o\"}"},
    };
    EXPECT_ROWS(rows);
}

/* ---- failures ---- */

Test(identity, every_failed_allocation_is_survived) {
    const struct policy policy = {.generation = 1, .issuers = &issuer, .n_issuers = 1};
    const struct extra_mapping extra = {TEXT("example.com/tenant"), TEXT("tenant")};
    issuer.extra = &extra;
    issuer.n_extra = 1;
    struct fact *fact =
        fixture_fact(TEXT("{\"active\":true," ALICE ",\"groups\":[\"a\"],\"tenant\":\"t\",\"aud\":\"kubernetes\"}"));
    int r = -1;
    size_t n_failures = 0;
    for (size_t n = 1; r != 0; n++) {
        struct identity *identity = NULL;
        memory_fail_at(n);
        r = identity_new(fact, &policy, 0, NULL, &identity);
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

/* ---- names ---- */

Test(identity, gives_its_names_without_escapes) {
    static const struct {
        const char *reply, *username, *uid;
    } rows[] = {
        {"{\"active\":true," ALICE "}", "corp:alice", "u1"},
        {"{\"active\":true,\"sub\":\"a\\\\\\\"b\",\"preferred_username\":\"\\\"al\\\\ice\\u00e4\"}", "corp:\"al\\ice\u00e4",
         "a\\\"b"},
        {"{\"active\":true,\"sub\":\"u1\",\"preferred_username\":\"\\\",\\\"uid\\\":\\\"u2\"}", "corp:\",\"uid\":\"u2",
         "u1"},
        {"{\"active\":true,\"sub\":\"u1\"}", "", ""}, /* a refusal */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct identity *identity = fixture_identity(text_of(rows[i].reply), &issuer, NULL);
        struct identity_names names;
        identity_names(identity, &names);
        assert_text(names.username, text_of(rows[i].username));
        assert_text(names.uid, text_of(rows[i].uid));
        identity_unref(identity);
    }
}

Test(identity, without_a_uid_gives_an_empty_one) {
    issuer.uid_claim = TEXT("");
    struct identity *identity = fixture_identity(TEXT("{\"active\":true," ALICE "}"), &issuer, NULL);
    struct identity_names names;
    identity_names(identity, &names);
    assert_text(names.username, TEXT("corp:alice"));
    assert_text(names.uid, TEXT(""));
    identity_unref(identity);
}

Test(identity, gives_the_longest_names_that_it_takes) {
    char reply[8000], username[LIMIT_USERNAME_BYTES + 1], escaped[2 * LIMIT_USERNAME_BYTES + 1], uid[LIMIT_UID_BYTES + 1];
    const size_t n = LIMIT_USERNAME_BYTES - strlen("corp:");
    memcpy(username, "corp:", 5);
    memset(username + 5, '"', n);
    username[5 + n] = '\0';
    for (size_t i = 0; i < n; i++)
        memcpy(escaped + 2 * i, "\\\"", 2);
    escaped[2 * n] = '\0';
    memset(uid, '"', LIMIT_UID_BYTES);
    uid[LIMIT_UID_BYTES] = '\0';
    char escaped_uid[2 * LIMIT_UID_BYTES + 1];
    for (size_t i = 0; i < LIMIT_UID_BYTES; i++)
        memcpy(escaped_uid + 2 * i, "\\\"", 2);
    escaped_uid[2 * LIMIT_UID_BYTES] = '\0';
    snprintf(reply, sizeof(reply), "{\"active\":true,\"sub\":\"%s\",\"preferred_username\":\"%s\"}", escaped_uid, escaped);
    struct identity *identity = fixture_identity(text_of(reply), &issuer, NULL);
    struct identity_names names;
    identity_names(identity, &names);
    assert_text(names.username, text_of(username));
    assert_text(names.uid, text_of(uid));
    identity_unref(identity);
}
