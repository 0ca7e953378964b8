/*
 * The server side of TLS: a context per listener and generation of the configuration, and the check of the caller's
 * certificate.
 *
 * No session is ever resumed (no tickets, no session ids): a resumed session would carry a caller's name that an older
 * configuration judged, kube-apiserver's client never asks for it, and connections are kept alive anyway.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdint.h>

#include "base/error.h"
#include "ops/snapshot.h"

/* What a handshake tells of, on the loop's thread. */
struct tls_events {
    /* A caller's certificate was accepted; that its key is the caller's is not proven yet. name: the configured client name
       that matched, or the certificate's common name (or first DNS name); neither NULL nor empty. */
    void (*on_caller)(SSL *ssl, const char *name);
    /* The handshake is done, and with it that proof. */
    void (*on_handshake)(SSL *ssl);
};

/*
 * Makes a context: TLS 1.2 or later, HTTP/1.1 by ALPN, the certificate with its chain and key; with a client CA also a
 * required client certificate of it whose name is among names (an empty list takes any).
 *
 * what           for messages: "listeners.authentication.tls"
 * config, files  borrowed; nothing is kept of them
 * events         static
 * ret_context    counted by OpenSSL: SSL_CTX_free() it
 *
 * Returns 0, -ENOMEM, or TLS_INVALID with error set (file, what is wrong, the way out).
 */
enum { TLS_INVALID = 1 };
int tls_context_new(const char *what, const struct config_tls *config, const struct snapshot_tls *files,
                    const struct tls_events *events, SSL_CTX **ret_context, struct error *error);

/* When the server certificate of a context that tls_context_new() made ends, unix seconds. */
int64_t tls_end_unix_s(const SSL_CTX *context);
