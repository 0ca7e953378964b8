#include "core/rules.h"

#include "unit/core/rows.h"

TestSuite(rules, .init = set_up);

/* ---- iss ---- */

Test(rules, iss_must_be_the_issuer_where_it_is_there) {
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

Test(rules, only_access_tokens_become_somebody) {
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

Test(rules, a_token_bound_to_a_key_becomes_nobody) {
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

Test(rules, only_tokens_of_the_listed_clients_log_in) {
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

Test(rules, the_token_must_be_for_one_of_the_issuers_audiences) {
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

/* ---- sub ---- */

Test(rules, a_token_without_subject_is_its_clients_only_where_the_admin_says_so) {
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
        {"\"client_id\":\"system:masters\",\"sub\":\"\"",
         "{\"username\":\"corp:system:masters\",\"uid\":\"system:masters\"}"},
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

Test(rules, every_claim_rule_must_hold) {
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

Test(rules, a_claim_rule_compares_numbers_as_text_and_nothing_that_is_absent) {
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
        {ALICE ",\"level\":\"\"", ALICE_IS},     {ALICE, "claim_rule"},
        {ALICE ",\"level\":null", "claim_rule"}, {ALICE ",\"level\":[]", "claim_rule"},
        {ALICE ",\"level\":{}", "claim_rule"},   {ALICE ",\"level\":1.5", "claim_rule"},
    };
    EXPECT_ROWS(empties);
}
