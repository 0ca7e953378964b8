/* docs/configuration.md and the reader know the same fields. */
#include "ops/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "config_fixture.h"

#define DOCS "docs/configuration.md"

/* A row of a table in the docs, and whether the reader knows it. */
struct row {
    char cells[4][128]; /* field, type or state, default, range; without backquotes */
    bool is_matched;
};

struct docs {
    struct row rows[256];
    size_t n_rows;
    size_t n_known;
};

/* Copies the text up to the next "|" without backquotes and surrounding blanks. Returns what follows the bar. */
static const char *take_cell(const char *text, char *ret_cell, size_t n_bytes) {
    size_t n = 0;
    for (; *text != '|' && *text != '\n' && *text != '\0'; text++) {
        if (*text != '`' && (n > 0 || *text != ' ') && n + 1 < n_bytes)
            ret_cell[n++] = *text;
    }
    while (n > 0 && ret_cell[n - 1] == ' ')
        n--;
    ret_cell[n] = '\0';
    return *text == '|' ? text + 1 : text;
}

static void read_docs(struct docs *docs) {
    struct secret *bytes = read_whole(DOCS);
    const char *line = secret_text(bytes).data;
    for (; line != NULL; line = strchr(line, '\n'), line = line == NULL ? NULL : line + 1) {
        if (strncmp(line, "| `", 3) != 0)
            continue;
        cr_assert_lt(docs->n_rows, sizeof(docs->rows) / sizeof(docs->rows[0]));
        struct row *row = &docs->rows[docs->n_rows++];
        const char *rest = line + 1;
        for (size_t i = 0; i < 4; i++)
            rest = take_cell(rest, row->cells[i], sizeof(row->cells[i]));
    }
    secret_free(bytes);
}

static void match(void *context, const struct config_field *field) {
    struct docs *docs = context;
    const bool has_value = field->is_absent && field->range != NULL;
    char path[256];
    snprintf(path, sizeof(path), "%s%s%s", field->path, has_value ? ": " : "", has_value ? field->range : "");
    docs->n_known++;
    struct row *row = NULL;
    for (size_t i = 0; i < docs->n_rows && row == NULL; i++) {
        if (strcmp(docs->rows[i].cells[0], path) == 0)
            row = &docs->rows[i];
    }
    if (row == NULL) {
        cr_expect_fail(DOCS " does not describe %s", path);
        return;
    }
    cr_expect_not(row->is_matched, "%s is described twice", path);
    row->is_matched = true;
    cr_expect_str_eq(row->cells[1], field->is_absent ? "not in this release" : field->type, "%s", path);
    if (field->is_absent)
        return;
    const char *by_default = field->is_required ? "required" : field->by_default == NULL ? "none" : field->by_default;
    cr_expect_str_eq(row->cells[2], by_default[0] == '\0' ? "\"\"" : by_default, "%s", path);
    cr_expect_str_eq(row->cells[3], field->range, "%s", path);
}

Test(config_docs, docs_describe_every_field_and_no_other) {
    struct docs *docs = calloc(1, sizeof(*docs));
    cr_assert_not_null(docs);
    read_docs(docs);
    config_describe(match, docs);
    for (size_t i = 0; i < docs->n_rows; i++)
        cr_expect(docs->rows[i].is_matched, DOCS " describes %s, which the reader does not know", docs->rows[i].cells[0]);
    cr_expect_gt(docs->n_known, 80);
    free(docs);
}

Test(config_docs, docs_begin_with_the_example) {
    struct secret *docs = read_whole(DOCS), *example = read_whole(EXAMPLE);
    const char *block = strstr(secret_text(docs).data, "```yaml\n");
    cr_assert_not_null(block);
    const struct text text = secret_text(example);
    cr_expect_eq(strncmp(block + 8, text.data, text.n_bytes), 0, EXAMPLE " and the example in " DOCS " differ");
    cr_expect_eq(strncmp(block + 8 + text.n_bytes, "```\n", 4), 0);
    secret_free(docs);
    secret_free(example);
}
