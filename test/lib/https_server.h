/*
 * A small scripted HTTPS server for tests, with a thread for each connection, so that a script may block as it likes. It
 * listens on 127.0.0.1 at a port of the system's choice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/certificates.h"

struct https_server;
struct https_connection;

/* One request; all of it lives until the script returns. */
struct https_request {
    struct https_connection *connection;
    unsigned nth; /* on its connection; 1 is the first */
    const char *method, *path;
    const char *head; /* the request line and all headers */
    const char *body;
    size_t n_body_bytes;
};

/* Answers a request, with https_reply() or https_write(); runs on the connection's thread. */
typedef void https_script(void *context, const struct https_request *request);

struct https_settings {
    const struct certificate *certificate;
    const struct certificate *client_ca; /* a client certificate of it is required; NULL: none is asked for */
    int min_tls, max_tls;                /* TLS1_2_VERSION and so on; 0: OpenSSL's defaults */
    https_script *script;
    void *context;
};

/* Ends the test where it cannot start. */
struct https_server *https_server_start(const struct https_settings *settings);

/* Closes all connections and waits for their threads: a script that blocks must have been let go before. */
void https_server_stop(struct https_server *server);

uint16_t https_server_port(const struct https_server *server);
unsigned https_server_n_connections(struct https_server *server); /* handshakes that succeeded, since the start */
unsigned https_server_n_open(struct https_server *server);        /* connections that are open now */
unsigned https_server_n_requests(struct https_server *server);

/* A whole reply with Content-Length. extra: more header lines, each with its CRLF; may be NULL. */
void https_reply(const struct https_request *request, int status, const char *content_type, const char *extra,
                 const char *body);

/* Bytes as they are. Returns false when the peer is gone. */
bool https_write(const struct https_request *request, const char *bytes, size_t n_bytes);

/* Closes the connection when the script returns, with a TLS close_notify or (reset) as if the machine had died. */
void https_close(const struct https_request *request);
void https_reset(const struct https_request *request);

/* Whether a header line is in the request, name and value, the name in any case. */
bool https_has_header(const struct https_request *request, const char *name, const char *value);

/* Closes all connections that are open, from the server's side, as an idle timeout does. */
void https_server_close_connections(struct https_server *server);
