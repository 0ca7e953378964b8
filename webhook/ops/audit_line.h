/*
 * The form of an audit line. docs/audit.md describes its fields.
 */
#pragma once

#include "ops/audit.h"

/* Of each rule its name, a DNS label, and some 70 bytes around it. */
#define AUDIT_RULE_BYTES (LIMIT_ADMISSION_RULE_NAME_BYTES + 96)
/* Ten names, a user's name and uid, each byte of which may become six; all rules; and some 600 bytes of all else. */
#define AUDIT_LINE_BYTES                                                                                                   \
    (6 * (10 * LIMIT_AUDIT_NAME_BYTES + LIMIT_USERNAME_BYTES + LIMIT_UID_BYTES) +                                          \
     LIMIT_ADMISSION_RULES * AUDIT_RULE_BYTES + 768)

/* A line in pieces, to be joined in this order. The user's JSON is one of them, so that it is copied only once. */
struct audit_line {
    struct text pieces[3];
    size_t n_bytes; /* of all pieces */
    char memory[AUDIT_LINE_BYTES];
};

/* Makes the line of a record, with its line feed. Its pieces are borrowed from itself and from the record. Any thread. */
void audit_line_format(const struct audit_record *record, struct audit_line *ret_line);
