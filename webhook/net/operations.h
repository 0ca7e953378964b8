/*
 * GET /livez, /readyz, /metrics, on a listener and a loop of their own: no secret passes here, and a busy login loop does
 * not delay a probe. The forms are those of the API server's own health endpoints: ?verbose lists every check.
 */
#pragma once

#include <h2o.h>

#include "net/loop.h"

/* Makes the handler of a loop's path. Loop's thread, before its context is made. */
void operations_register(struct loop *loop, h2o_pathconf_t *path);
