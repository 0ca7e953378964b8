#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "command/command.h"
#include "core/bindings.h"
#include "ops/config.h"
#include "wire/quote.h"

/* ---- what is printed of a binding ---- */

static void append_name(struct buffer *line, struct text name) {
    quote_append_cut(line, name, LIMIT_RBAC_SHOWN_BYTES);
}

static void append_binding(struct buffer *line, const struct rbac_binding *binding) {
    buffer_append(line, binding->namespace_name.n_bytes > 0 ? TEXT("RoleBinding ") : TEXT("ClusterRoleBinding "));
    append_name(line, binding->name);
    if (binding->namespace_name.n_bytes == 0)
        return;
    buffer_append(line, TEXT(" in namespace "));
    append_name(line, binding->namespace_name);
}

static void append_role(struct buffer *line, const struct rbac_binding *binding) {
    buffer_append(line, binding->is_cluster_role ? TEXT("ClusterRole ") : TEXT("Role "));
    append_name(line, binding->role);
}

/* The groups of one list that another one lacks, after some words and up to an end; nothing where it lacks none. */
static void append_surplus(struct buffer *line, const char *words, const struct text_list *groups,
                           const struct text_list *other, const char *end) {
    size_t n = 0;
    for (size_t i = 0; i < groups->n_items; i++) {
        if (text_list_contains(other, groups->items[i]))
            continue;
        if (n < LIMIT_RBAC_SHOWN_NAMES) {
            buffer_append(line, n == 0 ? text_of(words) : TEXT(", "));
            append_name(line, groups->items[i]);
        }
        n++;
    }
    if (n > LIMIT_RBAC_SHOWN_NAMES)
        buffer_append_format(line, " and %zu more", n - LIMIT_RBAC_SHOWN_NAMES);
    if (n > 0)
        buffer_append(line, text_of(end));
}

static void append_bound_by(struct buffer *line, const struct difference *difference) {
    for (size_t i = 0; i < difference->n_bound && i < LIMIT_RBAC_SHOWN_NAMES; i++) {
        buffer_append(line, i == 0 ? TEXT(": bound by ") : TEXT(", "));
        append_binding(line, difference->bound[i].binding);
    }
    if (difference->n_bound > LIMIT_RBAC_SHOWN_NAMES)
        buffer_append_format(line, " and %zu more", difference->n_bound - LIMIT_RBAC_SHOWN_NAMES);
}

/* ---- differences ---- */

static void append_missing(struct buffer *line, const struct difference *difference) {
    static const struct text_list none = {.n_items = 0};
    buffer_append(line, TEXT("missing: "));
    append_binding(line, difference->made);
    buffer_append(line, TEXT(": "));
    append_role(line, difference->made);
    append_surplus(line, " for ", &difference->made->groups, &none, ", by ");
    buffer_append(line, difference->made->rule);
}

static void append_changed(struct buffer *line, const struct difference *difference) {
    const struct rbac_binding *made = difference->made, *live = difference->live;
    buffer_append(line, TEXT("changed: "));
    append_binding(line, live);
    buffer_append(line, TEXT(": "));
    if (made->is_cluster_role != live->is_cluster_role || !text_equal(made->role, live->role)) {
        buffer_append(line, TEXT("it gives "));
        append_role(line, live);
        buffer_append(line, TEXT(" and not "));
        append_role(line, made);
        buffer_append(line, TEXT(", so delete it first; "));
    }
    append_surplus(line, "it lacks ", &made->groups, &live->groups, "; ");
    append_surplus(line, "it should not have ", &live->groups, &made->groups, "; ");
    if (live->n_other_subjects > 0)
        buffer_append_format(line, "it should not have its users and service accounts (%zu); ", live->n_other_subjects);
    buffer_append(line, TEXT("see "));
    buffer_append(line, made->rule);
}

static void append_left_over(struct buffer *line, const struct difference *difference) {
    buffer_append(line, TEXT("left over: "));
    append_binding(line, difference->live);
    buffer_append(line, TEXT(": "));
    append_role(line, difference->live);
    buffer_append(line, TEXT(" was bound for the provider's group "));
    append_name(line, difference->live->provider_group);
    buffer_append(line, TEXT(" of issuer "));
    append_name(line, difference->live->issuer);
    buffer_append(line, TEXT(", and no rule says so now"));
}

static void append_group(struct buffer *line, const char *words, const struct difference *difference) {
    buffer_append(line, text_of(words));
    append_name(line, difference->group);
}

static void append_difference(struct buffer *line, const struct difference *difference) {
    switch (difference->kind) {
    case DIFFERENCE_MISSING:
        append_missing(line, difference);
        return;
    case DIFFERENCE_CHANGED:
        append_changed(line, difference);
        return;
    case DIFFERENCE_LEFT_OVER:
        append_left_over(line, difference);
        return;
    case DIFFERENCE_NOT_MAPPED:
        append_group(line, "not mapped: group ", difference);
        append_bound_by(line, difference);
        return;
    case DIFFERENCE_NOT_BOUND:
        append_group(line, "not bound: group ", difference);
        buffer_append_format(line, ", which comes of issuers[%zu].groupMapping.rules[%zu]", difference->issuer,
                             difference->rule);
        return;
    case DIFFERENCE_KEPT:
        append_group(line, "perhaps mapped, as unmapped is Keep: group ", difference);
        append_bound_by(line, difference);
        return;
    }
}

struct report {
    size_t n_differences;
    struct buffer line;
    int error; /* of any line */
};

static void print_line(struct report *report) {
    if (report->line.error != 0)
        report->error = report->line.error;
    else
        fwrite(report->line.data, 1, report->line.n_bytes, stdout);
}

static void print_difference(void *context, const struct difference *difference) {
    struct report *report = context;
    buffer_clear(&report->line);
    append_difference(&report->line, difference);
    buffer_append_char(&report->line, '\n');
    print_line(report);
    report->n_differences += difference->kind != DIFFERENCE_KEPT;
}

/* ---- --diff ---- */

static int read_list(const char *path, struct rbac_list **ret_list, struct error *error) {
    struct secret *bytes;
    const bool is_stream = strcmp(path, "-") == 0;
    const char *source = is_stream ? "standard input" : path;
    int r = is_stream ? file_read_stream(STDIN_FILENO, source, LIMIT_RBAC_LIST_BYTES, &bytes, error)
                      : file_read(path, LIMIT_RBAC_LIST_BYTES, &bytes, error);
    if (r != 0)
        return r;
    r = rbac_list_decode(secret_text(bytes), source, ret_list, error);
    secret_free(bytes);
    return r;
}

/* "kubectl get" without -A gives the bindings of one namespace, and every other one would seem to be missing. */
static void warn_of_half_a_list(const struct rbac_list *live) {
    const bool has_both = live->n_cluster_bindings > 0 && live->n_cluster_bindings < live->n_items;
    if (!has_both)
        fprintf(stderr,
                "warning: the list has no %s at all, and every cluster has some: was it made by \"kubectl get "
                "clusterrolebindings,rolebindings -A -o json\"?\n",
                live->n_cluster_bindings == 0 ? "ClusterRoleBinding" : "RoleBinding");
}

/* What was not looked for, since it cannot be known here. */
static void print_notes(const struct policy *policy, struct report *report) {
    struct buffer *line = &report->line;
    for (size_t i = 0; i < policy->n_issuers; i++) {
        const struct issuer_policy *issuer = &policy->issuers[i];
        if (issuer->groups_claim.n_bytes == 0 || issuer->drop_unmapped_groups)
            continue;
        buffer_clear(line);
        buffer_append(line, TEXT("note: issuer "));
        buffer_append(line, issuer->name);
        buffer_append(line, TEXT(" has unmapped: Keep, so groups that begin with "));
        append_name(line, issuer->groups_prefix);
        buffer_append(line, TEXT(" are called not mapped only where a rule says otherwise\n"));
        print_line(report);
    }
}

static void print_end(const struct report *report, const struct bindings *made) {
    if (report->n_differences == 0)
        printf("no difference: all bindings of the rules are there (%zu)\n", made->n_items);
    else
        printf("%zu %s\n", report->n_differences, report->n_differences == 1 ? "difference" : "differences");
}

static int diff(const struct policy *policy, const struct bindings *made, const char *path, struct arena *arena,
                bool *ret_is_same, struct error *error) {
    struct rbac_list *live;
    int r = read_list(path, &live, error);
    if (r != 0)
        return r;
    warn_of_half_a_list(live);
    struct report report = {.error = 0};
    buffer_init(&report.line, LIMIT_RBAC_LINE_BYTES);
    r = bindings_compare(policy, made, live, arena, print_difference, &report);
    if (r == 0)
        print_notes(policy, &report);
    if (r == 0)
        r = report.error;
    if (r == 0)
        print_end(&report, made);
    buffer_deinit(&report.line);
    rbac_list_free(live);
    *ret_is_same = report.n_differences == 0;
    return r;
}

/* ---- rendering ---- */

static int render(const struct config *config, const struct bindings *made) {
    struct buffer document;
    buffer_init(&document, LIMIT_RBAC_BINDING_BYTES);
    if (made->n_items == 0)
        fprintf(stderr, "%s: nothing to render: no rule of a groupMapping has bind\n", config->path);
    else
        printf("# Made by kube-introspect render-rbac: change the configuration's groupMapping, not this.\n");
    int r = 0;
    for (size_t i = 0; i < made->n_items && r == 0; i++) {
        buffer_clear(&document);
        rbac_encode(&made->items[i], &document);
        r = document.error;
        if (r == 0)
            fwrite(document.data, 1, document.n_bytes, stdout);
    }
    buffer_deinit(&document);
    return r;
}

static int act(const struct config *config, const char *diff_path, bool *ret_is_same, struct error *error) {
    struct arena *arena;
    struct bindings made;
    int r = arena_new(LIMIT_RBAC_ARENA_BYTES, &arena);
    if (r != 0)
        return r;
    r = bindings_make(&config->policy, arena, &made);
    if (r == 0)
        r = diff_path == NULL ? render(config, &made) : diff(&config->policy, &made, diff_path, arena, ret_is_same, error);
    arena_free(arena);
    return r;
}

/* A part of the bindings must not be taken for all of them. */
static int finish_output(struct error *error) {
    errno = 0;
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return 0;
    error_set(error, "standard output: %s", strerror(errno == 0 ? EIO : errno));
    return -EIO;
}

int command_render_rbac(const char *config_path, const char *diff_path) {
    struct error error = {"out of memory"};
    struct config *config = NULL;
    bool is_same = true;
    int r = config_load(config_path, &config, &error);
    if (r == 0)
        r = act(config, diff_path, &is_same, &error);
    if (r == 0)
        r = finish_output(&error);
    config_free(config);
    if (r == 0)
        return is_same ? EXIT_GOOD : EXIT_DIFFERENT;
    fflush(stdout);
    fprintf(stderr, "%s\n", error.text);
    return diff_path == NULL ? EXIT_BAD : EXIT_NO_DIFF;
}
