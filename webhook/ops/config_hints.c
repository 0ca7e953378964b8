#include "ops/config_hints.h"

/* ---- the nearest word ---- */

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t min3(size_t a, size_t b, size_t c) {
    const size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/*
 * How many letters have to be changed, added, removed, or swapped with their neighbour, to make one word of the other
 * (Damerau and Levenshtein); case does not count.
 */
static size_t distance(struct text a, struct text b) {
    size_t rows[3][LIMIT_HINT_BYTES + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.n_bytes; j++)
        above[j] = j;
    for (size_t i = 1; i <= a.n_bytes; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.n_bytes; j++) {
            const char x = lower(a.data[i - 1]), y = lower(b.data[j - 1]);
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower(b.data[j - 2]) && y == lower(a.data[i - 2]) && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        size_t *const spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b.n_bytes];
}

struct nearest {
    const char *word;
    size_t distance;
};

/* A third of the word may differ; more, and the hint would only lead astray. */
static void consider(struct nearest *nearest, const char *known, struct text word) {
    if (word.n_bytes > LIMIT_HINT_BYTES || text_of(known).n_bytes > LIMIT_HINT_BYTES)
        return;
    const size_t d = distance(word, text_of(known));
    if (d > (text_of(known).n_bytes + 2) / 3 || (nearest->word != NULL && d >= nearest->distance))
        return;
    *nearest = (struct nearest){.word = known, .distance = d};
}

const char *config_hints_nearest_word(const char *const *words, struct text word) {
    struct nearest nearest = {};
    for (; *words != NULL; words++)
        consider(&nearest, *words, word);
    return nearest.word;
}

/* ---- later releases ---- */

/* "issuers[].outage" is "issuers[3].outage" with any index. */
static bool is_path(const char *pattern, const char *path) {
    for (; *pattern != '\0'; pattern++, path++) {
        if (*pattern == ']') {
            while (*path >= '0' && *path <= '9')
                path++;
        }
        if (*pattern != *path)
            return false;
    }
    return *path == '\0';
}

bool config_hints_is_absent(const struct config_reader *reader, const struct yaml_node *node, struct text value) {
    char path[YAML_PATH_BYTES];
    yaml_path(node, path);
    for (size_t i = 0; i < reader->n_absences; i++) {
        const struct field_absence *absence = &reader->absences[i];
        if (is_path(absence->path, path) && text_equal(text_of(absence->value), value))
            return true;
    }
    return false;
}

/* ---- another place ---- */

struct place {
    struct text name;
    size_t n_found;
    char path[256];
};

static void look_at(void *context, const char *path, const struct field *field) {
    struct place *place = context;
    if (!text_equal(text_of(field->name), place->name))
        return;
    place->n_found++;
    memcpy(place->path, path, strlen(path) + 1);
}

/* Refuses a key that is known in exactly one other place: most often its indentation is wrong. */
static bool refuse_misplaced(struct config_reader *reader, const struct yaml_node *node) {
    struct place place = {.name = node->key};
    config_fields_walk(reader->root, look_at, &place);
    if (place.n_found != 1)
        return false;
    yaml_complain(node, reader->path, reader->error,
                  "this field does not belong here: its place is %s, check the indentation", place.path);
    return true;
}

int config_hints_refuse_key(struct config_reader *reader, const struct yaml_node *node, const struct field_table *table) {
    if (config_hints_is_absent(reader, node, (struct text){}))
        return config_refuse(reader, node, "this field is not available in this release: remove it");
    struct nearest nearest = {};
    for (size_t i = 0; i < table->n_items; i++)
        consider(&nearest, table->items[i].name, node->key);
    if (nearest.word != NULL && nearest.distance <= 1)
        return config_refuse(reader, node, "this field is not known: did you mean %s?", nearest.word);
    if (refuse_misplaced(reader, node))
        return CONFIG_INVALID;
    if (nearest.word != NULL)
        return config_refuse(reader, node, "this field is not known: did you mean %s?", nearest.word);
    return config_refuse(reader, node, "this field is not known: docs/configuration.md lists the fields that belong here");
}
