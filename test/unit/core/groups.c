#include "core/groups.h"

#include "unit/core/rows.h"

TestSuite(groups, .init = set_up);

/* ---- groups ---- */

Test(groups, groups_are_taken_whole_or_not_at_all) {
    static const struct row rows[] = {
        {ALICE ",\"groups\":[\"a\",\"b\",\"a\"]",
         "{\"username\":\"corp:alice\",\"uid\":\"u1\",\"groups\":[\"corp:a\",\"corp:b\"]}"},
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
        {ALICE ",\"groups\":[\"a\\nb\"]", "group_invalid"},
        {ALICE ",\"groups\":[\"a\\u0085b\"]", "group_invalid"},
    };
    EXPECT_ROWS(rows);
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

Test(groups, groups_that_the_provider_left_out_are_never_silently_fewer) {
    static const struct row rows[] = {
        {ALICE ",\"_claim_names\":{\"groups\":\"src1\"},\"_claim_sources\":{\"src1\":{\"endpoint\":\"x\"}}",
         "groups_overage"},
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

Test(groups, more_groups_than_the_limit_are_an_overage) {
    cr_expect_eq(outcome_of_groups(LIMIT_GROUPS)[0], '{');
    cr_expect_str_eq(outcome_of_groups(LIMIT_GROUPS + 1), "groups_overage");
    /* also where the mapping makes them more */
    const struct group_rule rule = {.group = TEXT("g0"), .to = LIST(TEXT("x"), TEXT("y"))};
    issuer.group_rules = &rule;
    issuer.n_group_rules = 1;
    cr_expect_eq(outcome_of_groups(LIMIT_GROUPS - 1)[0], '{');
    cr_expect_str_eq(outcome_of_groups(LIMIT_GROUPS), "groups_overage");
}

Test(groups, groups_are_mapped_before_the_prefix) {
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
        {ALICE ",\"groups\":[\"sre\",\"platform-admins\"]",
         GROUPS("\"corp:on-call\",\"corp:readers\",\"corp:cluster-admins\"")},
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

Test(groups, the_mapping_cannot_grant_a_group_of_kubernetes) {
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

/* ---- tiers ---- */

Test(groups, the_first_tier_with_one_of_its_groups_gives_the_ttl) {
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
        {"[\"admins\"]", 5000}, {"[\"ops\"]", 9000},     {"[\"x\",\"sre\",\"ops\"]", 9000},
        {"[\"sre\"]", 1000},    {"[\"guests\"]", 30000}, {"[\"off\"]", 0},
        {"[\"x\"]", 30000},     {"[]", 30000},           {"\"ops\"", 9000},
        {"null", 30000},
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
        struct identity *identity = fixture_identity(i == 0 ? TEXT("{\"active\":true," ALICE ",\"groups\":[\"admins\"]}")
                                                            : TEXT("{\"active\":true," ALICE ",\"groups\":[\"ops\"]}"),
                                                     &issuer, NULL);
        cr_expect_eq(identity->ttl_ms, 9000);
        identity_unref(identity);
    }
}

/* ---- which groups there can be ---- */

static struct text of_admins[] = {TEXT("cluster-admins"), TEXT("on-call")};
static struct text of_sre[] = {TEXT("on-call"), TEXT("sre")};
static const struct group_rule origin_rules[] = {
    {.group = TEXT("platform-admins"), .to = {.items = of_admins, .n_items = 2}},
    {.group = TEXT("sre"), .to = {.items = of_sre, .n_items = 2}},
    {.group = TEXT("nobody"), .to = {.n_items = 0}},
};

static void use_origin_rules(void) {
    issuer.group_rules = origin_rules;
    issuer.n_group_rules = sizeof(origin_rules) / sizeof(origin_rules[0]);
}

Test(groups, a_group_comes_of_a_rule_or_of_the_provider_or_from_nowhere) {
    static const struct {
        const char *group;
        enum group_origin kept, dropped;
    } cases[] = {
        {"corp:cluster-admins", GROUP_RULED, GROUP_RULED},
        {"corp:on-call", GROUP_RULED, GROUP_RULED},
        {"corp:sre", GROUP_RULED, GROUP_RULED},
        /* has a rule, and so another name */
        {"corp:platform-admins", GROUP_NEVER, GROUP_NEVER},
        {"corp:nobody", GROUP_NEVER, GROUP_NEVER},
        {"corp:x", GROUP_KEPT, GROUP_NEVER},
        {"corp:corp:x", GROUP_KEPT, GROUP_NEVER},
        /* what no user can have */
        {"corp:", GROUP_NEVER, GROUP_NEVER},
        {"corp:a\nb", GROUP_NEVER, GROUP_NEVER},
        {"cluster-admins", GROUP_NEVER, GROUP_NEVER},
        {"corp", GROUP_NEVER, GROUP_NEVER},
        {"other:on-call", GROUP_NEVER, GROUP_NEVER},
        {"system:masters", GROUP_NEVER, GROUP_NEVER},
        {"", GROUP_NEVER, GROUP_NEVER},
    };
    use_origin_rules();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        issuer.drop_unmapped_groups = false;
        cr_expect_eq(groups_origin(&issuer, text_of(cases[i].group)), cases[i].kept, "%s", cases[i].group);
        issuer.drop_unmapped_groups = true;
        cr_expect_eq(groups_origin(&issuer, text_of(cases[i].group)), cases[i].dropped, "%s", cases[i].group);
    }
}

Test(groups, groups_longer_than_a_user_may_have_come_from_nowhere) {
    char name[LIMIT_GROUP_BYTES + 1];
    memset(name, 'x', sizeof(name));
    memcpy(name, "corp:", 5);
    cr_expect_eq(groups_origin(&issuer, (struct text){.data = name, .n_bytes = LIMIT_GROUP_BYTES}), GROUP_KEPT);
    cr_expect_eq(groups_origin(&issuer, (struct text){.data = name, .n_bytes = LIMIT_GROUP_BYTES + 1}), GROUP_NEVER);
}

/* What groups_origin() foretells is what logins lead to, for each of these and whichever way the issuer is set. */
Test(groups, the_origin_of_a_group_agrees_with_the_logins) {
    static const char *const names[] = {"platform-admins", "cluster-admins", "on-call", "sre",    "nobody", "x",
                                        "system:masters",  "masters",        "em:x",    "corp:x", "admins", "syst"};
    static const char *const prefixes[] = {"corp:", "", "syst", "corp:a"};
    static const struct user_rule user_rules[] = {{.kind = USER_RULE_GROUPS_NOT_PREFIX, .value = TEXT("corp:on-")},
                                                  {.kind = USER_RULE_USERNAME_NOT_PREFIX, .value = TEXT("corp:x")}};
    const size_t n_names = sizeof(names) / sizeof(names[0]);
    size_t n_reached = 0;
    use_origin_rules();
    for (size_t setting = 0; setting < 4 * 2 * 3; setting++) {
        issuer.groups_prefix = text_of(prefixes[setting % 4]);
        issuer.drop_unmapped_groups = setting / 4 % 2 == 1;
        issuer.user_rules = user_rules;
        issuer.n_user_rules = setting / 8 == 0 ? 0 : 2;
        issuer.groups_claim = setting / 8 == 2 ? TEXT("") : TEXT("groups");
        for (size_t i = 0; i < n_names; i++) {
            char group[64], quoted[80];
            snprintf(group, sizeof(group), "%s%s", prefixes[setting % 4], names[i]);
            snprintf(quoted, sizeof(quoted), "\"%s\"", group);
            bool is_reached = false;
            for (size_t j = 0; j < n_names && !is_reached; j++) {
                char reply[256];
                snprintf(reply, sizeof(reply), "{\"active\":true," ALICE ",\"groups\":[\"%s\"]}", names[j]);
                is_reached = strstr(outcome(text_of(reply)), quoted) != NULL;
            }
            const bool is_foretold = groups_origin(&issuer, text_of(group)) != GROUP_NEVER;
            cr_expect_eq(is_foretold, is_reached, "%s, setting %zu: foretold %d", group, setting, is_foretold);
            n_reached += is_reached;
        }
    }
    cr_expect_gt(n_reached, 40);
}

Test(groups, the_surest_origin_of_all_issuers_counts) {
    struct issuer_policy issuers[2] = {fixture_issuer(), fixture_issuer()};
    issuers[0].drop_unmapped_groups = true;
    issuers[1].groups_prefix = TEXT("corp:b:");
    issuers[1].group_rules = origin_rules;
    issuers[1].n_group_rules = 1;
    const struct policy policy = {.issuers = issuers, .n_issuers = 2};
    cr_expect_eq(groups_origin_in(&policy, TEXT("corp:x")), GROUP_NEVER);
    cr_expect_eq(groups_origin_in(&policy, TEXT("corp:b:x")), GROUP_KEPT);
    cr_expect_eq(groups_origin_in(&policy, TEXT("corp:b:on-call")), GROUP_RULED);
    cr_expect(groups_within_reach(&policy, TEXT("corp:x")));
    cr_expect_not(groups_within_reach(&policy, TEXT("other:x")));
    cr_expect_not(groups_within_reach(&policy, TEXT("system:masters")));
    issuers[1].groups_prefix = TEXT("");
    cr_expect(groups_within_reach(&policy, TEXT("other:x")));
    cr_expect_not(groups_within_reach(&policy, TEXT("system:masters")));
    issuers[1].groups_claim = TEXT(""); /* an issuer without groups has no prefix of them either */
    cr_expect_not(groups_within_reach(&policy, TEXT("other:x")));
}
