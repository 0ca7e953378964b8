/*
 * What every handler needs of an HTTP request: is it the right one, how long has it, and how is it answered.
 */
#pragma once

#include <h2o.h>

#include "base/buffer.h"
#include "net/loop.h"

/* A route: what a handler serves. */
struct route {
    struct text path; /* compared byte for byte with the request's, query excluded */
    struct text method;
};

/* Whether the request's path, as it came (not decoded, not normalized), is this one. */
bool request_path_is(const h2o_req_t *req, struct text path);

bool request_method_is(const h2o_req_t *req, struct text method);

/*
 * Whether the body can be read as JSON: Content-Type application/json (parameters allowed) and no Content-Encoding but
 * identity.
 */
bool request_is_json(const h2o_req_t *req);

/* The query string without its question mark; empty where there is none. */
struct text request_query(const h2o_req_t *req);

/*
 * Finds a parameter of a query string. Nothing is decoded: names and values that we know need no escapes.
 *
 * ret_value  borrowed from the query; empty where the parameter is only named; may be NULL
 *
 * Returns whether there is one of that name; the first counts, as to whoever reads it in Go.
 */
bool request_parameter(struct text query, struct text name, struct text *ret_value);

/*
 * The caller's deadline, from ?timeout= in the form of Go's time.ParseDuration ("30s", "1m30s", "500ms"), as kube-apiserver
 * sends it; LIMIT_DEADLINE_DEFAULT_MS where there is none that can be read. A margin is kept back so that the answer
 * arrives in time.
 *
 * Returns milliseconds from now, at least 1.
 */
int64_t request_timeout_ms(struct text query);

/* Sends an answer and ends the request: one write of header and body. The body is copied. */
void request_send(h2o_req_t *req, int status, const char *content_type, struct text body);

/* Answers with a metav1.Status: what came is not a review. Counts it. */
void request_refuse(struct loop *loop, h2o_req_t *req, int status, const char *message);
