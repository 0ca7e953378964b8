/*
 * What a person is told whose request ends here: why, what to do about it, and what to show to an administrator.
 */
#pragma once

#include "base/buffer.h"

/* All borrowed. */
struct advice {
    bool is_unknown;      /* it could not be checked: trying again may help, signing in again does not */
    struct text sentence; /* one sentence on why, with its full stop; not told where is_unknown */
    struct text word;     /* the same for machines: a reason's */
    uint64_t request_id;  /* finds the record in the audit log */
};

/* Appends it, as the inside of a JSON string. */
void advice_append(const struct advice *advice, struct buffer *buffer);

/* Appends the request's id as it stands in the audit log: 16 hexadecimal digits. */
void advice_append_request_id(uint64_t id, struct buffer *buffer);
