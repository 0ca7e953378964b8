#include "ops/snapshot.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/memory.h"
#include "lib/sentinel.h"

/* A folder with a configuration and every file that it names; gone when the test is over. */
static char folder[] = "/tmp/kube-introspect-snapshot-XXXXXX";
static char config_path[sizeof(folder) + 16];

static const char *in_folder(const char *name) {
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *name, const char *bytes, size_t n_bytes) {
    FILE *file = fopen(in_folder(name), "w");
    cr_assert_not_null(file, "%s", in_folder(name));
    cr_assert_eq(fwrite(bytes, 1, n_bytes, file), n_bytes);
    cr_assert_eq(fclose(file), 0);
}

static void write_file(const char *name, const char *text) {
    write_bytes(name, text, strlen(text));
}

static const char *const names[] = {"config.yaml", "tls.crt", "tls.key",    "ca.crt",     "ops.crt",    "ops.key",
                                    "ops-ca.crt",  "secret",  "idp-ca.crt", "client.crt", "client.key", "handle-key"};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

#define CONFIG                                                                                                             \
    "apiVersion: kube-introspect.io/v1alpha1\n"                                                                            \
    "kind: WebhookConfiguration\n"                                                                                         \
    "cluster: test\n"                                                                                                      \
    "listeners:\n"                                                                                                         \
    "  authentication: {address: '127.0.0.1:0', tls: {certFile: tls.crt, keyFile: tls.key, clientCAFile: ca.crt}}\n"       \
    "  operations: {address: '127.0.0.1:0', tls: {certFile: ops.crt, keyFile: ops.key, clientCAFile: ops-ca.crt}}\n"       \
    "issuers:\n"                                                                                                           \
    "- name: one\n"                                                                                                        \
    "  issuer: {url: https://one.example.com, audiences: [a], certificateAuthorityFile: idp-ca.crt}\n"                     \
    "  tokens: {jwt: true}\n"                                                                                              \
    "  introspection: {client: {id: me, secretFile: secret}}\n"                                                            \
    "  claimMappings: {username: {claim: sub, prefix: 'one:'}}\n"                                                          \
    "- name: two\n"                                                                                                        \
    "  issuer: {url: https://two.example.com, audiences: [a]}\n"                                                           \
    "  tokens: {jwt: true}\n"                                                                                              \
    "  introspection: {client: {id: me, method: tls_client_auth, certFile: client.crt, keyFile: client.key}}\n"            \
    "  claimMappings: {username: {claim: sub, prefix: 'two:'}}\n"                                                          \
    "handle: {keyFile: handle-key}\n"

#define KEY "handle-key-of-thirty-two-characters-"

static void make_folder(void) {
    cr_assert_not_null(mkdtemp(folder));
    for (size_t i = 0; i < N_NAMES; i++)
        write_file(names[i], names[i]);
    write_file("config.yaml", CONFIG);
    write_file("secret", SENTINEL_SECRET "\n");
    write_file("handle-key", KEY "1\n" KEY "2\n");
    snprintf(config_path, sizeof(config_path), "%s/config.yaml", folder);
}

static void remove_folder(void) {
    for (size_t i = 0; i < N_NAMES; i++)
        (void)unlink(in_folder(names[i]));
    (void)rmdir(folder);
}

TestSuite(snapshot, .init = make_folder, .fini = remove_folder);

static struct snapshot *load(uint32_t generation) {
    struct snapshot *snapshot;
    struct error error;
    cr_assert_eq(snapshot_load(config_path, generation, &snapshot, &error), 0, "%s", error.text);
    return snapshot;
}

static void expect_secret(const struct secret *secret, const char *expected) {
    cr_assert_not_null(secret, "%s", expected);
    cr_expect(text_equal(secret_text(secret), text_of(expected)), "this is not %s", expected);
}

/* Fails to load, with this message, in which FOLDER stands for the folder. Nothing of a secret is in it. */
static void expect_failure(int result, const char *before, const char *name, const char *after) {
    struct snapshot *snapshot = NULL;
    struct error error = {};
    char expected[LIMIT_ERROR_BYTES];
    snprintf(expected, sizeof(expected), "%s: %s: %s/%s%s", config_path, before, folder, name, after);
    cr_expect_eq(snapshot_load(config_path, 1, &snapshot, &error), result, "%s", error.text);
    cr_expect_str_eq(error.text, expected);
    cr_expect_null(strstr(error.text, SENTINEL_SECRET), "the secret is in the message");
    cr_expect_null(snapshot, "an output was written on failure");
}

/* ---- loading ---- */

Test(snapshot, holds_the_configuration_and_every_file_it_names) {
    struct snapshot *snapshot = load(7);
    cr_expect_eq(snapshot_policy(snapshot)->generation, 7);
    cr_expect_eq(snapshot_policy(snapshot)->n_issuers, 2);
    expect_secret(snapshot->authentication_tls.cert_pem, "tls.crt");
    expect_secret(snapshot->authentication_tls.key_pem, "tls.key");
    expect_secret(snapshot->authentication_tls.client_ca_pem, "ca.crt");
    expect_secret(snapshot->operations_tls.cert_pem, "ops.crt");
    expect_secret(snapshot->operations_tls.key_pem, "ops.key");
    expect_secret(snapshot->operations_tls.client_ca_pem, "ops-ca.crt");
    const struct snapshot_introspection *one = &snapshot->introspection[0], *two = &snapshot->introspection[1];
    cr_expect_eq(one->n_client_secrets, 1);
    expect_secret(one->client_secrets[0], SENTINEL_SECRET);
    cr_expect_null(one->client_secrets[1]);
    expect_secret(one->ca_pem, "idp-ca.crt");
    cr_expect_null(one->client_cert_pem);
    cr_expect_eq(two->n_client_secrets, 0);
    expect_secret(two->client_cert_pem, "client.crt");
    expect_secret(two->client_key_pem, "client.key");
    cr_expect_null(two->ca_pem);
    snapshot_unref(snapshot);
}

Test(snapshot, bad_configuration_is_refused_as_by_the_reader) {
    struct snapshot *snapshot = NULL;
    struct error error, expected;
    struct config *config;
    write_file("config.yaml", "a: b\n");
    cr_expect_eq(snapshot_load(config_path, 1, &snapshot, &error), CONFIG_INVALID);
    cr_expect_eq(config_load(config_path, &config, &expected), CONFIG_INVALID);
    cr_expect_str_eq(error.text, expected.text);
    cr_expect_null(snapshot);
}

Test(snapshot, file_that_is_missing_is_named_with_its_field) {
    static const struct {
        const char *name, *field;
    } cases[] = {{"tls.crt", "listeners.authentication.tls.certFile"},
                 {"tls.key", "listeners.authentication.tls.keyFile"},
                 {"ca.crt", "listeners.authentication.tls.clientCAFile"},
                 {"ops.crt", "listeners.operations.tls.certFile"},
                 {"ops.key", "listeners.operations.tls.keyFile"},
                 {"ops-ca.crt", "listeners.operations.tls.clientCAFile"},
                 {"secret", "issuers[0].introspection.client.secretFile"},
                 {"idp-ca.crt", "issuers[0].issuer.certificateAuthorityFile"},
                 {"client.crt", "issuers[1].introspection.client.certFile"},
                 {"client.key", "issuers[1].introspection.client.keyFile"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(unlink(in_folder(cases[i].name)), 0);
        expect_failure(-ENOENT, cases[i].field, cases[i].name, ": No such file or directory");
        write_file(cases[i].name, SENTINEL_SECRET);
    }
}

/* ---- client secrets ---- */

Test(snapshot, secret_file_has_one_or_two_lines) {
    static const struct {
        struct text bytes;
        size_t n;
        const char *secrets[2];
    } cases[] = {{TEXT("a"), 1, {"a"}},
                 {TEXT("a\n"), 1, {"a"}},
                 {TEXT("a\r\n"), 1, {"a"}},
                 {TEXT("a\nb"), 2, {"a", "b"}},
                 {TEXT("a\nb\n"), 2, {"a", "b"}},
                 {TEXT("a\r\nb\r\n"), 2, {"a", "b"}},
                 {TEXT("  a b \n"), 1, {"  a b "}},
                 {TEXT("\xc3\xbc\n"), 1, {"\xc3\xbc"}}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_bytes("secret", cases[i].bytes.data, cases[i].bytes.n_bytes);
        struct snapshot *snapshot = load(1);
        cr_expect_eq(snapshot->introspection[0].n_client_secrets, cases[i].n);
        for (size_t k = 0; k < cases[i].n; k++)
            expect_secret(snapshot->introspection[0].client_secrets[k], cases[i].secrets[k]);
        snapshot_unref(snapshot);
    }
}

#define EMPTY_LINE ": the line is empty: write the secret, and no empty line before or after it"
#define CONTROL ": the secret has a control character: remove it (is this a text file?)"

Test(snapshot, secret_file_that_is_none_is_refused_without_showing_it) {
    static const struct {
        struct text bytes;
        const char *message;
    } cases[] = {
        {TEXT(""), ": the file is empty: write the client secret into it"},
        {TEXT("\n"), ":1" EMPTY_LINE},
        {TEXT("\r\n"), ":1" EMPTY_LINE},
        {TEXT("\n" SENTINEL_SECRET "\n"), ":1" EMPTY_LINE},
        {TEXT(SENTINEL_SECRET "\n\n"), ":2" EMPTY_LINE},
        {TEXT(SENTINEL_SECRET "\n\nb\n"), ":2" EMPTY_LINE},
        {TEXT(SENTINEL_SECRET "\nb\nc\n"),
         ":3: there are more than two lines: keep the new secret and, below it, the old one"},
        {TEXT(SENTINEL_SECRET "\nb\n\n"),
         ":3: there are more than two lines: keep the new secret and, below it, the old one"},
        {TEXT(SENTINEL_SECRET "\0\n"), ":1" CONTROL},
        {TEXT(SENTINEL_SECRET "\tb\n"), ":1" CONTROL},
        {TEXT("a\n" SENTINEL_SECRET "\x7f\n"), ":2" CONTROL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_bytes("secret", cases[i].bytes.data, cases[i].bytes.n_bytes);
        expect_failure(CONFIG_INVALID, "issuers[0].introspection.client.secretFile", "secret", cases[i].message);
    }
}

Test(snapshot, handle_key_file_has_one_to_four_lines) {
    static const struct {
        const char *content;
        size_t n_keys;
    } cases[] = {{KEY "1", 1}, {KEY "1\r\n" KEY "2\r\n", 2}, {KEY "1\n" KEY "2\n" KEY "3\n" KEY "4\n", 4}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_file("handle-key", cases[i].content);
        struct snapshot *snapshot = load(1);
        cr_expect_eq(snapshot->n_handle_keys, cases[i].n_keys, "%zu", i);
        expect_secret(snapshot->handle_keys[0], KEY "1");
        snapshot_unref(snapshot);
    }
}

Test(snapshot, handle_key_file_that_is_none_is_refused_without_showing_it) {
    static const struct {
        const char *content, *wrong;
    } cases[] = {
        {"", ": the file is empty: write a key into it; openssl rand -hex 32 makes one"},
        {KEY "1\n\n", ":2: the line is empty: write the secret, and no empty line before or after it"},
        {KEY "1\nshort\n",
         ":2: a key has 32 characters at least, and nobody can guess them: openssl rand -hex 32 makes one"},
        {KEY "1\n" KEY "2\n" KEY "3\n" KEY "4\n" KEY "5\n",
         ":5: there are more than four lines: keep the key that signs and, below it, those that others may still sign with"},
        {KEY "\t\n", ":1: the secret has a control character: remove it (is this a text file?)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_file("handle-key", cases[i].content);
        expect_failure(CONFIG_INVALID, "handle.keyFile", "handle-key", cases[i].wrong);
    }
    (void)unlink(in_folder("handle-key"));
    struct snapshot *snapshot = NULL;
    struct error error = {};
    cr_expect_eq(snapshot_load(config_path, 1, &snapshot, &error), -ENOENT);
    cr_expect_not_null(strstr(error.text, "handle.keyFile: "));
}

Test(snapshot, files_are_bounded) {
    static char large[LIMIT_PEM_FILE_BYTES + 1];
    struct snapshot *snapshot = NULL;
    struct error error;
    memset(large, 'a', sizeof(large));
    write_bytes("secret", large, LIMIT_SECRET_FILE_BYTES + 1);
    cr_expect_eq(snapshot_load(config_path, 1, &snapshot, &error), -EFBIG, "%s", error.text);
    write_bytes("secret", large, LIMIT_SECRET_FILE_BYTES);
    write_bytes("client.key", large, LIMIT_PEM_FILE_BYTES + 1);
    cr_expect_eq(snapshot_load(config_path, 1, &snapshot, &error), -EFBIG, "%s", error.text);
    write_bytes("client.key", large, LIMIT_PEM_FILE_BYTES);
    snapshot_unref(load(1));
}

/* ---- references ---- */

Test(snapshot, lives_until_the_last_reference_goes) {
    struct snapshot *snapshot = load(1);
    cr_expect_eq(snapshot_ref(snapshot), snapshot);
    snapshot_unref(snapshot);
    cr_expect_eq(snapshot_policy(snapshot)->generation, 1);
    snapshot_unref(snapshot);
    snapshot_unref(NULL);
}

static void *take_and_drop(void *context) {
    for (size_t i = 0; i < 10000; i++)
        snapshot_unref(snapshot_ref(context));
    snapshot_unref(context);
    return NULL;
}

Test(snapshot, references_are_counted_from_any_thread) {
    struct snapshot *snapshot = load(1);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, take_and_drop, snapshot_ref(snapshot)), 0);
    snapshot_unref(snapshot);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

/* ---- watching ---- */

/* Replaces a file as Kubernetes and careful admins do: a new one gets the old one's name. */
static void replace(const char *name, const char *text) {
    char path[256], new_path[272];
    snprintf(path, sizeof(path), "%s", in_folder(name));
    write_file("new", text);
    snprintf(new_path, sizeof(new_path), "%s", in_folder("new"));
    cr_assert_eq(rename(new_path, path), 0);
}

Test(snapshot, change_of_any_file_is_seen_once) {
    struct snapshot *snapshot = load(1);
    struct watch *watch;
    cr_assert_eq(watch_new(config_path, snapshot->config, &watch), 0);
    cr_expect_not(watch_changed(watch));
    for (size_t i = 0; i < N_NAMES; i++) {
        replace(names[i], "other content");
        cr_expect(watch_changed(watch), "%s", names[i]);
        cr_expect_not(watch_changed(watch), "%s", names[i]);
    }
    watch_free(watch);
    snapshot_unref(snapshot);
}

Test(snapshot, file_that_goes_and_comes_back_is_seen_twice) {
    struct snapshot *snapshot = load(1);
    struct watch *watch;
    cr_assert_eq(watch_new(config_path, snapshot->config, &watch), 0);
    cr_assert_eq(unlink(in_folder("secret")), 0);
    cr_expect(watch_changed(watch));
    cr_expect_not(watch_changed(watch));
    write_file("secret", "back");
    cr_expect(watch_changed(watch));
    watch_free(watch);
    snapshot_unref(snapshot);
}

Test(snapshot, link_that_points_elsewhere_is_seen) {
    /* As in a mounted Secret: the file is a link into a folder that is swapped by a link. */
    char target[256];
    snprintf(target, sizeof(target), "%s", in_folder("client.crt"));
    cr_assert_eq(unlink(in_folder("secret")), 0);
    cr_assert_eq(symlink(target, in_folder("secret")), 0);
    struct snapshot *snapshot = load(1);
    struct watch *watch;
    cr_assert_eq(watch_new(config_path, snapshot->config, &watch), 0);
    cr_expect_not(watch_changed(watch));
    cr_assert_eq(unlink(in_folder("secret")), 0);
    cr_assert_eq(symlink("client.key", in_folder("secret")), 0);
    cr_expect(watch_changed(watch));
    watch_free(watch);
    snapshot_unref(snapshot);
}

Test(snapshot, configuration_that_could_not_be_read_is_watched_alone) {
    struct watch *watch;
    cr_assert_eq(unlink(config_path), 0);
    cr_assert_eq(watch_new(config_path, NULL, &watch), 0);
    cr_expect_not(watch_changed(watch));
    replace("secret", "other");
    cr_expect_not(watch_changed(watch));
    write_file("config.yaml", CONFIG);
    cr_expect(watch_changed(watch));
    watch_free(watch);
    watch_free(NULL);
}

Test(snapshot, change_after_the_reading_and_before_the_watch_is_not_lost) {
    for (size_t i = 0; i < N_NAMES; i++) {
        struct snapshot *snapshot = load(1);
        struct watch *watch;
        char text[4096];
        snprintf(text, sizeof(text), "%s# %s\n", i == 0 ? CONFIG : "", names[i]);
        replace(names[i], text);
        cr_assert_eq(watch_new_from(snapshot, &watch), 0);
        cr_expect(watch_changed(watch), "%s", names[i]);
        cr_expect_not(watch_changed(watch), "%s", names[i]);
        watch_free(watch);
        snapshot_unref(snapshot);
    }
}

Test(snapshot, watch_of_an_unchanged_snapshot_is_quiet) {
    struct snapshot *snapshot = load(1);
    struct watch *watch;
    cr_assert_eq(watch_new_from(snapshot, &watch), 0);
    cr_expect_not(watch_changed(watch));
    watch_free(watch);
    snapshot_unref(snapshot);
}

/* ---- no memory ---- */

Test(snapshot, every_allocation_failure_of_loading_is_survived) {
    write_file("secret", "new\nold\n");
    int r = -ENOMEM;
    for (size_t n = 1; r == -ENOMEM; n++) {
        struct snapshot *snapshot = NULL;
        struct error error = {};
        memory_fail_at(n);
        r = snapshot_load(config_path, 1, &snapshot, &error);
        const bool has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert_eq(r, has_failed ? -ENOMEM : 0, "%s", error.text);
        if (r != 0)
            cr_assert_neq(error.text[0], '\0', "failure %zu has no message", n);
        snapshot_unref(snapshot);
    }
}

Test(snapshot, every_allocation_failure_of_watching_is_survived) {
    struct snapshot *snapshot = load(1);
    int r = -ENOMEM;
    for (size_t n = 1; r == -ENOMEM; n++) {
        struct watch *watch = NULL, *from = NULL;
        memory_fail_at(n);
        r = watch_new(config_path, snapshot->config, &watch);
        if (r == 0)
            r = watch_new_from(snapshot, &from);
        const bool has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert_eq(r, has_failed ? -ENOMEM : 0);
        watch_free(watch);
        watch_free(from);
    }
    snapshot_unref(snapshot);
}
