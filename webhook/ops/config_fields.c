#include "ops/config_fields.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "ops/config_checks.h"
#include "ops/config_hints.h"

/* ---- scalars in general ---- */

/* The other way out of a value that is not there. */
static const char *or_leave_out(const struct field *field) {
    return field->required == NULL ? ", or leave the field out" : "";
}

/* A value that is there and is no list or mapping. */
static int expect_scalar(struct config_reader *reader, const struct yaml_node *node, const struct field *field,
                         const char *what) {
    if (node->kind == YAML_KIND_SCALAR && !yaml_is_null(node))
        return 0;
    if (yaml_is_null(node))
        return config_refuse(reader, node, "the value is missing: write %s%s", what, or_leave_out(field));
    return config_refuse(reader, node, "this must be %s, not %s", what, yaml_kind_word(node));
}

static bool has_control_character(struct text text) {
    for (size_t i = 0; i < text.n_bytes; i++) {
        const unsigned char c = (unsigned char)text.data[i];
        const bool is_c1 = c == 0xc2 && i + 1 < text.n_bytes && (unsigned char)text.data[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || is_c1)
            return true;
    }
    return false;
}

static int expect_text(struct config_reader *reader, const struct yaml_node *node, const struct field *field) {
    const int r = expect_scalar(reader, node, field, field->may_be_empty ? "\"\" for an empty text" : "text");
    if (r != 0)
        return r;
    const int64_t max = field->max == 0 ? LIMIT_CONFIG_TEXT_BYTES : field->max;
    if (node->text.n_bytes == 0 && !field->may_be_empty)
        return config_refuse(reader, node, "this must not be empty");
    if ((int64_t)node->text.n_bytes > max)
        return config_refuse(reader, node, "this is longer than %" PRId64 " bytes: shorten it", max);
    if (has_control_character(node->text))
        return config_refuse(reader, node, "the text has a line break or another control character: remove it");
    const char *wrong = field->check == NULL || node->text.n_bytes == 0 ? NULL : field->check(node->text);
    return wrong == NULL ? 0 : config_refuse(reader, node, "%s", wrong);
}

/* ---- text ---- */

static int read_text(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    const int r = expect_text(reader, node, field);
    if (r == 0)
        *(struct text *)to = node->text;
    return r;
}

const struct field_type field_text = {.word = "text", .read = read_text};

static int read_string(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    const int r = expect_text(reader, node, field);
    if (r != 0)
        return r;
    char *copy = arena_string(reader->arena, node->text);
    if (copy == NULL)
        return -ENOMEM;
    *(char **)to = copy;
    return 0;
}

const struct field_type field_string = {.word = "text", .read = read_string};

static int read_file(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    const struct field path_field = {.required = field->required, .max = LIMIT_CONFIG_PATH_BYTES};
    const int r = expect_text(reader, node, &path_field);
    if (r != 0)
        return r;
    const size_t n_folder = node->text.data[0] == '/' ? 0 : reader->folder.n_bytes;
    char *path = arena_alloc(reader->arena, n_folder + node->text.n_bytes + 1);
    if (path == NULL)
        return -ENOMEM;
    if (n_folder > 0)
        memcpy(path, reader->folder.data, n_folder);
    memcpy(path + n_folder, node->text.data, node->text.n_bytes);
    *(char **)to = path;
    return 0;
}

const struct field_type field_file = {.word = "file", .read = read_file};

static int read_output(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    const bool is_standard = text_equal(node->text, TEXT("-")) && node->kind == YAML_KIND_SCALAR;
    return (is_standard ? read_string : read_file)(reader, node, field, to);
}

const struct field_type field_output = {.word = "file or -", .read = read_output};

static int read_address(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    int r = expect_text(reader, node, field);
    if (r != 0)
        return r;
    struct text host, port;
    const char *wrong = config_check_address(node->text, &host, &port);
    if (wrong != NULL)
        return config_refuse(reader, node, "%s", wrong);
    struct config_listener *listener = to;
    listener->host = arena_string(reader->arena, host);
    listener->port = arena_string(reader->arena, port);
    return listener->host == NULL || listener->port == NULL ? -ENOMEM : 0;
}

const struct field_type field_address = {.word = "address:port", .read = read_address};

/* ---- words ---- */

static int read_boolean(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    const int r = expect_scalar(reader, node, field, "true or false");
    if (r != 0)
        return r;
    const bool is_true = text_equal(node->text, TEXT("true"));
    if (!node->is_plain)
        return config_refuse(reader, node, "this must be true or false without quotes");
    if (!is_true && !text_equal(node->text, TEXT("false")))
        return config_refuse(reader, node, "this must be true or false, in lower case: no other word is a boolean here");
    *(bool *)to = is_true;
    return 0;
}

const struct field_type field_boolean = {.word = "boolean", .read = read_boolean};

static void list_words(const struct field *field, char *ret_range, size_t n_bytes) {
    size_t n = 0;
    ret_range[0] = '\0';
    for (size_t i = 0; field->words[i] != NULL && n < n_bytes; i++) {
        const char *separator = i == 0 ? "" : field->words[i + 1] == NULL ? " or " : ", ";
        n += (size_t)snprintf(ret_range + n, n_bytes - n, "%s%s", separator, field->words[i]);
    }
}

static int find_word(struct config_reader *reader, const struct yaml_node *node, const struct field *field,
                     unsigned *ret_word) {
    char words[256];
    list_words(field, words, sizeof(words));
    const int r = expect_scalar(reader, node, field, words);
    if (r != 0)
        return r;
    for (unsigned i = 0; field->words[i] != NULL; i++) {
        if (text_equal(node->text, text_of(field->words[i]))) {
            *ret_word = i;
            return 0;
        }
    }
    if (config_hints_is_absent(reader, node, node->text))
        return config_refuse(reader, node, "this value is not available in this release: write %s", words);
    const char *near = config_hints_nearest_word(field->words, node->text);
    if (near != NULL && field->words[1] != NULL)
        return config_refuse(reader, node, "this must be %s: did you mean %s?", words, near);
    return config_refuse(reader, node, "this must be %s", words);
}

static int read_choice(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    return find_word(reader, node, field, to);
}

const struct field_type field_choice = {.word = "word", .read = read_choice, .range = list_words};

static int read_either(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    unsigned word;
    const int r = find_word(reader, node, field, &word);
    if (r == 0)
        *(bool *)to = word == 1;
    return r;
}

const struct field_type field_either = {.word = "word", .read = read_either, .range = list_words};

/* ---- numbers ---- */

/* Digits only, without leading zeros: YAML 1.1 would read 010 as 8 and 1_0 as 10. */
static bool parse_number(struct text text, int64_t *ret_number) {
    int64_t number = 0;
    if (text.n_bytes == 0 || text.n_bytes > 10 || (text.n_bytes > 1 && text.data[0] == '0'))
        return false;
    for (size_t i = 0; i < text.n_bytes; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    *ret_number = number;
    return true;
}

static void range_of_number(const struct field *field, char *ret_range, size_t n_bytes) {
    snprintf(ret_range, n_bytes, "%" PRId64 " to %" PRId64, field->min, field->max);
}

static int read_number(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    char range[64];
    int64_t number;
    range_of_number(field, range, sizeof(range));
    const int r = expect_scalar(reader, node, field, "a whole number");
    if (r != 0)
        return r;
    if (!node->is_plain)
        return config_refuse(reader, node, "this must be a whole number from %s, without quotes", range);
    if (!parse_number(node->text, &number) || number < field->min || number > field->max)
        return config_refuse(reader, node, "this must be a whole number from %s", range);
    *(uint32_t *)to = (uint32_t)number;
    return 0;
}

const struct field_type field_number = {.word = "number", .read = read_number, .range = range_of_number};

/* ---- fractions ---- */

/* 0, 1, or 0 and one to three decimals, in thousandths: more of them are an accuracy that nothing has. */
static bool parse_fraction(struct text text, int64_t *ret_permille) {
    int64_t permille = 0;
    const size_t n_decimals = text.n_bytes < 2 ? 0 : text.n_bytes - 2;
    if (text.n_bytes == 1 && (text.data[0] == '0' || text.data[0] == '1')) {
        *ret_permille = text.data[0] == '1' ? 1000 : 0;
        return true;
    }
    if (n_decimals < 1 || n_decimals > 3 || text.data[1] != '.' || (text.data[0] != '0' && text.data[0] != '1'))
        return false;
    for (size_t i = 2; i < 5; i++) {
        const char digit = i < text.n_bytes ? text.data[i] : '0';
        if (digit < '0' || digit > '9')
            return false;
        permille = permille * 10 + (digit - '0');
    }
    *ret_permille = permille + (text.data[0] == '1' ? 1000 : 0);
    return true;
}

/* "0.5", without zeros at the end. */
static void fraction_text(int64_t permille, char ret_text[8]) {
    int n = snprintf(ret_text, 8, "%" PRId64 ".%03" PRId64, permille / 1000 % 10, permille % 1000);
    while (ret_text[n - 1] == '0')
        ret_text[--n] = '\0';
    if (ret_text[n - 1] == '.')
        ret_text[n - 1] = '\0';
}

static void range_of_fraction(const struct field *field, char *ret_range, size_t n_bytes) {
    char min[8], max[8];
    fraction_text(field->min, min);
    fraction_text(field->max, max);
    snprintf(ret_range, n_bytes, "%s to %s", min, max);
}

static int read_fraction(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    char range[64];
    int64_t permille;
    range_of_fraction(field, range, sizeof(range));
    const int r = expect_scalar(reader, node, field, "a fraction such as 0.5");
    if (r != 0)
        return r;
    if (!node->is_plain || !parse_fraction(node->text, &permille) || permille < field->min || permille > field->max)
        return config_refuse(reader, node, "this must be a fraction from %s, written like 0.5, without quotes", range);
    *(uint32_t *)to = (uint32_t)permille;
    return 0;
}

const struct field_type field_fraction = {.word = "fraction", .read = read_fraction, .range = range_of_fraction};

/* ---- durations ---- */

static const struct {
    const char *word;
    int64_t ms;
} units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
#define N_UNITS (sizeof(units) / sizeof(units[0]))

void config_fields_duration_text(int64_t ms, char *ret_text) {
    size_t n = 0;
    if (ms == 0)
        snprintf(ret_text, DURATION_TEXT_BYTES, "0s");
    for (size_t i = 0; i < N_UNITS && ms > 0; i++) {
        if (ms / units[i].ms > 0)
            n += (size_t)snprintf(ret_text + n, DURATION_TEXT_BYTES - n, "%" PRId64 "%s", ms / units[i].ms, units[i].word);
        ms %= units[i].ms;
    }
}

/* Takes "90s" from the front of text. *unit is the index of the smallest unit so far: they come in falling order. */
static bool take_part(struct text *text, size_t *unit, int64_t *ms) {
    size_t n_digits = 0, n_letters = 0;
    while (n_digits < text->n_bytes && text->data[n_digits] >= '0' && text->data[n_digits] <= '9')
        n_digits++;
    while (n_digits + n_letters < text->n_bytes && text->data[n_digits + n_letters] >= 'a')
        n_letters++;
    int64_t number;
    if (!parse_number((struct text){.data = text->data, .n_bytes = n_digits}, &number))
        return false;
    const struct text word = {.data = text->data + n_digits, .n_bytes = n_letters};
    for (; *unit < N_UNITS; ++*unit) {
        if (!text_equal(word, text_of(units[*unit].word)))
            continue;
        *ms += number * units[(*unit)++].ms; /* at most four parts of ten digits: no overflow */
        *text = (struct text){.data = word.data + n_letters, .n_bytes = text->n_bytes - n_digits - n_letters};
        return true;
    }
    return false;
}

static bool parse_duration(struct text text, int64_t *ret_ms) {
    int64_t ms = 0;
    size_t unit = 0;
    if (!text_equal(text, TEXT("0"))) {
        do {
            if (!take_part(&text, &unit, &ms))
                return false;
        } while (text.n_bytes > 0);
    }
    *ret_ms = ms;
    return true;
}

static void range_of_duration(const struct field *field, char *ret_range, size_t n_bytes) {
    char min[DURATION_TEXT_BYTES], max[DURATION_TEXT_BYTES];
    config_fields_duration_text(field->min, min);
    config_fields_duration_text(field->max, max);
    snprintf(ret_range, n_bytes, "%s to %s", min, max);
}

static int read_duration(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    char range[128];
    int64_t ms;
    const int r = expect_scalar(reader, node, field, "a duration, such as 30s or 1m30s");
    if (r != 0)
        return r;
    if (!parse_duration(node->text, &ms))
        return config_refuse(reader, node,
                             "this is no duration: write whole numbers with h, m, s or ms, such as 500ms, 30s or 1m30s");
    range_of_duration(field, range, sizeof(range));
    if (ms < field->min || ms > field->max)
        return config_refuse(reader, node, "the duration must be from %s", range);
    *(int64_t *)to = ms;
    return 0;
}

const struct field_type field_duration = {.word = "duration", .read = read_duration, .range = range_of_duration};

static int read_seconds(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    int64_t ms;
    const int r = read_duration(reader, node, field, &ms);
    if (r != 0)
        return r;
    if (ms % 1000 != 0)
        return config_refuse(reader, node, "the duration must be in whole seconds: the times of tokens are");
    *(int64_t *)to = ms / 1000;
    return 0;
}

const struct field_type field_seconds = {.word = "duration", .read = read_seconds, .range = range_of_duration};

/* ---- lists and mappings ---- */

static int expect_list(struct config_reader *reader, const struct yaml_node *node, const struct field *field) {
    if (node->kind != YAML_KIND_LIST)
        return config_refuse(reader, node, "this must be a list (lines that start with \"-\", or [a, b]), not %s",
                             yaml_kind_word(node));
    if ((int64_t)node->n_children < field->min && field->required != NULL)
        return config_refuse(reader, node, "the list is empty: %s", field->required);
    if ((int64_t)node->n_children < field->min)
        return config_refuse(reader, node, "the list is empty: name at least one, or leave the field out");
    if (field->max != 0 && (int64_t)node->n_children > field->max)
        return config_refuse(reader, node, "the list has more than %" PRId64 " entries: shorten it", field->max);
    return 0;
}

static int read_text_list(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    int r = expect_list(reader, node, field);
    if (r != 0)
        return r;
    struct text_list list = {.items = arena_array(reader->arena, node->n_children, sizeof(struct text))};
    if (list.items == NULL)
        return -ENOMEM;
    const struct field item = {.check = field->check};
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        r = expect_text(reader, child, &item);
        if (r != 0)
            return r;
        if (text_list_contains(&list, child->text))
            return config_refuse(reader, child, "this is in the list already: remove one of the two");
        list.items[list.n_items++] = child->text;
    }
    *(struct text_list *)to = list;
    return 0;
}

const struct field_type field_text_list = {.word = "list of text", .read = read_text_list};

static int expect_mapping(struct config_reader *reader, const struct yaml_node *node, const struct field *field) {
    if (node->kind == YAML_KIND_MAPPING)
        return 0;
    if (yaml_is_null(node))
        return config_refuse(reader, node, "nothing stands below this field: indent what belongs to it%s",
                             or_leave_out(field));
    return config_refuse(reader, node, "this must be a mapping (key: value), not %s", yaml_kind_word(node));
}

static int read_mapping(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to) {
    const int r = expect_mapping(reader, node, field);
    return r != 0 ? r : config_fields_read(reader, node, field->fields, to);
}

const struct field_type field_mapping = {.word = "mapping", .read = read_mapping};

static int read_mapping_list(struct config_reader *reader, const struct yaml_node *node, const struct field *field,
                             void *to) {
    int r = expect_list(reader, node, field);
    if (r != 0)
        return r;
    char *items = arena_array(reader->arena, node->n_children, field->item_bytes);
    if (items == NULL)
        return -ENOMEM;
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        r = expect_mapping(reader, child, field);
        if (r == 0)
            r = config_fields_read(reader, child, field->fields, items + child->index * field->item_bytes);
        if (r != 0)
            return r;
    }
    memcpy(to, &items, sizeof(items)); /* whatever it points to */
    return 0;
}

const struct field_type field_mapping_list = {.word = "list of mappings", .read = read_mapping_list};

/* ---- a mapping's members ---- */

static int check_known(struct config_reader *reader, const struct yaml_node *node, const struct field_table *table) {
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        bool is_known = false;
        for (size_t i = 0; i < table->n_items && !is_known; i++)
            is_known = text_equal(child->key, text_of(table->items[i].name));
        if (!is_known)
            return config_hints_refuse_key(reader, child, table);
    }
    return 0;
}

int config_refuse_absence(struct config_reader *reader, const struct yaml_node *node, const char *name,
                          const char *reason) {
    const struct yaml_node absent = {
        .line = node->line, .column = node->column, .key = text_of(name), .parent = (struct yaml_node *)node};
    return config_refuse(reader, &absent, "this field is missing: %s", reason);
}

static int read_default(struct config_reader *reader, const struct field *field, void *to) {
    if (field->type == &field_mapping)
        return config_fields_read(reader, NULL, field->fields, to);
    if (field->by_default == NULL)
        return 0;
    const struct text text = text_of(field->by_default);
    const struct yaml_node node = {.is_plain = text.n_bytes > 0, .text = text}; /* "" needs its quotes */
    return field->type->read(reader, &node, field, to);
}

static int read_field(struct config_reader *reader, const struct yaml_node *node, const struct field *field, char *to) {
    const struct yaml_node *member = yaml_member(node, field->name);
    if (member == NULL && node != NULL && field->required != NULL)
        return config_refuse_absence(reader, node, field->name, field->required);
    if (member == NULL)
        return read_default(reader, field, to + field->offset);
    const int r = field->type->read(reader, member, field, to + field->offset);
    if (r == 0 && field->type == &field_mapping_list)
        *(size_t *)(to + field->count_offset) = member->n_children;
    return r;
}

int config_fields_read(struct config_reader *reader, const struct yaml_node *node, const struct field_table *table,
                       void *to) {
    int r = node == NULL ? 0 : check_known(reader, node, table);
    for (size_t i = 0; i < table->n_items && r == 0; i++)
        r = read_field(reader, node, &table->items[i], to);
    return r;
}

/* ---- warnings ---- */

int config_warn(struct config_reader *reader, const struct yaml_node *node, const char *message) {
    if (reader->warnings == NULL)
        reader->warnings = arena_array(reader->arena, LIMIT_CONFIG_WARNINGS, sizeof(char *));
    if (reader->warnings == NULL)
        return -ENOMEM;
    if (reader->n_warnings == LIMIT_CONFIG_WARNINGS)
        return 0;
    struct error line;
    yaml_complain(node, reader->path, &line, "%s", message);
    char *copy = arena_string(reader->arena, text_of(line.text));
    if (copy == NULL)
        return -ENOMEM;
    reader->warnings[reader->n_warnings++] = copy;
    return 0;
}

/* ---- what fields there are ---- */

struct walk {
    void (*visit)(void *context, const char *path, const struct field *field);
    void *context;
    char path[256];
};

/* The tables are as deep as they are written, so this recursion is bounded by them. */
static void walk_below(struct walk *walk, size_t n_path, const struct field_table *table) {
    for (size_t i = 0; i < table->n_items; i++) {
        const struct field *field = &table->items[i];
        const size_t room = sizeof(walk->path) - n_path;
        const size_t n = n_path + (size_t)snprintf(walk->path + n_path, room, "%s%s", n_path == 0 ? "" : ".", field->name);
        walk->visit(walk->context, walk->path, field);
        const bool is_list = field->type == &field_mapping_list;
        if (is_list)
            snprintf(walk->path + n, sizeof(walk->path) - n, "[]");
        if (field->fields != NULL)
            walk_below(walk, n + (is_list ? 2 : 0), field->fields);
    }
}

void config_fields_walk(const struct field_table *table,
                        void (*visit)(void *context, const char *path, const struct field *field), void *context) {
    struct walk walk = {.visit = visit, .context = context};
    walk_below(&walk, 0, table);
}
