#include "core/bindings.h"

#include <stdio.h>

#include "base/limits.h"
#include "unit/core/fixture.h"

static struct issuer_policy issuers[2];
static struct policy policy;
static struct arena *arena;

static struct text of_admins[] = {TEXT("admins"), TEXT("on-call")};
static struct text of_developers[] = {TEXT("developers")};
static struct text of_both[] = {TEXT("on-call"), TEXT("guests")};
static const struct role_reference admin_roles[] = {{.cluster_role = TEXT("cluster-admin")},
                                                    {.cluster_role = TEXT("edit"), .namespace_name = TEXT("team-a")},
                                                    {.role = TEXT("edit"), .namespace_name = TEXT("team-a")}};
static const struct role_reference view[] = {{.cluster_role = TEXT("view")}};
static const struct group_rule rules[] = {
    {.group = TEXT("Platform Admins"), .to = {.items = of_admins, .n_items = 2}, .bind = admin_roles, .n_bind = 3},
    {.group = TEXT("developers"), .to = {.items = of_developers, .n_items = 1}, .bind = view, .n_bind = 1},
    {.group = TEXT("guests"), .to = {.items = of_both, .n_items = 2}},
};

static void set_up(void) {
    issuers[0] = fixture_issuer();
    issuers[0].drop_unmapped_groups = true;
    issuers[0].group_rules = rules;
    issuers[0].n_group_rules = 3;
    issuers[1] = fixture_issuer();
    issuers[1].name = TEXT("partner");
    issuers[1].groups_prefix = TEXT("partner:");
    issuers[1].group_rules = &rules[1];
    issuers[1].n_group_rules = 1;
    policy = (struct policy){.issuers = issuers, .n_issuers = 2};
    cr_assert_eq(arena_new(LIMIT_RBAC_ARENA_BYTES, &arena), 0);
}

static void tear_down(void) {
    arena_free(arena);
}

TestSuite(bindings, .init = set_up, .fini = tear_down);

static struct bindings make(void) {
    struct bindings made;
    cr_assert_eq(bindings_make(&policy, arena, &made), 0);
    return made;
}

/* ---- making ---- */

Test(bindings, each_role_of_each_rule_gets_one_for_all_groups_of_the_rule) {
    static const struct {
        const char *rule, *role, *in;
        bool is_cluster_role;
        size_t n_groups;
        const char *groups[2];
    } expected[] = {
        {"issuers[0].groupMapping.rules[0]", "cluster-admin", "", true, 2, {"corp:admins", "corp:on-call"}},
        {"issuers[0].groupMapping.rules[0]", "edit", "team-a", true, 2, {"corp:admins", "corp:on-call"}},
        {"issuers[0].groupMapping.rules[0]", "edit", "team-a", false, 2, {"corp:admins", "corp:on-call"}},
        {"issuers[0].groupMapping.rules[1]", "view", "", true, 1, {"corp:developers"}},
        {"issuers[1].groupMapping.rules[0]", "view", "", true, 1, {"partner:developers"}},
    };
    const struct bindings made = make();
    cr_assert_eq(made.n_items, sizeof(expected) / sizeof(expected[0]));
    for (size_t i = 0; i < made.n_items; i++) {
        assert_text(made.items[i].rule, text_of(expected[i].rule));
        assert_text(made.items[i].role, text_of(expected[i].role));
        assert_text(made.items[i].namespace_name, text_of(expected[i].in));
        cr_assert_eq(made.items[i].is_cluster_role, expected[i].is_cluster_role);
        cr_assert_eq(made.items[i].groups.n_items, expected[i].n_groups);
        for (size_t j = 0; j < expected[i].n_groups; j++)
            assert_text(made.items[i].groups.items[j], text_of(expected[i].groups[j]));
    }
    assert_text(made.items[4].issuer, TEXT("partner"));
    assert_text(made.items[0].provider_group, TEXT("Platform Admins"));
}

Test(bindings, names_are_the_same_every_time_and_what_kubectl_takes) {
    const struct bindings made = make();
    assert_text(made.items[3].name, TEXT("kube-introspect:corp:developers:view:66d61057a24c"));
    const struct text start = TEXT("kube-introspect:corp:-latform--dmins:cluster-admin:");
    cr_expect(text_starts_with(made.items[0].name, start));
    cr_expect_eq(made.items[0].name.n_bytes, start.n_bytes + 12);
    /* neither the place of the rule nor its groups are in the name: a binding stays the same one when they change */
    const struct text before = made.items[3].name;
    issuers[0].group_rules = &rules[1];
    issuers[0].n_group_rules = 1;
    assert_text(make().items[0].name, before);
}

Test(bindings, no_two_have_the_same_name) {
    /* pairs that differ only in what a readable name loses, or in where one part ends */
    static const struct text groups[] = {TEXT("a"),  TEXT("A"),   TEXT("a/b"),      TEXT("a:b"),    TEXT("a b"),
                                         TEXT("b:"), TEXT("a-b"), TEXT("\xc3\xa4"), TEXT("a:view"), TEXT("1:a")};
    static const struct role_reference roles[] = {{.cluster_role = TEXT("view")},
                                                  {.cluster_role = TEXT("b:view")},
                                                  {.role = TEXT("view")},
                                                  {.cluster_role = TEXT("view"), .namespace_name = TEXT("n")},
                                                  {.cluster_role = TEXT("VIEW")},
                                                  {.role = TEXT("view"), .namespace_name = TEXT("n")},
                                                  {.role = TEXT("view"), .namespace_name = TEXT("m")}};
    struct group_rule many[10];
    for (size_t i = 0; i < 10; i++)
        many[i] = (struct group_rule){
            .group = groups[i], .to = {.items = of_developers, .n_items = 1}, .bind = roles, .n_bind = 7};
    issuers[0].group_rules = issuers[1].group_rules = many;
    issuers[0].n_group_rules = issuers[1].n_group_rules = 10;
    const struct bindings made = make();
    cr_assert_eq(made.n_items, 140);
    for (size_t i = 0; i < made.n_items; i++) {
        for (size_t j = 0; j < i; j++)
            cr_expect_not(text_equal(made.items[i].name, made.items[j].name), "%.*s", (int)made.items[i].name.n_bytes,
                          made.items[i].name.data);
    }
}

Test(bindings, the_longest_names_have_a_bound_and_stay_apart) {
    char longest[LIMIT_GROUP_BYTES];
    memset(longest, 'a', sizeof(longest));
    const struct role_reference role = {.cluster_role = {.data = longest, .n_bytes = LIMIT_ROLE_NAME_BYTES}};
    const struct group_rule both[] = {{.group = {.data = longest, .n_bytes = 256},
                                       .to = {.items = of_developers, .n_items = 1},
                                       .bind = &role,
                                       .n_bind = 1},
                                      {.group = {.data = longest, .n_bytes = 255},
                                       .to = {.items = of_developers, .n_items = 1},
                                       .bind = &role,
                                       .n_bind = 1}};
    issuers[0].name = (struct text){.data = longest, .n_bytes = 63};
    issuers[0].group_rules = both;
    issuers[0].n_group_rules = 2;
    const struct bindings made = make();
    cr_assert_eq(made.items[0].name.n_bytes, 15 + 3 * 64 + 13);
    cr_expect_not(text_equal(made.items[0].name, made.items[1].name));
}

Test(bindings, a_mapping_without_roles_makes_none) {
    issuers[0].n_group_rules = issuers[1].n_group_rules = 0;
    cr_expect_eq(make().n_items, 0);
}

/* ---- comparing ---- */

/* The differences as lines: "missing NAME", "not mapped GROUP 2", ... */
static struct buffer seen;

static void note(void *context, const struct difference *difference) {
    static const char *const words[] = {"missing", "changed", "left over", "not mapped", "not bound", "kept"};
    cr_assert_eq(context, &seen);
    const struct rbac_binding *binding = difference->made != NULL ? difference->made : difference->live;
    const struct text what = binding != NULL ? binding->role : difference->group;
    buffer_append_format(&seen, "%s %.*s", words[difference->kind], (int)what.n_bytes, what.data);
    if (difference->n_bound > 0)
        buffer_append_format(&seen, " %zu", difference->n_bound);
    if (difference->kind == DIFFERENCE_NOT_BOUND)
        buffer_append_format(&seen, " %zu.%zu", difference->issuer, difference->rule);
    buffer_append_char(&seen, '\n');
}

static void expect_differences(struct rbac_binding *live, size_t n_live, const char *expected) {
    const struct bindings made = make();
    const struct rbac_list list = {.items = live, .n_items = n_live};
    buffer_init(&seen, 1 << 16);
    cr_assert_eq(bindings_compare(&policy, &made, &list, arena, note, &seen), 0);
    buffer_append_char(&seen, '\0');
    cr_assert_eq(seen.error, 0);
    cr_expect_str_eq(seen.data, expected);
    buffer_deinit(&seen);
}

/* What is made, as the cluster would have it; with room for more. */
static size_t copy_made(struct rbac_binding ret_live[16]) {
    const struct bindings made = make();
    memcpy(ret_live, made.items, made.n_items * sizeof(*made.items));
    return made.n_items;
}

static struct rbac_binding by_hand(const char *name, struct text_list groups) {
    return (struct rbac_binding){.name = text_of(name), .is_cluster_role = true, .role = TEXT("by-hand"), .groups = groups};
}

Test(bindings, a_cluster_without_any_lacks_them_all) {
    expect_differences(NULL, 0,
                       "missing cluster-admin\nmissing edit\nmissing edit\nmissing view\nmissing view\n"
                       "not bound corp:admins 0.0\nnot bound corp:developers 0.1\nnot bound corp:guests 0.2\n"
                       "not bound corp:on-call 0.0\nnot bound partner:developers 1.0\n");
}

Test(bindings, a_cluster_that_has_them_differs_in_nothing_but_unbound_groups) {
    struct rbac_binding live[16];
    const size_t n = copy_made(live);
    expect_differences(live, n, "not bound corp:guests 0.2\n");
    live[n] = by_hand("x", LIST(TEXT("corp:guests"), TEXT("system:nodes"), TEXT("other:x"), TEXT("corp")));
    expect_differences(live, n + 1, "");
    /* in any order, and with the rule at another place */
    const struct rbac_binding first = live[0];
    live[0] = live[n];
    live[n] = first;
    live[1].groups = LIST(TEXT("corp:on-call"), TEXT("corp:admins"));
    live[1].rule = TEXT("issuers[0].groupMapping.rules[9]");
    expect_differences(live, n + 1, "");
}

Test(bindings, one_that_gives_something_else_or_to_others_is_changed) {
    struct text_list more = LIST(TEXT("corp:developers"), TEXT("corp:guests")), other = LIST(TEXT("corp:guests"));
    for (size_t i = 0; i < 6; i++) {
        struct rbac_binding live[16];
        const size_t n = copy_made(live);
        live[n] = by_hand("x", LIST(TEXT("corp:guests"), TEXT("corp:on-call"), TEXT("corp:developers")));
        if (i == 0)
            live[3].role = TEXT("edit");
        else if (i == 1)
            live[3].is_cluster_role = false;
        else if (i == 2)
            live[3].groups = more;
        else if (i == 3)
            live[3].groups.n_items = 0;
        else if (i == 4)
            live[3].n_other_subjects = 1;
        else
            live[3].groups = other;
        expect_differences(live, n + 1, "changed view\n");
    }
}

Test(bindings, one_of_ours_that_no_rule_makes_is_left_over) {
    struct rbac_binding live[16];
    const size_t n = copy_made(live);
    live[n] = by_hand("x", LIST(TEXT("corp:guests")));
    live[n + 1] = live[n];
    live[n + 1].rule = TEXT("issuers[0].groupMapping.rules[3]");
    live[n + 1].name = live[0].name;
    live[n + 1].namespace_name = TEXT("elsewhere");
    expect_differences(live, n + 2, "left over by-hand\n");
}

Test(bindings, a_bound_group_that_nobody_can_be_in_is_found_once_with_all_its_bindings) {
    struct rbac_binding live[16];
    const size_t n = copy_made(live);
    live[n] = by_hand("x", LIST(TEXT("corp:guests"), TEXT("corp:retired"), TEXT("corp:Platform Admins")));
    live[n + 1] = by_hand("y", LIST(TEXT("corp:retired"), TEXT("system:masters")));
    live[n + 2] = by_hand("z", LIST(TEXT("corp:retired")));
    expect_differences(live, n + 3, "not mapped corp:Platform Admins 1\nnot mapped corp:retired 3\n");
    /* kept, these may be the provider's own; a group that has a rule is not */
    issuers[0].drop_unmapped_groups = false;
    expect_differences(live, n + 3, "not mapped corp:Platform Admins 1\nkept corp:retired 3\n");
    /* without a prefix, every group is as the provider's would be */
    live[n + 1] = by_hand("y", LIST(TEXT("others"), TEXT("system:masters")));
    issuers[1].groups_prefix = TEXT("");
    issuers[1].drop_unmapped_groups = true;
    live[4].groups = LIST(TEXT("developers"));
    expect_differences(live, n + 3, "not mapped corp:Platform Admins 1\nnot mapped others 1\nkept corp:retired 2\n");
}

Test(bindings, a_group_that_a_validation_rule_refuses_need_not_be_bound_and_is_not_mapped) {
    static const struct user_rule refusal = {.kind = USER_RULE_GROUPS_NOT_PREFIX, .value = TEXT("corp:guest")};
    struct rbac_binding live[16];
    const size_t n = copy_made(live);
    issuers[0].user_rules = &refusal;
    issuers[0].n_user_rules = 1;
    expect_differences(live, n, "");
    live[n] = by_hand("x", LIST(TEXT("corp:guests")));
    expect_differences(live, n + 1, "not mapped corp:guests 1\n");
}

static void ignore(void *context, const struct difference *difference) {
    cr_assert_not_null(difference);
    ++*(size_t *)context;
}

Test(bindings, making_and_comparing_survive_each_failed_allocation) {
    struct rbac_binding live[16];
    const struct rbac_list list = {.items = live, .n_items = copy_made(live)};
    int r = -ENOMEM;
    size_t n = 1;
    for (; r != 0; n++) {
        struct arena *own = NULL;
        struct bindings made;
        size_t n_differences = 0;
        memory_fail_at(n);
        r = arena_new(LIMIT_RBAC_ARENA_BYTES, &own);
        if (r == 0)
            r = bindings_make(&policy, own, &made);
        if (r == 0)
            r = bindings_compare(&policy, &made, &list, own, ignore, &n_differences);
        memory_fail_at(0);
        cr_assert(r == 0 || r == -ENOMEM, "%d", r);
        cr_assert_eq(n_differences, r == 0 ? 1 : 0);
        arena_free(own);
    }
    cr_expect_geq(n, 3);
}

Test(bindings, an_arena_that_is_full_is_out_of_memory_at_any_byte) {
    struct rbac_binding live[16];
    const struct rbac_list list = {.items = live, .n_items = copy_made(live)};
    int r = -ENOMEM;
    for (size_t n_bytes = 0; r != 0; n_bytes += 16) {
        struct arena *small = NULL;
        struct bindings made;
        size_t n_differences = 0;
        cr_assert_eq(arena_new(n_bytes, &small), 0);
        r = bindings_make(&policy, small, &made);
        if (r == 0)
            r = bindings_compare(&policy, &made, &list, small, ignore, &n_differences);
        cr_assert(r == 0 || r == -ENOMEM, "%d", r);
        cr_assert_eq(n_differences, r == 0 ? 1 : 0);
        arena_free(small);
    }
}
