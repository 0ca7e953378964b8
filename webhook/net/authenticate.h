/*
 * POST /authenticate: a TokenReview, answered. The road of the design, downhill: decode, triage, facts, ask, decide,
 * answer.
 */
#pragma once

#include <h2o.h>

#include "net/loop.h"

/* Makes the handler of a loop's path. Loop's thread, before its context is made. */
void authenticate_register(struct loop *loop, h2o_pathconf_t *path);
