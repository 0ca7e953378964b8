#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

/* Who may call, and who hears of it, kept with the context: as long as OpenSSL keeps that, whatever is reloaded meanwhile.
 */
struct callers {
    const struct tls_events *events;
    size_t n_names;
    char *names[]; /* each in memory of its own */
};

static int callers_index = -1;
static pthread_once_t callers_once = PTHREAD_ONCE_INIT;

static void callers_free(struct callers *callers) {
    if (callers == NULL)
        return;
    for (size_t i = 0; i < callers->n_names; i++)
        free(callers->names[i]);
    free(callers);
}

static void on_context_free(void *parent, void *data, CRYPTO_EX_DATA *ad, int index, long argl, void *argp) {
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    callers_free(data);
}

static void register_callers(void) {
    callers_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_free);
}

static struct callers *callers_new(const struct text_list *names, const struct tls_events *events) {
    struct callers *callers = calloc(1, sizeof(*callers) + names->n_items * sizeof(char *));
    if (callers == NULL)
        return NULL;
    callers->events = events;
    for (; callers->n_names < names->n_items; callers->n_names++) {
        const struct text *name = &names->items[callers->n_names];
        callers->names[callers->n_names] = strndup(name->data, name->n_bytes);
        if (callers->names[callers->n_names] == NULL) {
            callers_free(callers);
            return NULL;
        }
    }
    return callers;
}

/* The common name as UTF-8; false where there is none, or one with a zero byte in it. */
static bool common_name(X509 *certificate, char *ret_name, size_t n_room) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0)
        return false;
    unsigned char *utf8 = NULL;
    const int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (n < 0)
        return false;
    const bool fits = n > 0 && (size_t)n < n_room && memchr(utf8, '\0', (size_t)n) == NULL;
    if (fits) {
        memcpy(ret_name, utf8, (size_t)n);
        ret_name[n] = '\0';
    }
    OPENSSL_free(utf8);
    return fits;
}

/* Whether the certificate has this DNS name, as written: a client's certificate is not matched by wildcards. */
static bool has_dns_name(X509 *certificate, const char *name) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *entry = sk_GENERAL_NAME_value(names, i);
        if (entry->type != GEN_DNS)
            continue;
        const unsigned char *data = ASN1_STRING_get0_data(entry->d.dNSName);
        const size_t n = (size_t)ASN1_STRING_length(entry->d.dNSName);
        found = n == strlen(name) && memcmp(data, name, n) == 0;
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* The name under which a certificate may call, or NULL. common is the certificate's common name, "" where it has none. */
static const char *accepted_name(const struct callers *callers, X509 *certificate, const char *common) {
    if (callers->n_names == 0)
        return common[0] == '\0' ? "unnamed" : common;
    for (size_t i = 0; i < callers->n_names; i++) {
        if (strcmp(common, callers->names[i]) == 0 || has_dns_name(certificate, callers->names[i]))
            return callers->names[i];
    }
    return NULL;
}

static const struct callers *callers_of(const SSL *ssl) {
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), callers_index);
}

static void on_state(const SSL *ssl, int where, int value) {
    (void)value;
    if ((where & SSL_CB_HANDSHAKE_DONE) != 0)
        callers_of(ssl)->events->on_handshake((SSL *)ssl);
}

static int verify(int chain_is_good, X509_STORE_CTX *store) {
    if (!chain_is_good || X509_STORE_CTX_get_error_depth(store) != 0)
        return chain_is_good;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct callers *callers = callers_of(ssl);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    char common[256] = "";
    common_name(certificate, common, sizeof(common));
    const char *name = accepted_name(callers, certificate, common);
    if (name == NULL) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    callers->events->on_caller(ssl, name);
    return 1;
}

static int choose_protocol(SSL *ssl, const unsigned char **ret_chosen, unsigned char *ret_n, const unsigned char *offered,
                           unsigned int n_offered, void *argument) {
    (void)ssl, (void)argument;
    static const unsigned char http1[] = "\x08http/1.1";
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, ret_n, http1, sizeof(http1) - 1, offered, n_offered) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *ret_chosen = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static const char *openssl_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason == NULL ? "it cannot be read" : reason;
}

static BIO *pem_reader(const struct secret *pem) {
    const struct text text = secret_text(pem);
    return BIO_new_mem_buf(text.data, (int)text.n_bytes); /* at most LIMIT_PEM_FILE_BYTES */
}

static int use_certificate(SSL_CTX *context, const char *what, const struct config_tls *config, const struct secret *pem,
                           struct error *error) {
    BIO *reader = pem_reader(pem);
    X509 *leaf = reader == NULL ? NULL : PEM_read_bio_X509_AUX(reader, NULL, NULL, NULL);
    int r = 0;
    if (leaf == NULL || SSL_CTX_use_certificate(context, leaf) != 1) {
        error_set(error, "%s.certFile: %s: no certificate in PEM form: %s", what, config->cert_file, openssl_reason());
        r = TLS_INVALID;
    }
    X509 *issuer;
    while (r == 0 && (issuer = PEM_read_bio_X509(reader, NULL, NULL, NULL)) != NULL) {
        if (SSL_CTX_add0_chain_cert(context, issuer) != 1) {
            X509_free(issuer);
            r = -ENOMEM;
        }
    }
    ERR_clear_error(); /* the end of a PEM file is an error to OpenSSL */
    X509_free(leaf);
    BIO_free(reader);
    return r;
}

static int use_key(SSL_CTX *context, const char *what, const struct config_tls *config, const struct secret *pem,
                   struct error *error) {
    BIO *reader = pem_reader(pem);
    EVP_PKEY *key = reader == NULL ? NULL : PEM_read_bio_PrivateKey(reader, NULL, NULL, (void *)"");
    int r = 0;
    if (key == NULL) {
        error_set(error, "%s.keyFile: %s: no private key in PEM form without a passphrase: %s", what, config->key_file,
                  openssl_reason());
        r = TLS_INVALID;
    } else if (SSL_CTX_use_PrivateKey(context, key) != 1) {
        error_set(error, "%s: the key in %s does not belong to the certificate in %s: renew both together", what,
                  config->key_file, config->cert_file);
        ERR_clear_error();
        r = TLS_INVALID;
    }
    EVP_PKEY_free(key);
    BIO_free(reader);
    return r;
}

/* Trusts every certificate of the file for callers' certificates, and names them in the handshake. */
static int trust_client_ca(SSL_CTX *context, const char *what, const struct config_tls *config, const struct secret *pem,
                           struct error *error) {
    BIO *reader = pem_reader(pem);
    if (reader == NULL)
        return -ENOMEM;
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    size_t n_trusted = 0;
    X509 *ca;
    while ((ca = PEM_read_bio_X509(reader, NULL, NULL, NULL)) != NULL) {
        /* Reads its extensions now: OpenSSL does so at the first use, which would be on several loops at once. */
        X509_check_purpose(ca, -1, 0);
        if (X509_STORE_add_cert(store, ca) == 1 && SSL_CTX_add_client_CA(context, ca) == 1)
            n_trusted++;
        X509_free(ca);
    }
    BIO_free(reader);
    ERR_clear_error();
    if (n_trusted > 0)
        return 0;
    error_set(error, "%s.clientCAFile: %s: no CA certificate in PEM form", what, config->client_ca_file);
    return TLS_INVALID;
}

static int require_client(SSL_CTX *context, const char *what, const struct config_tls *config,
                          const struct snapshot_tls *files, struct error *error) {
    const int r = trust_client_ca(context, what, config, files->client_ca_pem, error);
    if (r == 0)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify);
    return r;
}

static int tell(SSL_CTX *context, const struct text_list *names, const struct tls_events *events) {
    struct callers *callers = callers_new(names, events);
    if (callers == NULL)
        return -ENOMEM;
    if (SSL_CTX_set_ex_data(context, callers_index, callers) != 1) {
        callers_free(callers);
        return -ENOMEM;
    }
    SSL_CTX_set_info_callback(context, on_state);
    return 0;
}

static void set_protocol(SSL_CTX *context) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_max_cert_list(context, LIMIT_CLIENT_CERTIFICATE_BYTES);
    /* SSL_MODE_RELEASE_BUFFERS stays off: it frees and takes 34 kB for each request, 6 % of a cached login, to spare them
       on the 25 connections of an API server. */
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
}

int tls_context_new(const char *what, const struct config_tls *config, const struct snapshot_tls *files,
                    const struct tls_events *events, SSL_CTX **ret_context, struct error *error) {
    pthread_once(&callers_once, register_callers);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || callers_index < 0) {
        SSL_CTX_free(context);
        return -ENOMEM;
    }
    set_protocol(context);
    /* Perfect forward secrecy and authenticated encryption only, for the callers that still speak TLS 1.2. */
    int r = SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 ? 0 : -ENOMEM;
    if (r == 0)
        r = tell(context, &config->client_names, events);
    if (r == 0)
        r = use_certificate(context, what, config, files->cert_pem, error);
    if (r == 0)
        r = use_key(context, what, config, files->key_pem, error);
    if (r == 0 && files->client_ca_pem != NULL)
        r = require_client(context, what, config, files, error);
    if (r != 0) {
        SSL_CTX_free(context);
        return r;
    }
    *ret_context = context;
    return 0;
}

int64_t tls_end_unix_s(const SSL_CTX *context) {
    struct tm end;
    ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(context)), &end);
    return timegm(&end);
}
