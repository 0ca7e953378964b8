/*
 * Certificates for tests, made when they are needed (P-256, so in a millisecond): nothing that can end lies in the tree.
 */
#pragma once

#include <stdint.h>

struct certificate {
    char *cert_pem, *key_pem; /* free them with certificate_deinit() */
};

struct certificate_wish {
    const char *common_name;
    const char *san;     /* as OpenSSL's extension writes it: "DNS:localhost,IP:127.0.0.1"; NULL: none */
    int64_t starts_in_s; /* from now; negative: in the past */
    int64_t ends_in_s;   /* from now; 0: in an hour */
    int is_ca;
};

/* Makes one, signed by a CA or by itself (NULL). Ends the test where OpenSSL does not want to. */
struct certificate certificate_new(const struct certificate *ca, const struct certificate_wish *wish);
void certificate_deinit(struct certificate *certificate);
