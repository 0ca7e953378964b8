/*
 * Bodies of requests for tests of decoders: on the heap and just as long as they are, so that a sanitizer sees a read
 * behind their end; and the parts of which the files in test/data are made.
 */
#pragma once

#include <jansson.h>

#include "base/text.h"

struct body {
    char *bytes; /* free() it */
    size_t n_bytes, n_room;
};

struct body body_of(struct text text);

/* A whole file. Fails the test where it cannot be read or is empty. */
struct body body_of_file(const char *path);

/* The parts of a body as test/data/reviews/README.md tells of them. file: for messages. */
struct body body_of_parts(const json_t *parts, const char *file);
