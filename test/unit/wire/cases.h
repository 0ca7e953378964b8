/*
 * Files in test/data of which each is a case: JSON, as the README beside them tells. What the tests of decoders have in
 * common who go through such a folder.
 */
#pragma once

#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* Looks at one file. */
typedef void case_check(const char *file, const json_t *document);

static inline json_t *case_load(const char *folder, const char *file) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    json_error_t where;
    json_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    cr_assert_not_null(document, "%s:%d: %s", path, where.line, where.text);
    return document;
}

/* Goes through all files of a folder. Returns how many there are. */
static inline size_t cases_check(const char *path, case_check *check) {
    DIR *folder = opendir(path);
    cr_assert_not_null(folder, "%s: run this from the root of the repository", path);
    size_t n_files = 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        const size_t n = strlen(entry->d_name);
        if (n < 5 || strcmp(entry->d_name + n - 5, ".json") != 0)
            continue;
        json_t *document = case_load(path, entry->d_name);
        n_files++;
        check(entry->d_name, document);
        json_decref(document);
    }
    closedir(folder);
    return n_files;
}

/* A member that is a text; NULL where there is none. */
static inline const char *case_text(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

/* The decoder said what expect.decode names, with a text for an error only, and without quoting what the body holds. */
static inline void case_expect_result(int result, const struct error *error, const json_t *expect, const char *secret,
                                      const char *file) {
    /* All reviews' errors begin with these. */
    static const char *const words[] = {"ok", "malformed", "wrong_kind", "invalid", "too_many"};
    cr_assert(result >= 0 && (size_t)result < sizeof(words) / sizeof(words[0]), "%s: %d", file, result);
    cr_expect_str_eq(words[result], case_text(expect, "decode"), "%s: %s, %s", file, words[result], error->text);
    cr_expect_eq(result == 0, error->text[0] == '\0', "%s: an error has a text, and only an error: %s", file, error->text);
    cr_expect_null(strstr(error->text, secret), "%s: the body is quoted: %s", file, error->text);
}
