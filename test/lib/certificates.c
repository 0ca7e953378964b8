#include "lib/certificates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static void *need(const void *thing, const char *what) {
    if (thing == NULL) {
        fprintf(stderr, "test/lib/certificates: %s failed\n", what);
        abort();
    }
    return (void *)(uintptr_t)thing;
}

static char *text_of_bio(BIO *bio) {
    char *data;
    const long n_bytes = BIO_get_mem_data(bio, &data);
    char *const text = need(strndup(data, (size_t)n_bytes), "strndup");
    BIO_free(bio);
    return text;
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *const extension = need(X509V3_EXT_conf_nid(NULL, &context, nid, value), value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static void set_serial(X509 *certificate) {
    uint64_t serial;
    if (RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1)
        abort();
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1);
}

static X509 *read_certificate(const char *pem) {
    BIO *const bio = need(BIO_new_mem_buf(pem, -1), "BIO_new_mem_buf");
    X509 *const certificate = need(PEM_read_bio_X509(bio, NULL, NULL, NULL), "PEM_read_bio_X509");
    BIO_free(bio);
    return certificate;
}

static EVP_PKEY *read_key(const char *pem) {
    BIO *const bio = need(BIO_new_mem_buf(pem, -1), "BIO_new_mem_buf");
    EVP_PKEY *const key = need(PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL), "PEM_read_bio_PrivateKey");
    BIO_free(bio);
    return key;
}

static void fill(X509 *certificate, X509 *issuer, EVP_PKEY *key, const struct certificate_wish *wish) {
    X509_set_version(certificate, X509_VERSION_3);
    set_serial(certificate);
    X509_gmtime_adj(X509_getm_notBefore(certificate), (long)(wish->starts_in_s == 0 ? -60 : wish->starts_in_s));
    X509_gmtime_adj(X509_getm_notAfter(certificate), (long)(wish->ends_in_s == 0 ? 3600 : wish->ends_in_s));
    X509_NAME *const name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)wish->common_name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    X509_set_pubkey(certificate, key);
    add_extension(certificate, issuer, NID_basic_constraints, wish->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add_extension(certificate, issuer, NID_subject_key_identifier, "hash");
    if (wish->san != NULL)
        add_extension(certificate, issuer, NID_subject_alt_name, wish->san);
}

struct certificate certificate_new(const struct certificate *ca, const struct certificate_wish *wish) {
    EVP_PKEY *const key = need(EVP_EC_gen("P-256"), "EVP_EC_gen");
    X509 *const certificate = need(X509_new(), "X509_new");
    X509 *const issuer = ca == NULL ? certificate : read_certificate(ca->cert_pem);
    EVP_PKEY *const issuer_key = ca == NULL ? key : read_key(ca->key_pem);
    fill(certificate, issuer, key, wish);
    if (X509_sign(certificate, issuer_key, EVP_sha256()) == 0)
        abort();
    BIO *const cert_bio = need(BIO_new(BIO_s_mem()), "BIO_new"), *const key_bio = need(BIO_new(BIO_s_mem()), "BIO_new");
    PEM_write_bio_X509(cert_bio, certificate);
    PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL);
    if (ca != NULL) {
        X509_free(issuer);
        EVP_PKEY_free(issuer_key);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    return (struct certificate){.cert_pem = text_of_bio(cert_bio), .key_pem = text_of_bio(key_bio)};
}

void certificate_deinit(struct certificate *certificate) {
    free(certificate->cert_pem);
    free(certificate->key_pem);
    *certificate = (struct certificate){0};
}
