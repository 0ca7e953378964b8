/*
 * PEM files, looked at before libcurl or a listener meets them at the first connection: is there what should be there, and
 * does it fit together? Nothing is kept.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/secret.h"

enum pem_error {
    PEM_NO_CERTIFICATE = 1, /* no certificate, or one that cannot be read */
    PEM_NO_KEY,             /* no private key, or one with a passphrase */
    PEM_MISMATCH            /* the key is not the certificate's */
};

/*
 * A certificate (its chain may follow it) and its private key.
 *
 * ret_not_after  when the first certificate ends, unix seconds
 * error          what is wrong, without the files' names: the caller puts those before it
 *
 * Returns 0, an enum pem_error, or -ENOMEM. Any thread.
 */
int pem_check_pair(const struct secret *cert, const struct secret *key, int64_t *ret_not_after, struct error *error);

/*
 * A bundle of CA certificates: at least one, and none that cannot be read.
 *
 * ret_not_after  when the last of them ends, unix seconds: from then on nothing can be trusted
 *
 * Returns 0, PEM_NO_CERTIFICATE with error set as above, or -ENOMEM. Any thread.
 */
int pem_check_ca(const struct secret *ca, int64_t *ret_not_after, struct error *error);

/* What OpenSSL calls the result of checking a peer's certificate (an X509_V_ERR number); NULL where it has nothing
   against the chain. Static. */
const char *pem_verify_text(long verify_result);
