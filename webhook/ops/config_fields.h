/*
 * The fields of the configuration as tables, and one reader for all of them: a table says what a field is called, what it
 * takes, what it is when it is left out, and where it goes. So the reader, the messages and the check of
 * docs/configuration.md cannot drift apart.
 */
#pragma once

#include "ops/config.h"
#include "ops/yaml.h"

struct field;

struct field_table {
    const struct field *items;
    size_t n_items;
};
/* A table of an array of fields, where a constant is wanted. */
#define FIELD_TABLE(array) (&(const struct field_table){.items = (array), .n_items = sizeof(array) / sizeof((array)[0])})

/* A field of the public interface whose mechanism is in a later release: refused by its name. */
struct field_absence {
    const char *path;  /* "issuers[].outage" */
    const char *value; /* only this value of the field; NULL: the field itself */
};

/* What a reading of one file works with. */
struct config_reader {
    const char *path;   /* of the file */
    struct text folder; /* that relative paths start from: empty, or ends with a slash */
    struct arena *arena;
    struct error *error;
    const struct field_table *root;
    const struct field_absence *absences;
    size_t n_absences;
    char **warnings;
    size_t n_warnings;
};

/* What a field takes. Readers return 0, -ENOMEM, or CONFIG_INVALID with the reader's error set. */
struct field_type {
    const char *word; /* for the docs: "text", "duration", ... */
    int (*read)(struct config_reader *reader, const struct yaml_node *node, const struct field *field, void *to);
    /* The range for the docs and for messages, written to ret_range; NULL: has none. */
    void (*range)(const struct field *field, char *ret_range, size_t n_bytes);
};

struct field {
    const char *name;
    const struct field_type *type;
    size_t offset;          /* where the value goes, from the structure that its mapping is read into */
    const char *required;   /* why it must be given; NULL: it need not be */
    const char *by_default; /* written as an admin would; NULL: the value stays zero */
    int64_t min, max;  /* of a number, a duration (milliseconds), a list's entries, a text's bytes; max 0: the type's own */
    bool may_be_empty; /* a text */
    const char *const *words; /* of a choice; ended by NULL */
    /* Of a text or of each in a list: NULL, or what is wrong with it and the way out. */
    const char *(*check)(struct text text);
    /* Of a mapping, or of each in a list of mappings. */
    const struct field_table *fields; /* NULL elsewhere */
    size_t item_bytes, count_offset;  /* of a list of mappings: the size of a structure, and where their number goes */
};

extern const struct field_type field_text;         /* struct text */
extern const struct field_type field_string;       /* char *: a text, for those who need a C string */
extern const struct field_type field_boolean;      /* bool */
extern const struct field_type field_number;       /* uint32_t */
extern const struct field_type field_fraction;     /* uint32_t: thousandths; min and max too */
extern const struct field_type field_duration;     /* int64_t: milliseconds */
extern const struct field_type field_seconds;      /* int64_t: a duration in whole seconds, as seconds */
extern const struct field_type field_choice;       /* unsigned: the index of its word */
extern const struct field_type field_either;       /* bool: true for the second of its two words */
extern const struct field_type field_file;         /* char *: a path, resolved against the file's folder */
extern const struct field_type field_output;       /* the same, but "-" stays what it is */
extern const struct field_type field_address;      /* struct config_listener: host and port of it */
extern const struct field_type field_text_list;    /* struct text_list, without repetitions */
extern const struct field_type field_mapping;      /* its fields are read into the structure at offset */
extern const struct field_type field_mapping_list; /* a pointer to structures at offset, their number at count_offset */

/*
 * Reads a mapping into a structure by a table: unknown keys refused, absent fields set to their default or refused.
 *
 * node  NULL: the mapping itself was left out, so every field gets its default and nothing is required
 */
int config_fields_read(struct config_reader *reader, const struct yaml_node *node, const struct field_table *table,
                       void *to);

/* Refuses a node's value: sets the reader's error and gives CONFIG_INVALID, to be returned. */
#define config_refuse(reader, node, ...)                                                                                   \
    (yaml_complain((node), (reader)->path, (reader)->error, __VA_ARGS__), CONFIG_INVALID)

/* Refuses a mapping because a member is absent; reason says why it is needed. node: the mapping. Gives CONFIG_INVALID. */
int config_refuse_absence(struct config_reader *reader, const struct yaml_node *node, const char *name, const char *reason);

/* Adds a warning about a node. Returns 0 or -ENOMEM. */
int config_warn(struct config_reader *reader, const struct yaml_node *node, const char *message);

/* Visits each field of a table and those below, with its path ("issuers[].cache.ttl"). */
void config_fields_walk(const struct field_table *table,
                        void (*visit)(void *context, const char *path, const struct field *field), void *context);

/* "1h30m", "500ms", "0s". ret_text has DURATION_TEXT_BYTES. */
#define DURATION_TEXT_BYTES 48
void config_fields_duration_text(int64_t ms, char *ret_text);
