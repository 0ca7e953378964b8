#include "ops/config_bind.h"

#include "config_fixture.h"

/* ---- reading (what is refused: test/data/configurations/bad/bind-*.yaml) ---- */

#define USERNAME "username: {claim: sub, prefix: \"idp:\"}"
#define MAPPING(unmapped, rules)                                                                                           \
    USERNAME "\n    groups: {claim: groups, prefix: \"\"}\n  groupMapping:\n    unmapped: " unmapped "\n    rules:\n" rules

static struct config *parse(const char *mapping) {
    struct config *config;
    struct error error;
    cr_assert_eq(parse_with(USERNAME, mapping, &config, &error), 0, "%s", error.text);
    return config;
}

Test(config_bind, roles_arrive_as_they_are_written) {
    struct config *config = parse(MAPPING("Drop", "    - group: a\n"
                                                  "      to: [b]\n"
                                                  "      bind:\n"
                                                  "      - clusterRole: view\n"
                                                  "      - {clusterRole: edit, namespace: team-a}\n"
                                                  "      - {role: \"system:Odd role\", namespace: team-b}\n"
                                                  "    - {group: c, to: [d]}\n"));
    const struct group_rule *rules = config->policy.issuers[0].group_rules;
    cr_assert_eq(config->policy.issuers[0].n_group_rules, 2);
    cr_assert_eq(rules[0].n_bind, 3);
    expect_text(rules[0].bind[0].cluster_role, "view");
    expect_text(rules[0].bind[0].role, "");
    expect_text(rules[0].bind[0].namespace_name, "");
    expect_text(rules[0].bind[1].cluster_role, "edit");
    expect_text(rules[0].bind[1].namespace_name, "team-a");
    expect_text(rules[0].bind[2].cluster_role, "");
    expect_text(rules[0].bind[2].role, "system:Odd role");
    expect_text(rules[0].bind[2].namespace_name, "team-b");
    cr_expect_eq(rules[1].n_bind, 0);
    config_free(config);
}

/* ---- warnings ---- */

static size_t n_warnings(const struct config *config, const char *words) {
    size_t n = 0;
    for (size_t i = 0; i < config->n_warnings; i++)
        n += strstr(config->warnings[i], words) != NULL;
    return n;
}

#define KEPT "unmapped is Keep, so a group"
#define ADMIN "this role may do everything"

Test(config_bind, roles_that_more_people_get_than_it_seems_are_warned_of) {
    static const struct {
        const char *mapping, *warning;
        size_t n;
    } cases[] = {
        {MAPPING("Keep", "    - {group: a, to: [b], bind: [{clusterRole: view}]}\n"),
         "f:21:23: issuers[0].groupMapping.rules[0].to[0]: " KEPT, 1},
        {MAPPING("Drop", "    - {group: a, to: [b], bind: [{clusterRole: view}]}\n"), KEPT, 0},
        {MAPPING("Keep", "    - {group: a, to: [b]}\n"), KEPT, 0},
        {MAPPING("Keep", "    - {group: a, to: [a], bind: [{clusterRole: view}]}\n"), KEPT, 0},
        {MAPPING("Keep", "    - {group: a, to: [b], bind: [{clusterRole: view}]}\n    - {group: b, to: []}\n"), KEPT, 0},
        /* once for each cause, or one would drown the others */
        {MAPPING("Keep", "    - {group: a, to: [b, c], bind: [{clusterRole: view}]}\n"
                         "    - {group: d, to: [e], bind: [{clusterRole: view}]}\n"),
         KEPT, 1},
        {MAPPING("Drop", "    - {group: a, to: [b], bind: [{clusterRole: cluster-admin}]}\n"),
         "f:21:35: issuers[0].groupMapping.rules[0].bind[0].clusterRole: " ADMIN, 1},
        {MAPPING("Drop", "    - {group: a, to: [b], bind: [{clusterRole: cluster-admin, namespace: n}]}\n"), ADMIN, 0},
        {MAPPING("Drop", "    - {group: a, to: [b], bind: [{role: cluster-admin, namespace: n}]}\n"), ADMIN, 0},
        {MAPPING("Drop", "    - {group: a, to: [b], bind: [{clusterRole: admin}]}\n"), ADMIN, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config *config = parse(cases[i].mapping);
        cr_expect_eq(n_warnings(config, cases[i].warning), cases[i].n, "%s", cases[i].mapping);
        config_free(config);
    }
}
