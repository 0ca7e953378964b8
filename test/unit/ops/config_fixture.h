/*
 * What the tests of the configuration share.
 */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/file.h"
#include "base/secret.h"
#include "ops/config.h"

#define GOOD "test/data/configurations/good/"
#define EXAMPLE "manifests/config.example.yaml"

static inline struct secret *read_whole(const char *path) {
    struct secret *bytes;
    struct error error;
    cr_assert_eq(file_read(path, LIMIT_CONFIG_BYTES, &bytes, &error), 0, "%s", error.text);
    return bytes;
}

static inline struct config *load(const char *path) {
    struct config *config;
    struct error error;
    cr_assert_eq(config_load(path, &config, &error), 0, "%s", error.text);
    return config;
}

static inline void expect_text(struct text actual, const char *expected) {
    cr_expect(text_equal(actual, text_of(expected)), "%.*s is not %s", (int)actual.n_bytes, actual.data, expected);
}

static inline void expect_list(const struct text_list *list, const char *const *expected) {
    size_t n = 0;
    for (; expected[n] != NULL; n++) {
        cr_assert_lt(n, list->n_items, "%s is missing", expected[n]);
        expect_text(list->items[n], expected[n]);
    }
    cr_expect_eq(list->n_items, n);
}
#define EXPECT_LIST(list, ...) expect_list((list), (const char *const[]){__VA_ARGS__, NULL})

/* Parses the least file with text put behind its end, or, where name is given, in place of the first place of name. */
static inline int parse_with(const char *name, const char *text, struct config **ret_config, struct error *error) {
    struct secret *bytes = read_whole(GOOD "minimal.yaml");
    const struct text base = secret_text(bytes);
    const char *at = name == NULL ? base.data + base.n_bytes : strstr(base.data, name);
    cr_assert_not_null(at);
    const char *rest = at + (name == NULL ? 0 : strlen(name));
    char yaml[8192];
    const int n = snprintf(yaml, sizeof(yaml), "%.*s%s%s", (int)(at - base.data), base.data, text, rest);
    cr_assert_lt((size_t)n, sizeof(yaml));
    const int r = config_parse((struct text){.data = yaml, .n_bytes = (size_t)n}, "f", ret_config, error);
    secret_free(bytes);
    return r;
}
