#include "wire/rbac.h"

#include <errno.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/limits.h"
#include "wire/json.h"
#include "wire/quote.h"

#define API_GROUP "rbac.authorization.k8s.io"
#define LABEL "app.kubernetes.io/managed-by"
#define LABEL_VALUE "kube-introspect"
#define RULE "kube-introspect.io/rule"
#define ISSUER "kube-introspect.io/issuer"
#define PROVIDER_GROUP "kube-introspect.io/group"

/* ---- writing ---- */

static void append_line(struct buffer *buffer, const char *key, struct text value) {
    buffer_append(buffer, text_of(key));
    quote_append(buffer, value);
    buffer_append_char(buffer, '\n');
}

void rbac_encode(const struct rbac_binding *binding, struct buffer *buffer) {
    const bool is_in_namespace = binding->namespace_name.n_bytes > 0;
    buffer_append(buffer, TEXT("---\napiVersion: " API_GROUP "/v1\nkind: "));
    buffer_append(buffer, is_in_namespace ? TEXT("RoleBinding\n") : TEXT("ClusterRoleBinding\n"));
    append_line(buffer, "metadata:\n  name: ", binding->name);
    if (is_in_namespace)
        append_line(buffer, "  namespace: ", binding->namespace_name);
    buffer_append(buffer, TEXT("  labels:\n    " LABEL ": " LABEL_VALUE "\n  annotations:\n"));
    append_line(buffer, "    " RULE ": ", binding->rule);
    append_line(buffer, "    " ISSUER ": ", binding->issuer);
    append_line(buffer, "    " PROVIDER_GROUP ": ", binding->provider_group);
    buffer_append(buffer, TEXT("roleRef:\n  apiGroup: " API_GROUP "\n  kind: "));
    append_line(buffer, binding->is_cluster_role ? "ClusterRole\n  name: " : "Role\n  name: ", binding->role);
    buffer_append(buffer, TEXT("subjects:\n"));
    for (size_t i = 0; i < binding->groups.n_items; i++)
        append_line(buffer, "- apiGroup: " API_GROUP "\n  kind: Group\n  name: ", binding->groups.items[i]);
}

/* ---- reading ---- */

/* A part of the list that is being read, for messages. */
struct place {
    const char *source;
    size_t item;
    struct error *error;
};

#define REFUSE(place, what, ...)                                                                                           \
    (error_set((place)->error, "%s: items[%zu]" what, (place)->source, (place)->item, __VA_ARGS__), RBAC_INVALID)

/* The member's text; without data where it is no text. */
static struct text member(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return (struct text){.data = json_string_value(value), .n_bytes = json_string_length(value)};
}

/* A text that must be there and must not be empty. */
static int read_text(const struct place *place, const json_t *object, const char *key, const char *path,
                     struct text *ret_text) {
    const struct text text = member(object, key);
    if (text.n_bytes == 0)
        return REFUSE(place, ".%s: a binding has a text here", path);
    *ret_text = text;
    return 0;
}

/* What the binding says of itself in kind and apiVersion. Those of a RoleBindingList say nothing. */
static int read_kind(const struct place *place, const json_t *item, const char *item_kind, bool *ret_is_cluster_binding) {
    const struct text version = member(item, "apiVersion");
    struct text kind = member(item, "kind");
    if (version.data != NULL && !text_starts_with(version, TEXT(API_GROUP "/")))
        return REFUSE(place, ".apiVersion: this is no object of %s: ask kubectl for rolebindings.%s", API_GROUP, API_GROUP);
    if (kind.data == NULL && item_kind != NULL)
        kind = text_of(item_kind);
    *ret_is_cluster_binding = text_equal(kind, TEXT("ClusterRoleBinding"));
    if (!*ret_is_cluster_binding && !text_equal(kind, TEXT("RoleBinding")))
        return REFUSE(place, ".kind: this must be ClusterRoleBinding or RoleBinding: ask kubectl for these only%s", "");
    return 0;
}

static int read_metadata(const struct place *place, const json_t *item, bool is_cluster_binding,
                         struct rbac_binding *binding) {
    const json_t *metadata = json_object_get(item, "metadata"), *annotations = json_object_get(metadata, "annotations");
    int r = read_text(place, metadata, "name", "metadata.name", &binding->name);
    if (r == 0 && !is_cluster_binding)
        r = read_text(place, metadata, "namespace", "metadata.namespace", &binding->namespace_name);
    if (r != 0 || !text_equal(member(json_object_get(metadata, "labels"), LABEL), TEXT(LABEL_VALUE)))
        return r;
    binding->rule = member(annotations, RULE);
    binding->issuer = member(annotations, ISSUER);
    binding->provider_group = member(annotations, PROVIDER_GROUP);
    return 0;
}

static int read_role(const struct place *place, const json_t *item, struct rbac_binding *binding) {
    const json_t *role = json_object_get(item, "roleRef");
    const struct text kind = member(role, "kind");
    binding->is_cluster_role = text_equal(kind, TEXT("ClusterRole"));
    if (!binding->is_cluster_role && !text_equal(kind, TEXT("Role")))
        return REFUSE(place, ".roleRef.kind: this must be ClusterRole or Role%s", "");
    return read_text(place, role, "name", "roleRef.name", &binding->role);
}

/* The server leaves the list out where it is empty. */
static int read_subjects(const struct place *place, const json_t *item, struct arena *arena, struct rbac_binding *binding) {
    const json_t *subjects = json_object_get(item, "subjects");
    if (subjects == NULL || json_is_null(subjects))
        return 0;
    if (!json_is_array(subjects))
        return REFUSE(place, ".subjects: this must be an array%s", "");
    binding->groups.items = arena_array(arena, json_array_size(subjects), sizeof(struct text));
    if (binding->groups.items == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < json_array_size(subjects); i++) {
        const json_t *subject = json_array_get(subjects, i);
        const struct text kind = member(subject, "kind"), name = member(subject, "name");
        if (kind.n_bytes == 0 || name.n_bytes == 0)
            return REFUSE(place, ".subjects[%zu]: a subject has a kind and a name", i);
        if (text_equal(kind, TEXT("Group")))
            binding->groups.items[binding->groups.n_items++] = name;
        else
            binding->n_other_subjects++;
    }
    return 0;
}

static int read_item(const struct place *place, const json_t *item, const char *item_kind, struct rbac_list *list) {
    struct rbac_binding *binding = &list->items[place->item];
    bool is_cluster_binding;
    int r = read_kind(place, item, item_kind, &is_cluster_binding);
    if (r == 0)
        r = read_metadata(place, item, is_cluster_binding, binding);
    if (r == 0)
        r = read_role(place, item, binding);
    if (r == 0)
        r = read_subjects(place, item, list->arena, binding);
    if (r == 0)
        list->n_cluster_bindings += is_cluster_binding;
    return r;
}

static int read_items(const char *source, struct rbac_list *list, struct error *error) {
    const struct text kind = member(list->document, "kind");
    const json_t *items = json_object_get(list->document, "items");
    const bool is_of_both = text_equal(kind, TEXT("List")),
               is_of_cluster = text_equal(kind, TEXT("ClusterRoleBindingList"));
    if ((!is_of_both && !is_of_cluster && !text_equal(kind, TEXT("RoleBindingList"))) || !json_is_array(items)) {
        error_set(
            error,
            "%s: this is no list of bindings: give what \"kubectl get clusterrolebindings,rolebindings -A -o json\" prints",
            source);
        return RBAC_INVALID;
    }
    list->n_items = json_array_size(items);
    list->items = arena_array(list->arena, list->n_items, sizeof(*list->items));
    int r = list->items == NULL ? -ENOMEM : 0;
    struct place place = {.source = source, .error = error};
    for (; place.item < list->n_items && r == 0; place.item++)
        r = read_item(&place, json_array_get(items, place.item),
                      is_of_both      ? NULL
                      : is_of_cluster ? "ClusterRoleBinding"
                                      : "RoleBinding",
                      list);
    return r;
}

static int parse(struct text bytes, const char *source, json_t **ret_document, struct error *error) {
    unsigned line = 0;
    const int r = json_object_load_at(bytes, LIMIT_JSON_DEPTH, ret_document, &line);
    if (r == JSON_MALFORMED && line == 0)
        error_set(error, "%s: this is no JSON object, or nested deeper than %d levels", source, LIMIT_JSON_DEPTH);
    else if (r == JSON_MALFORMED)
        error_set(error, "%s:%u: this is no JSON: was all of it written?", source, line);
    return r == JSON_MALFORMED ? RBAC_INVALID : r;
}

static int decode(struct text bytes, const char *source, struct rbac_list *list, struct error *error) {
    int r = arena_new(LIMIT_RBAC_ARENA_BYTES, &list->arena);
    if (r == 0)
        r = parse(bytes, source, &list->document, error);
    return r == 0 ? read_items(source, list, error) : r;
}

int rbac_list_decode(struct text bytes, const char *source, struct rbac_list **ret_list, struct error *error) {
    struct rbac_list *list = calloc(1, sizeof(*list));
    const int r = list == NULL ? -ENOMEM : decode(bytes, source, list, error);
    if (r == -ENOMEM)
        error_set(error, "%s: out of memory", source);
    if (r == 0)
        *ret_list = list;
    else
        rbac_list_free(list);
    return r;
}

void rbac_list_free(struct rbac_list *list) {
    if (list == NULL)
        return;
    json_decref(list->document);
    arena_free(list->arena);
    free(list);
}
