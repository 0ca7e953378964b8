/*
 * A strict JSON reader (RFC 8259) for the bodies of requests, replies and claims, and for what a token says of itself. It
 * copies nothing and allocates nothing: the caller pulls one value after the other out of a range of bytes.
 *
 * Stricter than the RFC where leniency is how two readers come to disagree about one document: duplicate members are
 * refused at every level (compared after unescaping), text must be UTF-8, lone surrogates and the character U+0000
 * are refused, integers must fit 64 bits and reals stay below 1e308. Whatever it accepts, jansson accepts with
 * JSON_REJECT_DUPLICATES, with the same values (test/fuzz/scan.c).
 *
 * Time is linear in the bytes, and n log n in the members of one object. Errors stick: after the first, every call returns
 * it again and does nothing, so a caller may run its loops to their end and ask scan_end() once.
 *
 *     scan_begin(&scan, bytes);
 *     if (scan_object(&scan) == 0) {
 *         while (scan_member(&scan, &name) == 0) {
 *             if (scan_string_equal(name, TEXT("kind")))    each member is followed by exactly one value:
 *                 has_kind = scan_string(&scan, &kind) == 0; either read,
 *             else
 *                 scan_skip(&scan);                          or passed over, and checked no less strictly
 *         }
 *     }
 *     return scan_end(&scan);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"
#include "wire/scan_string.h"

/* What a call returns besides 0. All but the first two mean that the document is refused. */
enum scan_result {
    SCAN_CLOSED = 1,   /* no member or element is left: the object or array is closed */
    SCAN_OTHER_KIND,   /* the value is of another kind than asked for; it has been checked and passed over */
    SCAN_TRUNCATED,    /* the document ends too early */
    SCAN_UNEXPECTED,   /* a byte that cannot stand here */
    SCAN_BAD_STRING,   /* a control character or a wrong escape in a string */
    SCAN_NOT_UTF8,     /* bytes that are no UTF-8 (RFC 3629) */
    SCAN_NUMBER_RANGE, /* an integer beyond 64 bits, or a real from 1e308 on */
    SCAN_TOO_DEEP,     /* more levels than LIMIT_JSON_DEPTH (LIMIT_OBJECT_DEPTH), or than scan_limit_depth() allows */
    SCAN_TOO_MANY,     /* more members than LIMIT_JSON_MEMBERS or LIMIT_JSON_OPEN_MEMBERS (LIMIT_OBJECT_OPEN_MEMBERS) */
    SCAN_DUPLICATE,    /* an object has two members of one name */
    SCAN_TRAILING,     /* something follows the document */
    SCAN_TOO_LARGE     /* 2 GiB or more */
};

enum scan_kind { SCAN_OBJECT, SCAN_ARRAY, SCAN_STRING, SCAN_INTEGER, SCAN_REAL, SCAN_TRUE, SCAN_FALSE, SCAN_NULL };

struct scan_value {
    enum scan_kind kind;
    struct scan_string string; /* of a STRING */
    struct text number;        /* of an INTEGER or REAL, as it stands in the document; borrowed */
    int64_t integer;           /* of an INTEGER */
};

/* A member's name: where it stands. Its hash takes the place of its length when many are compared. */
struct scan_name {
    uint32_t offset;
    union {
        struct {
            uint32_t n_bytes : 31;
            uint32_t has_escapes : 1;
        };
        uint32_t hash;
    };
};

/* Room for the names of a large document: 512 kB. One scan at a time; needs no zeroes. */
struct scan_room {
    struct scan_name names[LIMIT_OBJECT_OPEN_MEMBERS];
};

/* The state; some 19 kB, of which scan_begin() touches a few words. Its members are the scanner's own. */
struct scan {
    const char *start, *at, *end;
    const char *where; /* of the error */
    int error;
    bool has_document, is_large, is_passing, has_key;
    uint32_t depth, max_depth, n_members, max_members, max_open;
    struct scan_level {
        uint32_t first_member;
        bool is_object, is_empty;
    } levels[LIMIT_OBJECT_DEPTH];
    /* The names of the objects that are open, outermost first: each object looks for duplicates when it closes. */
    struct scan_name *members; /* own, or of a scan_room */
    struct scan_name own[LIMIT_JSON_OPEN_MEMBERS];
    struct siphash begun; /* with the key of this scan's hashes, once many names are compared */
};

/*
 * Starts on a document. The bytes stay the caller's and must live as long as the scan. A string that scan_value() has
 * given may be unescaped in place; the names of members must stay as they are until their object has closed.
 */
void scan_begin(struct scan *scan, struct text bytes);

/*
 * The same for a document that carries objects of a cluster: LIMIT_OBJECT_DEPTH levels, LIMIT_OBJECT_OPEN_MEMBERS members.
 * In what is passed over by scan_skip() and scan_span(), strings may have U+0000 and numbers any size that a double has, as
 * both may stand in a ConfigMap or a custom resource; what is read, and names, are as strict as ever. jansson takes it with
 * JSON_ALLOW_NUL and JSON_DECODE_INT_AS_REAL.
 *
 * room  lent until the scan has ended
 */
void scan_begin_large(struct scan *scan, struct text bytes, struct scan_room *room);

/* Allows fewer levels than scan_begin() did, the document's own brackets being the first. Call it right after that. */
void scan_limit_depth(struct scan *scan, unsigned max_depth);

/*
 * Reads the next value: a scalar whole; of an object or array the opening bracket only, which the caller then follows
 * with scan_member() or scan_element() until SCAN_CLOSED.
 *
 * Returns 0, or why the document is refused.
 */
int scan_value(struct scan *scan, struct scan_value *ret_value);

/*
 * Read the next value as a string, or open it as an object or array.
 * Return 0, SCAN_OTHER_KIND, or why the document is refused.
 */
int scan_string(struct scan *scan, struct scan_string *ret_string);
int scan_object(struct scan *scan);
int scan_array(struct scan *scan);

/* Passes over the next value if it is null, and only then. Returns whether it was. */
bool scan_null(struct scan *scan);

/*
 * Goes to the next member of the innermost open object, whose value must then be read or skipped.
 * Returns 0, SCAN_CLOSED (the object is closed), or why the document is refused.
 */
int scan_member(struct scan *scan, struct scan_string *ret_name);

/*
 * Goes to the next element of the innermost open array, which must then be read or skipped.
 * Returns 0, SCAN_CLOSED (the array is closed), or why the document is refused.
 */
int scan_element(struct scan *scan);

/* Passes over the next value with all that is in it, checking everything. Returns 0, or why the document is refused. */
int scan_skip(struct scan *scan);

/* The same, and lends the value's bytes, to be scanned on their own: checked, duplicates and all. */
int scan_span(struct scan *scan, struct text *ret_span);

/* The document must end here but for white space. Returns 0, or why it is refused: the last word on every scan. */
int scan_end(struct scan *scan);

/* The same, and says it to people: "byte 17: a member occurs twice in one object". error may be NULL. */
int scan_end_told(struct scan *scan, struct error *error);

/* Where the error is, in bytes from the start; without an error, how far the scan has come. */
size_t scan_offset(const struct scan *scan);

/* One clause for people on why a document is refused: "a member occurs twice in one object". Static. */
const char *scan_sentence(enum scan_result result);
