#include "core/audience.h"

#include "unit/core/road.h"

TestSuite(audience, .init = set_up, .fini = tear_down);

/* ---- how much is looked at ---- */

static struct text many[LIMIT_CONFIG_LIST];
static char names[LIMIT_CONFIG_LIST][16];

/* A token for all of an issuer's audiences, as many as a configuration can have. */
static struct identity *make_large_identity(void) {
    struct buffer reply;
    buffer_init(&reply, LIMIT_INTROSPECTION_REPLY_BYTES);
    buffer_append(&reply, TEXT("{\"active\":true,\"sub\":\"u1\",\"preferred_username\":\"alice\",\"aud\":["));
    for (size_t i = 0; i < LIMIT_CONFIG_LIST; i++) {
        snprintf(names[i], sizeof(names[i]), "a%zu", i);
        many[i] = text_of(names[i]);
        buffer_append_format(&reply, "%s\"%s\"", i == 0 ? "" : ",", names[i]);
    }
    buffer_append(&reply, TEXT("]}"));
    issuer.audiences = (struct text_list){.items = many, .n_items = LIMIT_CONFIG_LIST};
    struct identity *identity = fixture_identity(buffer_text(&reply), &issuer, NULL);
    buffer_deinit(&reply);
    return identity;
}

Test(audience, the_last_of_very_many_is_found) {
    struct identity *identity = make_large_identity();
    cr_assert_eq(identity->n_audiences, LIMIT_CONFIG_LIST);
    const struct text asked[] = {TEXT("a1023"), TEXT("b"), TEXT("a0"), TEXT("a1024"), TEXT("a1023"), TEXT("")};
    struct text granted[6];
    cr_assert_eq(audience_grant(&policy, identity, asked, 6, granted), 2);
    assert_text(granted[0], TEXT("a1023"));
    assert_text(granted[1], TEXT("a0"));
    identity_unref(identity);
}

Test(audience, a_refused_identity_counts_for_none_of_its_own) {
    struct identity *identity =
        fixture_identity(TEXT("{\"active\":true,\"sub\":\"u1\",\"aud\":\"kubernetes\"}"), &issuer, NULL);
    cr_assert_eq(identity->reason, REASON_USERNAME_ABSENT);
    const struct text asked = TEXT("kubernetes");
    struct text granted;
    cr_expect_eq(audience_grant(&policy, identity, &asked, 1, &granted), 0);
    identity_unref(identity);
}

/* ---- what is answered ---- */

#define MAX_ASKED 4

struct audience_case {
    const char *aud;              /* the token's, as JSON; NULL: none */
    const char *asked[MAX_ASKED]; /* the review's, up to NULL */
    const char *answer;           /* status.audiences, each followed by a space; NULL: left out */
    enum reason reason;
};

static void expect_audiences(const struct audience_case *c) {
    char reply[512], is[512] = "";
    struct text asked[MAX_ASKED];
    size_t n_asked = 0;
    for (; n_asked < MAX_ASKED && c->asked[n_asked] != NULL; n_asked++)
        asked[n_asked] = text_of(c->asked[n_asked]);
    snprintf(reply, sizeof(reply), "{\"active\":true," ALICE "%s%s}",
             c->aud == NULL ? "" : ",\"aud\":", c->aud == NULL ? "" : c->aud);
    struct decision decision;
    with.now_mono_ms += 1000000;
    cr_assert_eq(begin_asked(asked, n_asked, &decision), DECIDE_ASK);
    struct fact *fact = answer(&decision, reply);
    decide_fact(&with, fact, asked, n_asked, &decision);
    decision_deinit(&decision);
    fact_unref(fact);
    /* and from the cache */
    cr_assert_eq(begin_asked(asked, n_asked, &decision), DECIDE_DONE);
    cr_expect_eq(decision.reason, c->reason, "%s: %s", reply, reason_word(decision.reason));
    for (size_t i = 0; i < decision.n_audiences; i++)
        snprintf(is + strlen(is), sizeof(is) - strlen(is), "%.*s ", (int)decision.audiences[i].n_bytes,
                 decision.audiences[i].data);
    cr_expect_eq(decision.has_audiences, c->answer != NULL, "%s", reply);
    cr_expect_str_eq(is, c->answer == NULL ? "" : c->answer, "%s: %s", reply, is);
    decision_deinit(&decision);
}
#define EXPECT_AUDIENCES(cases)                                                                                            \
    for (size_t i_ = 0; i_ < sizeof(cases) / sizeof(cases[0]); i_++)                                                       \
        expect_audiences(&cases[i_]);

#define API "https://kubernetes.default.svc"

Test(audience, without_the_api_servers_audiences_only_the_tokens_own_are_answered) {
    static const struct audience_case cases[] = {
        {"\"kubernetes\"", {NULL}, NULL, REASON_OK},
        {"\"kubernetes\"", {API}, NULL, REASON_OK},
        {"\"kubernetes\"", {"kubernetes"}, "kubernetes ", REASON_OK},
        {"\"kubernetes\"", {API, "kubernetes"}, "kubernetes ", REASON_OK},
        {"[\"kubernetes\",\"rs-basic\"]", {"rs-basic", API, "kubernetes"}, "rs-basic kubernetes ", REASON_OK},
        {"\"kubernetes\"", {"kubernetes", "kubernetes", "kubernetes"}, "kubernetes ", REASON_OK},
        /* an audience of the token's that is not the issuer's means nothing to Kubernetes */
        {"[\"account\",\"kubernetes\"]", {"account"}, NULL, REASON_OK},
        {"[\"account\",\"kubernetes\"]", {"account", "kubernetes"}, "kubernetes ", REASON_OK},
        /* an audience of the issuer's that is not the token's neither */
        {"\"kubernetes\"", {"rs-basic"}, NULL, REASON_OK},
        {NULL, {API}, NULL, REASON_OK},
        {NULL, {"kubernetes"}, NULL, REASON_OK},
        {"\"kubernetes\"", {""}, NULL, REASON_OK},
        {"\"kubernetes\"", {"kubernete"}, NULL, REASON_OK},
        {"\"kubernetes\"", {"kubernetes/"}, NULL, REASON_OK},
        {"\"account\"", {"account"}, NULL, REASON_AUDIENCE_MISMATCH},
    };
    EXPECT_AUDIENCES(cases);
}

Test(audience, with_the_api_servers_audiences_a_token_counts_for_all_of_those) {
    policy.api_audiences = LIST(TEXT(API), TEXT("k3s"));
    static const struct audience_case cases[] = {
        {"\"kubernetes\"", {NULL}, NULL, REASON_OK},
        {"\"kubernetes\"", {API}, API " ", REASON_OK},
        {"\"kubernetes\"", {API, "k3s"}, API " k3s ", REASON_OK},
        {"\"kubernetes\"", {"k3s", API, "k3s"}, "k3s " API " ", REASON_OK},
        {"\"kubernetes\"", {API, "vault"}, API " ", REASON_OK},
        {"\"kubernetes\"", {"kubernetes"}, "kubernetes ", REASON_OK},
        {NULL, {API}, API " ", REASON_OK},
        {"\"kubernetes\"", {"vault"}, NULL, REASON_AUDIENCE_NOT_ASKED},
        {"\"kubernetes\"", {"rs-basic"}, NULL, REASON_AUDIENCE_NOT_ASKED},
        {"[\"account\",\"kubernetes\"]", {"account"}, NULL, REASON_AUDIENCE_NOT_ASKED},
        {NULL, {"vault"}, NULL, REASON_AUDIENCE_NOT_ASKED},
        {NULL, {""}, NULL, REASON_AUDIENCE_NOT_ASKED},
        /* a token that is refused counts for nothing */
        {"\"account\"", {API}, NULL, REASON_AUDIENCE_MISMATCH},
    };
    EXPECT_AUDIENCES(cases);
}

Test(audience, audiences_are_judged_on_every_hit) {
    policy.api_audiences = LIST(TEXT(API));
    learn("{\"active\":true," ALICE "}");
    const struct text api = TEXT(API), vault = TEXT("vault");
    for (size_t i = 0; i < 2; i++) {
        struct decision decision;
        cr_assert_eq(begin_asked(&api, 1, &decision), DECIDE_DONE);
        cr_expect_eq(decision.reason, REASON_OK);
        cr_expect_eq(decision.n_audiences, 1);
        decision_deinit(&decision);
        cr_assert_eq(begin_asked(&vault, 1, &decision), DECIDE_DONE);
        expect_refused(&decision, REASON_AUDIENCE_NOT_ASKED);
        decision_deinit(&decision);
    }
}

Test(audience, as_many_audiences_as_a_review_may_ask_for_fit) {
    struct text asked[LIMIT_REVIEW_AUDIENCES + 8];
    static char asked_names[LIMIT_REVIEW_AUDIENCES + 8][16];
    for (size_t i = 0; i < LIMIT_REVIEW_AUDIENCES + 8; i++) {
        snprintf(asked_names[i], sizeof(asked_names[i]), "a%zu", i);
        asked[i] = text_of(asked_names[i]);
    }
    policy.api_audiences = (struct text_list){asked, LIMIT_REVIEW_AUDIENCES + 8};
    learn("{\"active\":true," ALICE "}");
    struct decision decision;
    cr_assert_eq(begin_asked(asked, LIMIT_REVIEW_AUDIENCES, &decision), DECIDE_DONE);
    cr_expect_eq(decision.n_audiences, LIMIT_REVIEW_AUDIENCES);
    decision_deinit(&decision);
    cr_assert_eq(begin_asked(asked, LIMIT_REVIEW_AUDIENCES + 8, &decision), DECIDE_DONE);
    cr_expect_eq(decision.n_audiences, LIMIT_REVIEW_AUDIENCES, "more never overflow");
    decision_deinit(&decision);
}
