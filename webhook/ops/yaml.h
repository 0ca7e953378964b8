/*
 * A YAML file as a tree that knows where each of its parts stands. Only what a configuration needs: mappings with plain
 * keys, lists and scalars, in one document. Anchors, aliases, tags and repeated keys are refused, so that what a reader of
 * the file sees is what the program sees.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

enum yaml_kind { YAML_KIND_SCALAR, YAML_KIND_LIST, YAML_KIND_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    bool is_plain;            /* a scalar without quotes: the only form of a number, a boolean and of nothing at all */
    uint32_t line, column;    /* both from 1; columns count characters; a member of a mapping stands where its key does */
    struct text text;         /* a scalar's value; UTF-8, without zero bytes, and a zero byte follows */
    struct text key;          /* of a mapping's member */
    size_t index;             /* among its siblings, from 0 */
    struct yaml_node *parent; /* NULL: the root */
    struct yaml_node *first, *last; /* children of a list or mapping */
    struct yaml_node *next;
    size_t n_children;
};

/*
 * Reads one document whose root is a mapping.
 *
 * path      of the file, for messages only
 * arena     gets the tree; it must outlive it
 * ret_root  borrowed from the arena
 * error     "PATH:LINE:COLUMN: what is wrong, and the way out"
 *
 * Returns 0, -ENOMEM, or YAML_INVALID.
 */
enum { YAML_INVALID = 1 };
int yaml_read(struct text bytes, const char *path, struct arena *arena, struct yaml_node **ret_root, struct error *error);

/* The member of a mapping, or NULL. NULL is a fine node and has no members. */
const struct yaml_node *yaml_member(const struct yaml_node *node, const char *key);

/* True for a scalar that says nothing: an absent value, "~" or "null", each without quotes. */
bool yaml_is_null(const struct yaml_node *node);

/* "a mapping", "a list", "text" or "nothing", for messages. Static. */
const char *yaml_kind_word(const struct yaml_node *node);

/*
 * Writes the node's place and path, "PATH:LINE:COLUMN: issuers[0].name: ", and then the message. Keys are cut and their
 * control characters replaced, so that a message stays one line. error may be NULL.
 */
void yaml_complain(const struct yaml_node *node, const char *path, struct error *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Bytes that ret_path of yaml_path() needs: each level is a key cut to 64 bytes, or an index. */
#define YAML_PATH_BYTES (LIMIT_CONFIG_DEPTH * 68)

/* "issuers[0].name"; empty for the root. ret_path has YAML_PATH_BYTES and ends with a zero byte. */
void yaml_path(const struct yaml_node *node, char *ret_path);
