#include "ops/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "base/limits.h"

/* A tree under construction, fed with libyaml's events in the order of the file. */
struct builder {
    const char *path;
    struct arena *arena;
    struct error *error;
    struct yaml_node *root;
    struct yaml_node *open; /* the innermost list or mapping that has not ended */
    size_t depth, n_nodes;
    struct text key; /* read, and waiting for its value */
    bool has_key;
    yaml_mark_t key_mark;
    bool has_ended; /* the document: another one may not follow */
};

#define complain(builder, mark, format, ...)                                                                               \
    error_set((builder)->error, "%s:%zu:%zu: " format, (builder)->path, (mark).line + 1,                                   \
              (mark).column + 1 __VA_OPT__(, ) __VA_ARGS__)

/* ---- nodes ---- */

static int add_node(struct builder *builder, enum yaml_kind kind, yaml_mark_t mark, struct yaml_node **ret_node) {
    struct yaml_node *parent = builder->open;
    if (++builder->n_nodes > LIMIT_CONFIG_NODES) {
        complain(builder, mark, "the file has more than %d values: shorten it", LIMIT_CONFIG_NODES);
        return YAML_INVALID;
    }
    if (parent != NULL && parent->n_children >= LIMIT_CONFIG_LIST) {
        complain(builder, mark, "a list or mapping has more than %d entries: shorten it", LIMIT_CONFIG_LIST);
        return YAML_INVALID;
    }
    struct yaml_node *node = arena_alloc(builder->arena, sizeof(*node));
    if (node == NULL)
        return -ENOMEM;
    const yaml_mark_t place = builder->has_key ? builder->key_mark : mark;
    node->kind = kind;
    node->line = (uint32_t)place.line + 1;
    node->column = (uint32_t)place.column + 1;
    node->key = builder->key;
    node->parent = parent;
    builder->key = (struct text){};
    builder->has_key = false;
    if (parent == NULL) {
        builder->root = node;
    } else {
        node->index = parent->n_children++;
        *(parent->last == NULL ? &parent->first : &parent->last->next) = node;
        parent->last = node;
    }
    *ret_node = node;
    return 0;
}

static bool is_key_expected(const struct builder *builder) {
    return builder->open != NULL && builder->open->kind == YAML_KIND_MAPPING && !builder->has_key;
}

static int copy_scalar(struct builder *builder, const yaml_event_t *event, struct text *ret_text) {
    const struct text value = {.data = (const char *)event->data.scalar.value, .n_bytes = event->data.scalar.length};
    if (memchr(value.data, '\0', value.n_bytes) != NULL) {
        complain(builder, event->start_mark, "the value has a zero byte (\\0 in quotes): remove it");
        return YAML_INVALID;
    }
    const char *copy = arena_string(builder->arena, value);
    if (copy == NULL)
        return -ENOMEM;
    *ret_text = (struct text){.data = copy, .n_bytes = value.n_bytes};
    return 0;
}

static int take_key(struct builder *builder, const yaml_event_t *event) {
    const int r = copy_scalar(builder, event, &builder->key);
    if (r != 0)
        return r;
    for (const struct yaml_node *other = builder->open->first; other != NULL; other = other->next) {
        if (!text_equal(other->key, builder->key))
            continue;
        char path[YAML_PATH_BYTES];
        yaml_path(other, path);
        complain(builder, event->start_mark, "%s: this key is already given in line %u: keep one of the two", path,
                 other->line);
        return YAML_INVALID;
    }
    builder->key_mark = event->start_mark;
    builder->has_key = true;
    return 0;
}

/* ---- events ---- */

static int take_scalar(struct builder *builder, const yaml_event_t *event) {
    if (is_key_expected(builder))
        return take_key(builder, event);
    struct yaml_node *node;
    int r = add_node(builder, YAML_KIND_SCALAR, event->start_mark, &node);
    if (r != 0)
        return r;
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return copy_scalar(builder, event, &node->text);
}

static int open_collection(struct builder *builder, const yaml_event_t *event, enum yaml_kind kind) {
    if (is_key_expected(builder)) {
        complain(builder, event->start_mark, "a key must be a word, not %s",
                 kind == YAML_KIND_LIST ? "a list" : "a mapping: where a value starts with \"{\", put it in quotes");
        return YAML_INVALID;
    }
    if (builder->depth >= LIMIT_CONFIG_DEPTH) {
        complain(builder, event->start_mark, "more than %d levels: no field of the configuration lies so deep",
                 LIMIT_CONFIG_DEPTH);
        return YAML_INVALID;
    }
    struct yaml_node *node;
    const int r = add_node(builder, kind, event->start_mark, &node);
    if (r != 0)
        return r;
    builder->open = node;
    builder->depth++;
    return 0;
}

static int close_collection(struct builder *builder) {
    builder->open = builder->open->parent;
    builder->depth--;
    return 0;
}

/* Anchors and tags of whatever the event is; libyaml gives both as zero-terminated text. */
static int refuse_decoration(struct builder *builder, yaml_mark_t mark, const yaml_char_t *anchor, const yaml_char_t *tag) {
    if (anchor != NULL)
        complain(builder, mark, "anchors (&name) are not accepted: write the value out wherever it is needed");
    else if (tag != NULL)
        complain(builder, mark, "tags (!type) are not accepted: remove it, every field has one type");
    return anchor != NULL || tag != NULL ? YAML_INVALID : 0;
}

static int take_document(struct builder *builder, const yaml_event_t *event) {
    if (builder->has_ended) {
        complain(builder, event->start_mark, "a second document starts here: keep one, the file is one configuration");
        return YAML_INVALID;
    }
    builder->has_ended = true;
    return 0;
}

static int take_event(struct builder *builder, const yaml_event_t *event) {
    int r;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return take_document(builder, event);
    case YAML_ALIAS_EVENT:
        complain(builder, event->start_mark, "aliases (*name) are not accepted: write the value out");
        return YAML_INVALID;
    case YAML_SCALAR_EVENT:
        r = refuse_decoration(builder, event->start_mark, event->data.scalar.anchor, event->data.scalar.tag);
        return r != 0 ? r : take_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT:
        r = refuse_decoration(builder, event->start_mark, event->data.sequence_start.anchor,
                              event->data.sequence_start.tag);
        return r != 0 ? r : open_collection(builder, event, YAML_KIND_LIST);
    case YAML_MAPPING_START_EVENT:
        r = refuse_decoration(builder, event->start_mark, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        return r != 0 ? r : open_collection(builder, event, YAML_KIND_MAPPING);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_collection(builder);
    default:
        return 0;
    }
}

/* ---- what libyaml says ---- */

/* libyaml gives the place of a byte that it cannot read as an offset only. */
static yaml_mark_t mark_of_offset(struct text bytes, size_t offset) {
    yaml_mark_t mark = {};
    for (size_t i = 0; i < offset && i < bytes.n_bytes; i++) {
        const unsigned char c = (unsigned char)bytes.data[i];
        if (c == '\n') {
            mark.line++;
            mark.column = 0;
        } else if ((c & 0xc0) != 0x80) { /* not the continuation of a character */
            mark.column++;
        }
    }
    return mark;
}

/* The byte that the n-th character starts with; libyaml's marks count characters. Zero behind the end. */
static char byte_at(struct text bytes, size_t n) {
    for (size_t i = 0; i < bytes.n_bytes; i++) {
        if (((unsigned char)bytes.data[i] & 0xc0) != 0x80 && n-- == 0)
            return bytes.data[i];
    }
    return '\0';
}

/* What to do about the mistakes that are made most often; libyaml's own words say only what it was looking for. */
static const char *way_out(const char *problem, char at) {
    if (at == '\t')
        return ": a tab stands here, indent with spaces";
    if (strcmp(problem, "mapping values are not allowed in this context") == 0)
        return ": indent the line like its neighbours, or put a value that holds \": \" in quotes";
    if (strcmp(problem, "did not find expected key") == 0 || strcmp(problem, "could not find expected ':'") == 0)
        return ": look for a wrong indentation or a missing \":\" here or in the line above";
    if (strcmp(problem, "did not find expected ',' or ']'") == 0 ||
        strcmp(problem, "did not find expected ',' or '}'") == 0)
        return ": a comma is missing, or a bracket that was opened is not closed";
    if (strcmp(problem, "did not find expected node content") == 0)
        return ": a value is missing";
    if (strcmp(problem, "found unexpected end of stream") == 0)
        return ": a quote that was opened is not closed";
    if (strcmp(problem, "found unknown escape character") == 0)
        return ": write a backslash as two, or use single quotes";
    if (strcmp(problem, "found character that cannot start any token") == 0)
        return ": put the value in quotes";
    if (strcmp(problem, "control characters are not allowed") == 0)
        return ": remove the character";
    return "";
}

static int report(struct builder *builder, const yaml_parser_t *parser, struct text bytes) {
    if (parser->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    const char *problem = parser->problem == NULL ? "this is not YAML" : parser->problem;
    if (parser->error == YAML_READER_ERROR) {
        const yaml_mark_t mark = mark_of_offset(bytes, parser->problem_offset);
        complain(builder, mark, "%s%s", problem,
                 strstr(problem, "UTF-8") == NULL ? way_out(problem, '\0') : ": save the file as UTF-8");
        return YAML_INVALID;
    }
    const yaml_mark_t mark = parser->problem_mark;
    complain(builder, mark, "%s%s%s%s", parser->context == NULL ? "" : parser->context, parser->context == NULL ? "" : ", ",
             problem, way_out(problem, byte_at(bytes, mark.index)));
    return YAML_INVALID;
}

static int read_events(struct builder *builder, yaml_parser_t *parser, struct text bytes) {
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return report(builder, parser, bytes);
        const bool is_end = event.type == YAML_STREAM_END_EVENT;
        const int r = take_event(builder, &event);
        yaml_event_delete(&event);
        if (r != 0 || is_end)
            return r;
    }
}

/* Whether a line begins at this byte, by any of the line breaks that libyaml knows. */
static bool is_line_start(struct text bytes, size_t offset) {
    static const struct text breaks[] = {TEXT("\n"), TEXT("\r"), TEXT("\xc2\x85"), TEXT("\xe2\x80\xa8"),
                                         TEXT("\xe2\x80\xa9")};
    for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
        const size_t n = breaks[i].n_bytes;
        if (offset >= n && memcmp(bytes.data + offset - n, breaks[i].data, n) == 0)
            return true;
    }
    return offset == 0;
}

/* libyaml compares each %TAG with all before it: a file of nothing else would take 15 seconds. */
static int refuse_directives(struct builder *builder, struct text bytes) {
    for (size_t i = 0; i < bytes.n_bytes; i++) {
        if (bytes.data[i] != '%' || !is_line_start(bytes, i))
            continue;
        complain(builder, mark_of_offset(bytes, i), "a line must not start with \"%%\": YAML directives are not accepted");
        return YAML_INVALID;
    }
    return 0;
}

static int check_root(const struct builder *builder) {
    if (builder->root == NULL || yaml_is_null(builder->root))
        error_set(builder->error, "%s:1:1: the file is empty: start from manifests/config.example.yaml", builder->path);
    else if (builder->root->kind != YAML_KIND_MAPPING)
        yaml_complain(builder->root, builder->path, builder->error,
                      "the file must be a mapping (key: value) that starts with apiVersion and kind");
    else
        return 0;
    return YAML_INVALID;
}

int yaml_read(struct text bytes, const char *path, struct arena *arena, struct yaml_node **ret_root, struct error *error) {
    struct builder builder = {.path = path, .arena = arena, .error = error};
    if (bytes.n_bytes > LIMIT_CONFIG_BYTES) {
        error_set(error, "%s:1:1: the file is larger than %zu bytes: shorten it", path, LIMIT_CONFIG_BYTES);
        return YAML_INVALID;
    }
    const struct text mark = TEXT("\xef\xbb\xbf"); /* told the encoding, libyaml takes a byte order mark for text */
    if (text_starts_with(bytes, mark))
        bytes = (struct text){.data = bytes.data + mark.n_bytes, .n_bytes = bytes.n_bytes - mark.n_bytes};
    int r = refuse_directives(&builder, bytes);
    yaml_parser_t parser;
    if (r == 0 && !yaml_parser_initialize(&parser))
        r = -ENOMEM;
    if (r != 0)
        return r;
    /* Told, or UTF-16 would be read as well, and its places would be wrong. */
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(bytes.n_bytes == 0 ? "" : bytes.data), bytes.n_bytes);
    r = read_events(&builder, &parser, bytes);
    yaml_parser_delete(&parser);
    if (r == 0)
        r = check_root(&builder);
    if (r == 0)
        *ret_root = builder.root;
    return r;
}

/* ---- using a tree ---- */

const struct yaml_node *yaml_member(const struct yaml_node *node, const char *key) {
    if (node == NULL || node->kind != YAML_KIND_MAPPING)
        return NULL;
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        if (text_equal(child->key, text_of(key)))
            return child;
    }
    return NULL;
}

bool yaml_is_null(const struct yaml_node *node) {
    if (node->kind != YAML_KIND_SCALAR || !node->is_plain)
        return false;
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (text_equal(node->text, text_of(words[i])))
            return true;
    }
    return false;
}

const char *yaml_kind_word(const struct yaml_node *node) {
    if (node->kind == YAML_KIND_LIST)
        return "a list";
    if (node->kind == YAML_KIND_MAPPING)
        return "a mapping";
    return yaml_is_null(node) ? "nothing" : "text";
}

/* Writes a key as one may print it. Returns the bytes written. */
static size_t write_key(struct text key, char *to) {
    size_t n = key.n_bytes;
    if (n > 60) {
        for (n = 60; n > 0 && ((unsigned char)key.data[n] & 0xc0) == 0x80; n--)
            ; /* not in the middle of a character */
    }
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)key.data[i];
        to[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    if (n == key.n_bytes)
        return n;
    memcpy(to + n, "...", 3);
    return n + 3;
}

void yaml_path(const struct yaml_node *node, char *ret_path) {
    const struct yaml_node *chain[LIMIT_CONFIG_DEPTH + 1];
    size_t n_levels = 0;
    for (; node->parent != NULL && n_levels < LIMIT_CONFIG_DEPTH; node = node->parent)
        chain[n_levels++] = node;
    char *end = ret_path;
    while (n_levels > 0) {
        const struct yaml_node *level = chain[--n_levels];
        if (level->parent->kind == YAML_KIND_LIST) {
            end += snprintf(end, 16, "[%zu]", level->index);
            continue;
        }
        if (end != ret_path)
            *end++ = '.';
        end += write_key(level->key, end);
    }
    *end = '\0';
}

void yaml_complain(const struct yaml_node *node, const char *path, struct error *error, const char *format, ...) {
    if (error == NULL)
        return;
    char message[LIMIT_ERROR_BYTES], field[YAML_PATH_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    yaml_path(node, field);
    error_set(error, "%s:%u:%u: %s%s%s", path, node->line, node->column, field, field[0] == '\0' ? "" : ": ", message);
}
