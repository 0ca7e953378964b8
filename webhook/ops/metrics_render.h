/*
 * The counters as text, in the Prometheus exposition format 0.0.4.
 */
#pragma once

#include "ops/metrics.h"

/* Appends all of it, with the cache's and the audit log's state of now. Any thread. */
void metrics_render(struct metrics *metrics, struct cache *cache, struct audit *audit, const char *version,
                    struct buffer *buffer);
