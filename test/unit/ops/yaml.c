#include "ops/yaml.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/memory.h"

/* A tree and all that belongs to it. */
struct reading {
    struct arena *arena;
    struct yaml_node *root;
    struct error error;
    int result;
};

static struct reading read_bytes(struct text bytes) {
    struct reading reading = {};
    cr_assert_eq(arena_new(LIMIT_CONFIG_ARENA_BYTES, &reading.arena), 0);
    reading.result = yaml_read(bytes, "f", reading.arena, &reading.root, &reading.error);
    return reading;
}

static struct reading read_yaml(const char *yaml) {
    return read_bytes(text_of(yaml));
}

static void expect_error(const char *yaml, const char *message) {
    struct reading reading = read_yaml(yaml);
    cr_expect_eq(reading.result, YAML_INVALID, "%s: %d", yaml, reading.result);
    cr_expect_str_eq(reading.error.text, message, "%s", yaml);
    cr_expect_null(reading.root, "a failed reading gives no tree");
    arena_free(reading.arena);
}

static void expect_text(const struct yaml_node *node, const char *text) {
    cr_assert_not_null(node, "%s", text);
    cr_expect_eq(node->kind, YAML_KIND_SCALAR);
    cr_expect_str_eq(node->text.data, text);
    cr_expect_eq(node->text.n_bytes, strlen(text));
}

Test(yaml, tree_has_values_and_places) {
    struct reading reading = read_yaml("a: 1\n"
                                       "list:\n"
                                       "- x\n"
                                       "- {y: 'two words', \xc3\xbc: z}\n"
                                       "empty: []\n"
                                       "nothing:\n");
    cr_assert_eq(reading.result, 0, "%s", reading.error.text);
    const struct yaml_node *root = reading.root;
    cr_expect_eq(root->kind, YAML_KIND_MAPPING);
    cr_expect_eq(root->n_children, 4);
    expect_text(yaml_member(root, "a"), "1");
    const struct yaml_node *list = yaml_member(root, "list");
    cr_expect_eq(list->kind, YAML_KIND_LIST);
    cr_expect_eq(list->n_children, 2);
    cr_expect_eq(list->line, 2);
    cr_expect_eq(list->column, 1, "a member stands where its key does");
    expect_text(list->first, "x");
    cr_expect_eq(list->first->line, 3);
    cr_expect_eq(list->first->column, 3);
    const struct yaml_node *y = yaml_member(list->last, "y"), *umlaut = yaml_member(list->last, "\xc3\xbc");
    expect_text(y, "two words");
    cr_expect_not(y->is_plain);
    cr_expect_eq(umlaut->column, 20);
    cr_expect_eq(umlaut->index, 1);
    cr_expect_eq(yaml_member(root, "empty")->n_children, 0);
    cr_expect(yaml_is_null(yaml_member(root, "nothing")));
    cr_expect_null(yaml_member(root, "other"));
    cr_expect_null(yaml_member(list, "x"), "a list has no members");
    cr_expect_null(yaml_member(NULL, "x"));
    arena_free(reading.arena);
}

Test(yaml, columns_count_characters) {
    struct reading reading = read_yaml("{\xe2\x82\xac: 1, b: 2}\n");
    cr_assert_eq(reading.result, 0);
    cr_expect_eq(yaml_member(reading.root, "b")->column, 8);
    arena_free(reading.arena);
}

Test(yaml, path_names_keys_and_indices) {
    struct reading reading = read_yaml("issuers:\n- a: 1\n- b:\n    c: [x, y]\n");
    cr_assert_eq(reading.result, 0);
    char path[YAML_PATH_BYTES];
    const struct yaml_node *c = yaml_member(yaml_member(yaml_member(reading.root, "issuers")->last, "b"), "c");
    yaml_path(c->last, path);
    cr_expect_str_eq(path, "issuers[1].b.c[1]");
    yaml_path(reading.root, path);
    cr_expect_str_eq(path, "");
    struct error error;
    yaml_complain(c->last, "f.yaml", &error, "no %s", "good");
    cr_expect_str_eq(error.text, "f.yaml:4:12: issuers[1].b.c[1]: no good");
    yaml_complain(reading.root, "f.yaml", &error, "no good");
    cr_expect_str_eq(error.text, "f.yaml:1:1: no good");
    yaml_complain(c, "f.yaml", NULL, "nobody hears this");
    arena_free(reading.arena);
}

Test(yaml, path_of_the_deepest_and_longest_keys_fits) {
    char yaml[LIMIT_CONFIG_DEPTH * 128], key[101];
    memset(key, 'k', 100);
    key[100] = '\0';
    size_t n = 0;
    for (size_t i = 0; i < LIMIT_CONFIG_DEPTH; i++)
        n += (size_t)snprintf(yaml + n, sizeof(yaml) - n, "{%s: ", key);
    n += (size_t)snprintf(yaml + n, sizeof(yaml) - n, "1");
    memset(yaml + n, '}', LIMIT_CONFIG_DEPTH);
    struct reading reading = read_bytes((struct text){.data = yaml, .n_bytes = n + LIMIT_CONFIG_DEPTH});
    cr_assert_eq(reading.result, 0, "%s", reading.error.text);
    const struct yaml_node *node = reading.root;
    while (node->first != NULL)
        node = node->first;
    char path[YAML_PATH_BYTES + 1];
    path[YAML_PATH_BYTES] = '!';
    yaml_path(node, path);
    cr_expect_eq(strlen(path), LIMIT_CONFIG_DEPTH * 64 - 1, "%zu", strlen(path));
    cr_expect_eq(path[YAML_PATH_BYTES], '!');
    arena_free(reading.arena);
}

Test(yaml, long_key_is_cut_between_characters) {
    char yaml[100];
    memset(yaml, 'k', 59);
    memcpy(yaml + 59, "\xe2\x82\xac\xe2\x82\xac: 1", 10);
    struct reading reading = read_yaml(yaml);
    cr_assert_eq(reading.result, 0);
    char path[YAML_PATH_BYTES];
    yaml_path(reading.root->first, path);
    cr_expect_eq(strlen(path), 62);
    cr_expect_str_eq(path + 57, "kk...");
    arena_free(reading.arena);
}

Test(yaml, null_is_a_word_without_quotes) {
    static const struct {
        const char *yaml;
        bool is_null;
        const char *word;
    } cases[] = {{"a: ", true, "nothing"},     {"a: ~", true, "nothing"},    {"a: null", true, "nothing"},
                 {"a: Null", true, "nothing"}, {"a: NULL", true, "nothing"}, {"a: \"\"", false, "text"},
                 {"a: 'null'", false, "text"}, {"a: nUll", false, "text"},   {"a: []", false, "a list"},
                 {"a: {}", false, "a mapping"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reading reading = read_yaml(cases[i].yaml);
        cr_assert_eq(reading.result, 0, "%s", cases[i].yaml);
        cr_expect_eq(yaml_is_null(reading.root->first), cases[i].is_null, "%s", cases[i].yaml);
        cr_expect_str_eq(yaml_kind_word(reading.root->first), cases[i].word, "%s", cases[i].yaml);
        arena_free(reading.arena);
    }
}

Test(yaml, what_is_not_needed_is_refused_with_its_place) {
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        {"a: &x 1", "f:1:4: anchors (&name) are not accepted: write the value out wherever it is needed"},
        {"a: &x [1]", "f:1:4: anchors (&name) are not accepted: write the value out wherever it is needed"},
        {"a: &x {b: 1}", "f:1:4: anchors (&name) are not accepted: write the value out wherever it is needed"},
        {"&x a: 1", "f:1:1: anchors (&name) are not accepted: write the value out wherever it is needed"},
        {"a: *x", "f:1:4: aliases (*name) are not accepted: write the value out"},
        {"a: !!int 1", "f:1:4: tags (!type) are not accepted: remove it, every field has one type"},
        {"a: ! 1", "f:1:4: tags (!type) are not accepted: remove it, every field has one type"},
        {"a: !!seq [1]", "f:1:4: tags (!type) are not accepted: remove it, every field has one type"},
        {"a: !!map {b: 1}", "f:1:4: tags (!type) are not accepted: remove it, every field has one type"},
        {"a: 1\n---\nb: 2", "f:2:1: a second document starts here: keep one, the file is one configuration"},
        {"a: 1\n---\n", "f:2:1: a second document starts here: keep one, the file is one configuration"},
        {"a: 1\nb: 2\na: 3", "f:3:1: a: this key is already given in line 1: keep one of the two"},
        {"x: {a: 1, 'a': 3}", "f:1:11: x.a: this key is already given in line 1: keep one of the two"},
        {"? [a]\n: 1", "f:1:3: a key must be a word, not a list"},
        {"? {a: 1}\n: 1", "f:1:3: a key must be a word, not a mapping: where a value starts with \"{\", put it in quotes"},
        {"a: {{ b }}", "f:1:5: a key must be a word, not a mapping: where a value starts with \"{\", put it in quotes"},
        {"a: \"b\\0c\"", "f:1:4: the value has a zero byte (\\0 in quotes): remove it"},
        {"\"a\\0b\": c", "f:1:1: the value has a zero byte (\\0 in quotes): remove it"},
        {"%YAML 1.1\n---\na: 1", "f:1:1: a line must not start with \"%\": YAML directives are not accepted"},
        {"a: 1\n...\n%TAG ! x:\n", "f:3:1: a line must not start with \"%\": YAML directives are not accepted"},
        {"a: 1\r%b", "f:1:6: a line must not start with \"%\": YAML directives are not accepted"},
        {"# \xc2\x85%b", "f:1:4: a line must not start with \"%\": YAML directives are not accepted"},
        {"# \xe2\x80\xa8%b", "f:1:4: a line must not start with \"%\": YAML directives are not accepted"},
        {"", "f:1:1: the file is empty: start from manifests/config.example.yaml"},
        {"# only words\n", "f:1:1: the file is empty: start from manifests/config.example.yaml"},
        {"---\n...\n", "f:1:1: the file is empty: start from manifests/config.example.yaml"},
        {"null", "f:1:1: the file is empty: start from manifests/config.example.yaml"},
        {"- a", "f:1:1: the file must be a mapping (key: value) that starts with apiVersion and kind"},
        {"\n  word", "f:2:3: the file must be a mapping (key: value) that starts with apiVersion and kind"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_error(cases[i].yaml, cases[i].message);
}

Test(yaml, bytes_that_are_no_text_are_refused_with_their_place) {
    static const struct {
        struct text bytes;
        const char *message;
    } cases[] = {
        {TEXT("a: b\0c"), "f:1:5: control characters are not allowed: remove the character"},
        {TEXT("a: b\nc: \x7f"), "f:2:4: control characters are not allowed: remove the character"},
        {TEXT("\xc3\xbc: \x01"), "f:1:4: control characters are not allowed: remove the character"},
        {TEXT("a: \xff"), "f:1:4: invalid leading UTF-8 octet: save the file as UTF-8"},
        {TEXT("a: \xc3("), "f:1:5: invalid trailing UTF-8 octet: save the file as UTF-8"},
        {TEXT("a: \xc0\xaf"), "f:1:4: invalid length of a UTF-8 sequence: save the file as UTF-8"},
        {TEXT("a: b\nc: \xe2\x82"), "f:2:4: incomplete UTF-8 octet sequence: save the file as UTF-8"},
        {TEXT("\xff\xfe"
              "a\0:\0 \0b\0"),
         "f:1:1: invalid leading UTF-8 octet: save the file as UTF-8"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reading reading = read_bytes(cases[i].bytes);
        cr_expect_eq(reading.result, YAML_INVALID);
        cr_expect_str_eq(reading.error.text, cases[i].message);
        arena_free(reading.arena);
    }
}

Test(yaml, byte_order_mark_and_windows_line_ends_are_read) {
    struct reading reading = read_yaml("\xef\xbb\xbf"
                                       "a: 1\r\nb: 2\r\n");
    cr_assert_eq(reading.result, 0, "%s", reading.error.text);
    expect_text(yaml_member(reading.root, "a"), "1");
    expect_text(yaml_member(reading.root, "b"), "2");
    cr_expect_eq(yaml_member(reading.root, "a")->column, 1);
    arena_free(reading.arena);
}

/* n times a text, between two others. */
static char *repeat(const char *before, const char *text, size_t n, const char *after, size_t *ret_n_bytes) {
    const size_t n_text = strlen(text);
    char *all = malloc(strlen(before) + n * n_text + strlen(after) + 1);
    cr_assert_not_null(all);
    char *end = stpcpy(all, before);
    for (size_t i = 0; i < n; i++)
        end = stpcpy(end, text);
    end = stpcpy(end, after);
    *ret_n_bytes = (size_t)(end - all);
    return all;
}

static void expect_repeated(const char *before, const char *text, size_t n, const char *after, const char *message) {
    size_t n_bytes;
    char *yaml = repeat(before, text, n, after, &n_bytes);
    struct reading reading = read_bytes((struct text){.data = yaml, .n_bytes = n_bytes});
    cr_expect_eq(reading.result, message == NULL ? 0 : YAML_INVALID, "%s%s...: %s", before, text, reading.error.text);
    if (message != NULL)
        cr_expect_str_eq(reading.error.text, message);
    arena_free(reading.arena);
    free(yaml);
}

Test(yaml, limits_hold_and_what_is_at_them_is_read) {
    expect_repeated("a: [", "1,", LIMIT_CONFIG_LIST, "]", NULL);
    expect_repeated("a: [", "1,", LIMIT_CONFIG_LIST + 1, "]",
                    "f:1:2053: a list or mapping has more than 1024 entries: shorten it");
    expect_repeated("a: ", "{a: ", LIMIT_CONFIG_DEPTH, "",
                    "f:1:64: more than 16 levels: no field of the configuration lies so deep");
    expect_repeated("a: [", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],", 666, "]", NULL);
    expect_repeated("a: [", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],", 667, "]",
                    "f:1:40000: the file has more than 20000 values: shorten it");
    expect_repeated("a: ", "bbbbbbbbbbbbbbbb", LIMIT_CONFIG_BYTES / 16 - 1, "", NULL);
    expect_repeated("a: ", "bbbbbbbbbbbbbbbb", LIMIT_CONFIG_BYTES / 16, "",
                    "f:1:1: the file is larger than 1048576 bytes: shorten it");
}

Test(yaml, arena_that_is_full_is_no_memory) {
    struct arena *arena;
    struct yaml_node *root;
    struct error error;
    cr_assert_eq(arena_new(300, &arena), 0);
    cr_expect_eq(yaml_read(TEXT("a: {b: {c: d}}"), "f", arena, &root, &error), -ENOMEM);
    arena_free(arena);
}

Test(yaml, every_allocation_failure_is_survived) {
    const struct text yaml = TEXT("a: {b: [c, d]}\ne: f\n");
    int r = -ENOMEM;
    for (size_t n = 1; r == -ENOMEM; n++) {
        struct arena *arena = NULL;
        struct yaml_node *root;
        struct error error;
        memory_fail_at(n);
        r = arena_new(LIMIT_CONFIG_ARENA_BYTES, &arena);
        if (r == 0)
            r = yaml_read(yaml, "f", arena, &root, &error);
        const bool has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert_eq(r, has_failed ? -ENOMEM : 0);
        arena_free(arena);
    }
}
