/*
 * The form of an audit line. docs/audit.md describes its fields.
 */
#pragma once

#include "ops/audit.h"

/* Three names, each byte of which may become six; and some 400 bytes of all else. */
#define AUDIT_LINE_BYTES (3 * 6 * LIMIT_AUDIT_NAME_BYTES + 512)

/* A line in pieces, to be joined in this order. The user's JSON is one of them, so that it is copied only once. */
struct audit_line {
    struct text pieces[3];
    size_t n_bytes; /* of all pieces */
    char memory[AUDIT_LINE_BYTES];
};

/* Makes the line of a record, with its line feed. Its pieces are borrowed from itself and from the record. Any thread. */
void audit_line_format(const struct audit_record *record, struct audit_line *ret_line);
