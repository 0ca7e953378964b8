#include "net/pem.h"

#include <errno.h>
#include <stdbool.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

/* OpenSSL's word for what went wrong; its queue of errors is empty afterwards. */
static const char *openssl_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason == NULL ? "it cannot be read" : reason;
}

static BIO *reader_new(const struct secret *pem) {
    const struct text text = secret_text(pem);
    return BIO_new_mem_buf(text.data, (int)text.n_bytes); /* at most LIMIT_PEM_FILE_BYTES */
}

static int64_t not_after(const X509 *certificate) {
    struct tm end;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1)
        return 0;
    return timegm(&end);
}

/* After the last certificate that could be read: has the file ended, or is there one that is broken? */
static bool at_end(void) {
    const unsigned long code = ERR_peek_last_error();
    const bool ended = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
    if (ended)
        ERR_clear_error();
    return ended;
}

/*
 * Reads all certificates of a file. ret_first is the caller's: X509_free() it.
 * Returns 0, PEM_NO_CERTIFICATE or -ENOMEM.
 */
static int read_certificates(const struct secret *pem, X509 **ret_first, int64_t *ret_last_end, struct error *error) {
    BIO *const reader = reader_new(pem);
    if (reader == NULL)
        return -ENOMEM;
    X509 *first = NULL;
    X509 *certificate;
    int64_t last_end = INT64_MIN;
    while ((certificate = PEM_read_bio_X509_AUX(reader, NULL, NULL, (void *)"")) != NULL) {
        const int64_t end = not_after(certificate);
        if (end > last_end)
            last_end = end;
        if (first == NULL)
            first = certificate;
        else
            X509_free(certificate);
    }
    BIO_free(reader);
    if (at_end() && first != NULL) {
        *ret_first = first;
        *ret_last_end = last_end;
        return 0;
    }
    error_set(error, first == NULL ? "no certificate in PEM form: %s" : "a certificate after the first is broken: %s",
              openssl_reason());
    X509_free(first);
    return PEM_NO_CERTIFICATE;
}

static int read_key(const struct secret *pem, EVP_PKEY **ret_key, struct error *error) {
    BIO *const reader = reader_new(pem);
    if (reader == NULL)
        return -ENOMEM;
    /* The empty passphrase keeps OpenSSL from asking for one on the terminal. */
    EVP_PKEY *const key = PEM_read_bio_PrivateKey(reader, NULL, NULL, (void *)"");
    BIO_free(reader);
    if (key == NULL) {
        error_set(error, "no private key in PEM form without a passphrase: %s", openssl_reason());
        return PEM_NO_KEY;
    }
    *ret_key = key;
    return 0;
}

int pem_check_pair(const struct secret *cert, const struct secret *key, int64_t *ret_not_after, struct error *error) {
    ERR_clear_error();
    X509 *certificate;
    int64_t last_end;
    int r = read_certificates(cert, &certificate, &last_end, error);
    if (r != 0)
        return r;
    EVP_PKEY *private_key;
    r = read_key(key, &private_key, error);
    if (r == 0) {
        if (X509_check_private_key(certificate, private_key) == 1) {
            *ret_not_after = not_after(certificate);
        } else {
            ERR_clear_error();
            error_set(error, "the private key does not belong to the certificate: renew both together");
            r = PEM_MISMATCH;
        }
        EVP_PKEY_free(private_key);
    }
    X509_free(certificate);
    return r;
}

int pem_check_ca(const struct secret *ca, int64_t *ret_not_after, struct error *error) {
    ERR_clear_error();
    X509 *first;
    const int r = read_certificates(ca, &first, ret_not_after, error);
    if (r == 0)
        X509_free(first);
    return r;
}

const char *pem_verify_text(long verify_result) {
    /* "unspecified" is where libcurl starts from: it never came to a check of the chain, or the chain was good. */
    if (verify_result == X509_V_OK || verify_result == X509_V_ERR_UNSPECIFIED)
        return NULL;
    return X509_verify_cert_error_string(verify_result);
}
