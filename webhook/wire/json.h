/*
 * jansson, for what is off the path of a login (discovery, error replies), fenced: the depth of every document is bounded
 * before it is parsed, duplicate members are refused, only objects are documents, and a parse that runs out of memory ends
 * cleanly (which jansson's own does not: see json.c).
 */
#pragma once

#include <jansson.h>

#include "base/text.h"

enum { JSON_MALFORMED = 1 };

/*
 * Parses one JSON object.
 *
 * bytes       the whole document; the caller has bounded its length
 * max_depth   levels of nesting allowed, the object itself being the first; deeper is JSON_MALFORMED
 * ret_object  a new reference: json_decref() it
 *
 * Returns 0, JSON_MALFORMED, or -ENOMEM. Any thread.
 */
int json_object_load(struct text bytes, unsigned max_depth, json_t **ret_object);

/* The same, for what a person passed on. ret_line, always written: the line of what is malformed; 0: none is to blame. */
int json_object_load_at(struct text bytes, unsigned max_depth, json_t **ret_object, unsigned *ret_line);
