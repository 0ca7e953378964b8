#include "net/pem.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

#include "lib/certificates.h"

#define DAY_S 86400

static struct secret *secret_of(const char *first, const char *second) {
    char *const both = malloc(strlen(first) + strlen(second) + 1);
    strcpy(stpcpy(both, first), second);
    struct secret *secret;
    cr_assert_eq(secret_new(text_of(both), &secret), 0);
    free(both);
    return secret;
}

struct pair {
    struct certificate ca, leaf, other;
};

static void pair_init(struct pair *pair) {
    pair->ca = certificate_new(NULL, &(struct certificate_wish){.common_name = "CA", .is_ca = 1, .ends_in_s = 10 * DAY_S});
    pair->leaf = certificate_new(&pair->ca, &(struct certificate_wish){.common_name = "leaf", .ends_in_s = 2 * DAY_S});
    pair->other = certificate_new(&pair->ca, &(struct certificate_wish){.common_name = "other", .ends_in_s = 3 * DAY_S});
}

static void pair_deinit(struct pair *pair) {
    certificate_deinit(&pair->ca);
    certificate_deinit(&pair->leaf);
    certificate_deinit(&pair->other);
}

static int check_pair(const char *cert, const char *chain, const char *key, int64_t *ret_not_after, struct error *error) {
    struct secret *const cert_pem = secret_of(cert, chain), *const key_pem = secret_of(key, "");
    *error = (struct error){.text = ""};
    const int r = pem_check_pair(cert_pem, key_pem, ret_not_after, error);
    secret_free(cert_pem);
    secret_free(key_pem);
    return r;
}

Test(pem, a_pair_fits_and_ends_with_its_first_certificate) {
    struct pair pair;
    pair_init(&pair);
    struct error error;
    int64_t not_after = 0;
    cr_assert_eq(check_pair(pair.leaf.cert_pem, pair.ca.cert_pem, pair.leaf.key_pem, &not_after, &error), 0, "%s",
                 error.text);
    cr_assert_lt(llabs(not_after - (time(NULL) + 2 * DAY_S)), 60);
    pair_deinit(&pair);
}

Test(pem, a_key_of_another_certificate_is_a_mismatch) {
    struct pair pair;
    pair_init(&pair);
    struct error error;
    int64_t not_after = 17;
    cr_assert_eq(check_pair(pair.leaf.cert_pem, "", pair.other.key_pem, &not_after, &error), PEM_MISMATCH);
    cr_assert_not_null(strstr(error.text, "does not belong"));
    cr_assert_eq(not_after, 17);
    pair_deinit(&pair);
}

static const char encrypted_key[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgAAAAAAAAAAAICCAAw\n"
                                    "-----END ENCRYPTED PRIVATE KEY-----\n";

Test(pem, what_is_no_pair_is_named) {
    struct pair pair;
    pair_init(&pair);
    char *const cut = strdup(pair.leaf.cert_pem);
    cut[strlen(cut) / 2] = '\0';
    char *const broken_chain = strdup(pair.ca.cert_pem);
    memcpy(broken_chain + 100, "!!!!", 4);
    const struct {
        const char *name, *cert, *chain, *key;
        int result;
    } cases[] = {
        {"empty certificate", "", "", pair.leaf.key_pem, PEM_NO_CERTIFICATE},
        {"text", "hello\n", "", pair.leaf.key_pem, PEM_NO_CERTIFICATE},
        {"a key for a certificate", pair.leaf.key_pem, "", pair.leaf.key_pem, PEM_NO_CERTIFICATE},
        {"cut certificate", cut, "", pair.leaf.key_pem, PEM_NO_CERTIFICATE},
        {"broken chain", pair.leaf.cert_pem, broken_chain, pair.leaf.key_pem, PEM_NO_CERTIFICATE},
        {"empty key", pair.leaf.cert_pem, "", "", PEM_NO_KEY},
        {"a certificate for a key", pair.leaf.cert_pem, "", pair.leaf.cert_pem, PEM_NO_KEY},
        {"key with a passphrase", pair.leaf.cert_pem, "", encrypted_key, PEM_NO_KEY},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct error error;
        int64_t not_after;
        cr_expect_eq(check_pair(cases[i].cert, cases[i].chain, cases[i].key, &not_after, &error), cases[i].result, "%s",
                     cases[i].name);
        cr_expect(error.text[0] != '\0', "%s", cases[i].name);
    }
    free(cut);
    free(broken_chain);
    pair_deinit(&pair);
}

Test(pem, a_bundle_ends_with_its_last_certificate) {
    struct pair pair;
    pair_init(&pair);
    struct secret *const bundle = secret_of(pair.ca.cert_pem, pair.other.cert_pem);
    struct error error;
    int64_t not_after = 0;
    cr_assert_eq(pem_check_ca(bundle, &not_after, &error), 0);
    cr_assert_lt(llabs(not_after - (time(NULL) + 10 * DAY_S)), 60);
    secret_free(bundle);
    pair_deinit(&pair);
}

Test(pem, a_bundle_without_a_certificate_is_refused) {
    struct secret *const bundle = secret_of("# nothing here\n", "");
    struct error error = {.text = ""};
    int64_t not_after;
    cr_assert_eq(pem_check_ca(bundle, &not_after, &error), PEM_NO_CERTIFICATE);
    cr_assert(error.text[0] != '\0');
    secret_free(bundle);
}

Test(pem, a_good_certificate_has_no_verify_text) {
    cr_assert_null(pem_verify_text(0));
    cr_assert_null(pem_verify_text(1), "nothing was checked yet");
    cr_assert_str_eq(pem_verify_text(10), "certificate has expired");
}
