#include "wire/claims.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "wire/scan.h"

struct claim {
    struct scan_string name;
    enum claim_kind kind;
    bool is_true, is_integer, is_object;
    union {
        int64_t integer;          /* where is_integer */
        struct text object;       /* where is_object: as it stands in the copy */
        struct text_list strings; /* of a STRING or STRINGS: unescaped, where they stand in the copy */
    };
};

/* One allocation: the claims, behind them the strings of all of them, behind those the copy of the JSON text. */
struct claims {
    size_t n_claims, n_strings;
    struct text *strings;
    char *bytes;
    struct claim claims[];
};

/* ---- opening ---- */

/* Unescapes a string where it stands. */
static void add_string(struct claims *claims, struct scan_string string) {
    struct text text = string.raw;
    if (string.has_escapes) {
        char *const place = claims->bytes + (string.raw.data - claims->bytes);
        text = (struct text){.data = place, .n_bytes = scan_string_unescape(string, place)};
    }
    claims->strings[claims->n_strings++] = text;
}

static void read_array(struct claims *claims, struct scan *scan, struct claim *claim) {
    struct scan_string string;
    const size_t n_before = claims->n_strings;
    claim->kind = CLAIM_STRINGS;
    while (scan_element(scan) == 0) {
        if (scan_string(scan, &string) == 0)
            add_string(claims, string);
        else
            claim->kind = CLAIM_OTHER;
    }
    claim->strings = (struct text_list){.items = claims->strings + n_before, .n_items = claims->n_strings - n_before};
}

static void read_string(struct claims *claims, struct scan_string string, struct claim *claim) {
    claim->kind = CLAIM_STRING;
    claim->strings = (struct text_list){.items = claims->strings + claims->n_strings, .n_items = 1};
    add_string(claims, string);
}

static void read_object(const struct claims *claims, struct scan *scan, struct claim *claim) {
    const size_t start = scan_offset(scan) - 1; /* the bracket has been read */
    struct scan_string name;
    while (scan_member(scan, &name) == 0)
        scan_skip(scan);
    claim->kind = CLAIM_OTHER;
    claim->is_object = true;
    claim->object = (struct text){.data = claims->bytes + start, .n_bytes = scan_offset(scan) - start};
}

static void read_value(struct claims *claims, struct scan *scan, struct claim *claim) {
    struct scan_value value;
    if (scan_value(scan, &value) != 0)
        return;
    switch (value.kind) {
    case SCAN_OBJECT:
        read_object(claims, scan, claim);
        break;
    case SCAN_ARRAY:
        read_array(claims, scan, claim);
        break;
    case SCAN_STRING:
        read_string(claims, value.string, claim);
        break;
    case SCAN_REAL:
        claim->kind = CLAIM_NUMBER;
        break;
    case SCAN_INTEGER:
        claim->kind = CLAIM_NUMBER;
        claim->is_integer = true;
        claim->integer = value.integer;
        break;
    case SCAN_TRUE:
    case SCAN_FALSE:
        claim->kind = CLAIM_BOOLEAN;
        claim->is_true = value.kind == SCAN_TRUE;
        break;
    case SCAN_NULL:
        break;
    }
}

static int read_claims(struct claims *claims, size_t n_bytes) {
    struct scan scan;
    scan_begin(&scan, (struct text){.data = claims->bytes, .n_bytes = n_bytes});
    scan_limit_depth(&scan, LIMIT_REPLY_DEPTH);
    if (scan_object(&scan) != 0)
        return -EBADMSG;
    struct scan_string name;
    while (scan_member(&scan, &name) == 0) {
        struct claim *const claim = &claims->claims[claims->n_claims++];
        *claim = (struct claim){.name = name, .kind = CLAIM_ABSENT};
        read_value(claims, &scan, claim);
    }
    return scan_end(&scan) == 0 ? 0 : -EBADMSG;
}

/*
 * Enough for every document of so many bytes, rather than counted in a pass of its own: a member takes five bytes (`"":0,`)
 * and a string of an array three (`"",`), but the last member of a document that is cut off, which may end at its colon.
 */
static size_t max_claims(size_t n_json_bytes) {
    const size_t n = n_json_bytes / 5 + 1;
    return n < LIMIT_JSON_MEMBERS ? n : LIMIT_JSON_MEMBERS;
}

static size_t max_strings(size_t n_json_bytes) {
    return n_json_bytes / 3;
}

static struct claims *claims_new(struct text json) {
    const size_t n_table_bytes = sizeof(struct claims) + max_claims(json.n_bytes) * sizeof(struct claim);
    const size_t n_string_bytes = max_strings(json.n_bytes) * sizeof(struct text);
    struct claims *const claims = malloc(n_table_bytes + n_string_bytes + json.n_bytes);
    if (claims == NULL)
        return NULL;
    claims->n_claims = claims->n_strings = 0;
    claims->strings = (struct text *)(void *)((char *)claims + n_table_bytes);
    claims->bytes = (char *)claims + n_table_bytes + n_string_bytes;
    if (json.n_bytes > 0)
        memcpy(claims->bytes, json.data, json.n_bytes);
    return claims;
}

int claims_open(struct text json, struct claims **ret_claims) {
    if (json.n_bytes > LIMIT_INTROSPECTION_REPLY_BYTES)
        return -EBADMSG;
    struct claims *const claims = claims_new(json);
    if (claims == NULL)
        return -ENOMEM;
    const int r = read_claims(claims, json.n_bytes);
    if (r != 0) {
        claims_close(claims);
        return r;
    }
    *ret_claims = claims;
    return 0;
}

void claims_close(struct claims *claims) {
    free(claims);
}

/* ---- asking ---- */

/* What every claim is that is not there. */
static const struct claim absent = {.kind = CLAIM_ABSENT};

static const struct claim *find(const struct claims *claims, struct text name) {
    for (size_t i = 0; i < claims->n_claims; i++) {
        if (scan_string_equal(claims->claims[i].name, name))
            return &claims->claims[i];
    }
    return &absent;
}

static const struct text_list *strings_of(const struct claim *claim) {
    static const struct text_list none = {.n_items = 0};
    return claim->kind == CLAIM_STRING || claim->kind == CLAIM_STRINGS ? &claim->strings : &none;
}

enum claim_kind claims_kind(const struct claims *claims, struct text name) {
    return find(claims, name)->kind;
}

struct text claims_string(const struct claims *claims, struct text name) {
    const struct claim *const claim = find(claims, name);
    return claim->kind == CLAIM_STRING ? claim->strings.items[0] : (struct text){0};
}

size_t claims_n_strings(const struct claims *claims, struct text name) {
    return strings_of(find(claims, name))->n_items;
}

struct text claims_string_at(const struct claims *claims, struct text name, size_t index) {
    const struct text_list *const strings = strings_of(find(claims, name));
    return index < strings->n_items ? strings->items[index] : (struct text){0};
}

bool claims_has_member(const struct claims *claims, struct text outer, struct text inner) {
    const struct claim *const claim = find(claims, outer);
    if (!claim->is_object)
        return false;
    /* Asked once for an identity, of an object with a few members: that needs no index. */
    struct scan scan;
    struct scan_string name;
    scan_begin(&scan, claim->object);
    scan_object(&scan);
    while (scan_member(&scan, &name) == 0) {
        if (scan_string_equal(name, inner))
            return !scan_null(&scan);
        scan_skip(&scan);
    }
    return false;
}

bool claims_is_true(const struct claims *claims, struct text name) {
    return find(claims, name)->is_true;
}

struct text claims_scalar(const struct claims *claims, struct text name, char *room, size_t n_room) {
    const struct claim *const claim = find(claims, name);
    int n = -1;
    if (claim->kind == CLAIM_BOOLEAN)
        n = snprintf(room, n_room, "%s", claim->is_true ? "true" : "false");
    else if (claim->is_integer)
        n = snprintf(room, n_room, "%" PRId64, claim->integer);
    if (n < 0 || (size_t)n >= n_room)
        return (struct text){0};
    return (struct text){.data = room, .n_bytes = (size_t)n};
}
