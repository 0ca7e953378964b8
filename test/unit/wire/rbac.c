#include "wire/rbac.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "base/limits.h"
#include "lib/memory.h"

#define LIST(...)                                                                                                          \
    { .items = (struct text[]){__VA_ARGS__}, .n_items = sizeof((struct text[]){__VA_ARGS__}) / sizeof(struct text) }
#define API "\"apiVersion\":\"rbac.authorization.k8s.io/v1\","
#define VIEW "\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"view\"}"
#define OURS                                                                                                               \
    "\"labels\":{\"app.kubernetes.io/managed-by\":\"kube-introspect\"},"                                                   \
    "\"annotations\":{\"kube-introspect.io/rule\":\"r\",\"kube-introspect.io/issuer\":\"i\",\"kube-introspect.io/group\":\"g\"}"

/* ---- writing ---- */

static void expect_encoded(const struct rbac_binding *binding, const char *expected) {
    struct buffer buffer;
    buffer_init(&buffer, LIMIT_RBAC_BINDING_BYTES);
    rbac_encode(binding, &buffer);
    cr_assert_eq(buffer.error, 0);
    buffer_append_char(&buffer, '\0');
    cr_expect_str_eq(buffer.data, expected);
    buffer_deinit(&buffer);
}

Test(rbac, a_cluster_role_binding_is_written_as_kubectl_takes_it) {
    const struct rbac_binding binding = {.name = TEXT("kube-introspect:corp:a:view:0"),
                                         .is_cluster_role = true,
                                         .role = TEXT("view"),
                                         .groups = LIST(TEXT("corp:a"), TEXT("corp:\"b\"")),
                                         .rule = TEXT("issuers[0].groupMapping.rules[2]"),
                                         .issuer = TEXT("corp"),
                                         .provider_group = TEXT("a\\b")};
    expect_encoded(&binding, "---\n"
                             "apiVersion: rbac.authorization.k8s.io/v1\n"
                             "kind: ClusterRoleBinding\n"
                             "metadata:\n"
                             "  name: \"kube-introspect:corp:a:view:0\"\n"
                             "  labels:\n"
                             "    app.kubernetes.io/managed-by: kube-introspect\n"
                             "  annotations:\n"
                             "    kube-introspect.io/rule: \"issuers[0].groupMapping.rules[2]\"\n"
                             "    kube-introspect.io/issuer: \"corp\"\n"
                             "    kube-introspect.io/group: \"a\\\\b\"\n"
                             "roleRef:\n"
                             "  apiGroup: rbac.authorization.k8s.io\n"
                             "  kind: ClusterRole\n"
                             "  name: \"view\"\n"
                             "subjects:\n"
                             "- apiGroup: rbac.authorization.k8s.io\n"
                             "  kind: Group\n"
                             "  name: \"corp:a\"\n"
                             "- apiGroup: rbac.authorization.k8s.io\n"
                             "  kind: Group\n"
                             "  name: \"corp:\\\"b\\\"\"\n");
}

Test(rbac, a_role_binding_has_its_namespace) {
    const struct rbac_binding binding = {.namespace_name = TEXT("team-a"),
                                         .name = TEXT("n"),
                                         .role = TEXT("deployer"),
                                         .groups = LIST(TEXT("corp:a")),
                                         .rule = TEXT("r"),
                                         .issuer = TEXT("corp"),
                                         .provider_group = TEXT("a")};
    expect_encoded(&binding, "---\n"
                             "apiVersion: rbac.authorization.k8s.io/v1\n"
                             "kind: RoleBinding\n"
                             "metadata:\n"
                             "  name: \"n\"\n"
                             "  namespace: \"team-a\"\n"
                             "  labels:\n"
                             "    app.kubernetes.io/managed-by: kube-introspect\n"
                             "  annotations:\n"
                             "    kube-introspect.io/rule: \"r\"\n"
                             "    kube-introspect.io/issuer: \"corp\"\n"
                             "    kube-introspect.io/group: \"a\"\n"
                             "roleRef:\n"
                             "  apiGroup: rbac.authorization.k8s.io\n"
                             "  kind: Role\n"
                             "  name: \"deployer\"\n"
                             "subjects:\n"
                             "- apiGroup: rbac.authorization.k8s.io\n"
                             "  kind: Group\n"
                             "  name: \"corp:a\"\n");
}

/* ---- reading ---- */

static const char both[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"\"},\"items\":["
    "{" API "\"kind\":\"ClusterRoleBinding\",\"metadata\":{\"name\":\"one\",\"uid\":\"x\"}," VIEW ","
    "\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"Group\",\"name\":\"corp:a\"},"
    "{\"kind\":\"ServiceAccount\",\"name\":\"s\",\"namespace\":\"n\"},{\"kind\":\"User\",\"name\":\"u\"},"
    "{\"kind\":\"Group\",\"name\":\"corp:\\u00fc\\n\"}]},"
    "{" API "\"kind\":\"RoleBinding\",\"metadata\":{\"name\":\"two\",\"namespace\":\"n\"," OURS "},"
    "\"roleRef\":{\"kind\":\"Role\",\"name\":\"deployer\"}}]}";

static void expect_text(struct text actual, const char *expected) {
    cr_expect(text_equal(actual, text_of(expected)), "%.*s is not %s", (int)actual.n_bytes, actual.data, expected);
}

static struct rbac_list *decode(const char *json) {
    struct rbac_list *list;
    struct error error;
    cr_assert_eq(rbac_list_decode(text_of(json), "f", &list, &error), 0, "%s", error.text);
    return list;
}

Test(rbac, a_list_of_both_kinds_is_read_whole) {
    struct rbac_list *list = decode(both);
    cr_assert_eq(list->n_items, 2);
    cr_expect_eq(list->n_cluster_bindings, 1);
    const struct rbac_binding *one = &list->items[0], *two = &list->items[1];
    expect_text(one->name, "one");
    expect_text(one->namespace_name, "");
    cr_expect(one->is_cluster_role);
    expect_text(one->role, "view");
    cr_assert_eq(one->groups.n_items, 2);
    expect_text(one->groups.items[0], "corp:a");
    expect_text(one->groups.items[1], "corp:\xc3\xbc\n");
    cr_expect_eq(one->n_other_subjects, 2);
    expect_text(one->rule, "");
    expect_text(two->namespace_name, "n");
    cr_expect_not(two->is_cluster_role);
    expect_text(two->role, "deployer");
    cr_expect_eq(two->groups.n_items, 0);
    expect_text(two->rule, "r");
    expect_text(two->issuer, "i");
    expect_text(two->provider_group, "g");
    rbac_list_free(list);
}

Test(rbac, items_of_a_list_of_one_kind_need_not_say_which) {
    struct rbac_list *list =
        decode("{\"kind\":\"ClusterRoleBindingList\",\"items\":[{\"metadata\":{\"name\":\"a\"}," VIEW "}]}");
    cr_expect_eq(list->n_cluster_bindings, 1);
    rbac_list_free(list);
    list = decode("{\"kind\":\"RoleBindingList\",\"items\":[{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\"}," VIEW
                  ",\"subjects\":null}]}");
    cr_expect_eq(list->n_cluster_bindings, 0);
    expect_text(list->items[0].namespace_name, "n");
    rbac_list_free(list);
    list = decode("{\"kind\":\"List\",\"items\":[]}");
    cr_expect_eq(list->n_items, 0);
    rbac_list_free(list);
}

Test(rbac, annotations_without_the_label_make_no_binding_ours) {
    struct rbac_list *list = decode("{\"kind\":\"List\",\"items\":[{" API "\"kind\":\"ClusterRoleBinding\",\"metadata\":{"
                                    "\"name\":\"a\",\"annotations\":{\"kube-introspect.io/rule\":\"r\"}}," VIEW "}]}");
    expect_text(list->items[0].rule, "");
    rbac_list_free(list);
}

#define ITEM(kind, metadata, rest)                                                                                         \
    "{\"kind\":\"List\",\"items\":[{" API "\"kind\":\"" kind "\",\"metadata\":{" metadata "}" rest "}]}"
#define ONE(rest) ITEM("ClusterRoleBinding", "\"name\":\"a\"", rest)

Test(rbac, what_is_no_list_of_bindings_is_refused_with_its_place) {
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"", "f: this is no JSON object"},
        {"[]", "f: this is no JSON object"},
        {"{\n\"kind\":\"List\",\n\"items\":[", "f:3: this is no JSON"},
        {"{\"kind\":\"List\",\n\"kind\":\"List\"}", "f:2: this is no JSON"},
        {"{}", "f: this is no list of bindings: give what"},
        {"{\"kind\":\"List\"}", "f: this is no list of bindings"},
        {"{\"kind\":\"List\",\"items\":{}}", "f: this is no list of bindings"},
        {"{\"kind\":\"Status\",\"items\":[]}", "f: this is no list of bindings"},
        {"{\"kind\":\"PodList\",\"items\":[]}", "f: this is no list of bindings"},
        {"{\"kind\":\"List\",\"items\":[1]}", "f: items[0].kind: this must be ClusterRoleBinding or RoleBinding"},
        {"{\"kind\":\"List\",\"items\":[{\"metadata\":{\"name\":\"a\"}," VIEW "}]}", "f: items[0].kind: "},
        {"{\"kind\":\"List\",\"items\":[{\"apiVersion\":\"authorization.openshift.io/v1\",\"kind\":\"RoleBinding\"}]}",
         "f: items[0].apiVersion: this is no object of rbac.authorization.k8s.io: ask kubectl for "
         "rolebindings.rbac.authorization.k8s.io"},
        {ITEM("Role", "\"name\":\"a\"", "," VIEW), "f: items[0].kind: "},
        {ITEM("ClusterRoleBinding", "", "," VIEW), "f: items[0].metadata.name: a binding has a text here"},
        {ITEM("ClusterRoleBinding", "\"name\":1", "," VIEW), "f: items[0].metadata.name: "},
        {ITEM("RoleBinding", "\"name\":\"a\"", "," VIEW), "f: items[0].metadata.namespace: "},
        {ONE(""), "f: items[0].roleRef.kind: this must be ClusterRole or Role"},
        {ONE(",\"roleRef\":{\"kind\":\"User\",\"name\":\"a\"}"), "f: items[0].roleRef.kind: "},
        {ONE(",\"roleRef\":{\"kind\":\"Role\"}"), "f: items[0].roleRef.name: "},
        {ONE("," VIEW ",\"subjects\":{}"), "f: items[0].subjects: this must be an array"},
        {ONE("," VIEW ",\"subjects\":[{\"kind\":\"Group\",\"name\":\"a\"},{\"kind\":\"Group\"}]"),
         "f: items[0].subjects[1]: a subject has a kind and a name"},
        {ONE("," VIEW ",\"subjects\":[\"corp:a\"]"), "f: items[0].subjects[0]: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rbac_list *list = NULL;
        struct error error = {""};
        cr_expect_eq(rbac_list_decode(text_of(cases[i].json), "f", &list, &error), RBAC_INVALID, "%s", cases[i].json);
        cr_expect_null(list);
        cr_expect_eq(strncmp(error.text, cases[i].message, strlen(cases[i].message)), 0, "%s\nis not %s", error.text,
                     cases[i].message);
    }
}

Test(rbac, nesting_is_bounded) {
    struct buffer deep;
    buffer_init(&deep, 4096);
    buffer_append(&deep, TEXT("{\"kind\":\"List\",\"items\":[],\"x\":"));
    for (size_t i = 0; i < LIMIT_JSON_DEPTH; i++)
        buffer_append_char(&deep, '[');
    for (size_t i = 0; i < LIMIT_JSON_DEPTH; i++)
        buffer_append_char(&deep, ']');
    buffer_append_char(&deep, '}');
    struct rbac_list *list;
    struct error error;
    cr_expect_eq(rbac_list_decode(buffer_text(&deep), "f", &list, &error), RBAC_INVALID);
    cr_expect_str_eq(error.text, "f: this is no JSON object, or nested deeper than 64 levels");
    buffer_deinit(&deep);
}

Test(rbac, decoding_survives_each_failed_allocation) {
    int r = -ENOMEM;
    size_t n = 1;
    for (; r != 0; n++) {
        struct rbac_list *list = NULL;
        struct error error;
        memory_fail_at(n);
        r = rbac_list_decode(text_of(both), "f", &list, &error);
        memory_fail_at(0);
        cr_assert(r == 0 || r == -ENOMEM, "%d", r);
        cr_assert_eq(r == 0, list != NULL);
        if (r == -ENOMEM)
            cr_assert_str_eq(error.text, "f: out of memory");
        rbac_list_free(list);
    }
    cr_expect_gt(n, 20);
}
