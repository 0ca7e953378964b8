/*
 * Whatever rbac_list_decode() takes is JSON to jansson as well, with as many bindings; and each binding, written as YAML
 * for kubectl, is read back by libyaml with the very names that it had.
 */
#include <jansson.h>

#include "fuzz/check.h"
#include "ops/yaml.h"
#include "wire/rbac.h"

#define YAML_ARENA_BYTES ((size_t)64 * 1024 * 1024)

static bool is_member(const struct yaml_node *node, const char *key, struct text expected) {
    const struct yaml_node *member = yaml_member(node, key);
    return member == NULL ? expected.n_bytes == 0 : text_equal(member->text, expected);
}

static void check_document(const struct yaml_node *root, const struct rbac_binding *binding) {
    const struct yaml_node *metadata = yaml_member(root, "metadata"), *annotations = yaml_member(metadata, "annotations");
    CHECK(is_member(metadata, "name", binding->name) && is_member(metadata, "namespace", binding->namespace_name));
    CHECK(is_member(annotations, "kube-introspect.io/rule", binding->rule));
    CHECK(is_member(annotations, "kube-introspect.io/issuer", binding->issuer));
    CHECK(is_member(annotations, "kube-introspect.io/group", binding->provider_group));
    CHECK(is_member(yaml_member(root, "roleRef"), "name", binding->role));
    CHECK(is_member(yaml_member(root, "roleRef"), "kind", binding->is_cluster_role ? TEXT("ClusterRole") : TEXT("Role")));
    const struct yaml_node *subjects = yaml_member(root, "subjects");
    CHECK(subjects->n_children == binding->groups.n_items);
    for (const struct yaml_node *subject = subjects->first; subject != NULL; subject = subject->next)
        CHECK(is_member(subject, "name", binding->groups.items[subject->index]));
}

static void check_binding(const struct rbac_binding *binding) {
    struct buffer document;
    struct arena *arena;
    struct yaml_node *root;
    struct error error = {""};
    buffer_init(&document, LIMIT_RBAC_BINDING_BYTES);
    rbac_encode(binding, &document);
    CHECK(document.error == 0 && arena_new(YAML_ARENA_BYTES, &arena) == 0);
    const int r = yaml_read(buffer_text(&document), "document", arena, &root, &error);
    if (r != 0)
        fprintf(stderr, "%s\n%.*s\n", error.text, (int)document.n_bytes, document.data);
    CHECK(r == 0);
    check_document(root, binding);
    arena_free(arena);
    buffer_deinit(&document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    const struct text bytes = {.data = (const char *)data, .n_bytes = n_bytes};
    struct rbac_list *list = NULL;
    struct error error = {""};
    const int result = rbac_list_decode(bytes, "list", &list, &error);
    CHECK((result != 0) == (error.text[0] != '\0') && (result == 0) == (list != NULL));
    if (result != 0)
        return 0;
    json_t *const theirs = json_loadb(bytes.data, bytes.n_bytes, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json_array_size(json_object_get(theirs, "items")) == list->n_items);
    json_decref(theirs);
    for (size_t i = 0; i < list->n_items; i++) {
        if (list->items[i].groups.n_items > 0)
            check_binding(&list->items[i]);
    }
    rbac_list_free(list);
    return 0;
}
