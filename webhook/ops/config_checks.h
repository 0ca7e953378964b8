/*
 * What single texts of the configuration must look like. Each returns NULL when the text is in order, and otherwise what is
 * wrong with it and the way out, to follow "field.path: " in a message. Static.
 */
#pragma once

#include "base/text.h"

/* A DNS label (RFC 1123 section 2.1), lower case. */
const char *config_check_label(struct text text);

/* A name that may stand in a log line or a file name without quotes: letters, digits, ".", "_", "-". */
const char *config_check_name(struct text text);

/* The name of a Role or ClusterRole: one segment of a path. */
const char *config_check_role(struct text text);

/* An issuer identifier: https, no query, no fragment (RFC 8414 section 2), no user. */
const char *config_check_issuer_url(struct text text);

/* An endpoint: https, no fragment (RFC 6749 section 3.2), no user; a query is fine. */
const char *config_check_endpoint_url(struct text text);

/* A prefix of user or group names: not within Kubernetes's own "system:". */
const char *config_check_prefix(struct text text);

/* What a bearer token may start with (RFC 6750 section 2.1). */
const char *config_check_token_prefix(struct text text);

/* A key of user.extra: a lower-case path that starts with a domain, not one of Kubernetes's or ours. */
const char *config_check_extra_key(struct text text);

/*
 * Splits "host:port" or "[IPv6]:port". The parts are borrowed from the text; written only when NULL is returned.
 */
const char *config_check_address(struct text text, struct text *ret_host, struct text *ret_port);
