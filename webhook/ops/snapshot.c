#include "ops/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"

/* ---- watching ---- */

struct watched_file {
    char *path;
    struct file_signature signature;
};

struct watch {
    size_t n_files;
    struct watched_file files[LIMIT_WATCHED_FILES];
};

/* Adds a file as it looks now. A path of NULL is no file. */
static int add_file(struct watch *watch, const char *path) {
    if (path == NULL || watch->n_files == LIMIT_WATCHED_FILES)
        return 0;
    char *copy = strdup(path);
    if (copy == NULL)
        return -ENOMEM;
    watch->files[watch->n_files++] = (struct watched_file){.path = copy, .signature = file_signature(path)};
    return 0;
}

static int add_all(struct watch *watch, const char *const *paths, size_t n_paths) {
    int r = 0;
    for (size_t i = 0; i < n_paths && r == 0; i++)
        r = add_file(watch, paths[i]);
    return r;
}

static int add_tls(struct watch *watch, const struct config_tls *tls) {
    const char *const paths[] = {tls->cert_file, tls->key_file, tls->client_ca_file};
    return add_all(watch, paths, sizeof(paths) / sizeof(paths[0]));
}

static int add_config(struct watch *watch, const struct config *config) {
    int r = add_tls(watch, &config->authentication.tls);
    if (r == 0)
        r = add_tls(watch, &config->admission.tls);
    if (r == 0)
        r = add_tls(watch, &config->operations.tls);
    if (r == 0)
        r = add_file(watch, config->handle_key_file);
    for (size_t i = 0; i < config->policy.n_issuers && r == 0; i++) {
        const struct config_introspection *from = &config->introspection[i];
        const char *const paths[] = {from->secret_file, from->cert_file, from->key_file, from->ca_file};
        r = add_all(watch, paths, sizeof(paths) / sizeof(paths[0]));
    }
    return r;
}

int watch_new(const char *path, const struct config *config, struct watch **ret_watch) {
    struct watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return -ENOMEM;
    int r = add_file(watch, path);
    if (r == 0 && config != NULL)
        r = add_config(watch, config);
    if (r == 0)
        *ret_watch = watch;
    else
        watch_free(watch);
    return r;
}

int watch_new_from(const struct snapshot *snapshot, struct watch **ret_watch) {
    struct watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return -ENOMEM;
    int r = 0;
    for (size_t i = 0; i < snapshot->files->n_files && r == 0; i++) {
        r = add_file(watch, snapshot->files->files[i].path);
        if (r == 0)
            watch->files[i].signature = snapshot->files->files[i].signature;
    }
    if (r == 0)
        *ret_watch = watch;
    else
        watch_free(watch);
    return r;
}

void watch_free(struct watch *watch) {
    if (watch == NULL)
        return;
    for (size_t i = 0; i < watch->n_files; i++)
        free(watch->files[i].path);
    free(watch);
}

bool watch_changed(struct watch *watch) {
    bool has_changed = false;
    for (size_t i = 0; i < watch->n_files; i++) {
        struct watched_file *file = &watch->files[i];
        const struct file_signature now = file_signature(file->path);
        has_changed |= !file_signature_equal(&file->signature, &now);
        file->signature = now;
    }
    return has_changed;
}

/* ---- files of secret lines ---- */

/* Takes the first line off text, without its line break. */
static struct text take_line(struct text *text) {
    const char *end = memchr(text->data, '\n', text->n_bytes);
    const size_t n_bytes = end == NULL ? text->n_bytes : (size_t)(end - text->data);
    struct text line = {.data = text->data, .n_bytes = n_bytes};
    if (line.n_bytes > 0 && line.data[line.n_bytes - 1] == '\r')
        line.n_bytes--;
    const size_t n_taken = end == NULL ? n_bytes : n_bytes + 1;
    *text = (struct text){.data = text->data + n_taken, .n_bytes = text->n_bytes - n_taken};
    return line;
}

/* What is asked of a file, and said of one that is not so. */
struct lines_wanted {
    size_t max_lines, min_bytes; /* bytes of each line */
    const char *too_many, *too_short, *no_content;
};

static const struct lines_wanted client_secrets = {
    .max_lines = LIMIT_CLIENT_SECRETS,
    .too_many = "there are more than two lines: keep the new secret and, below it, the old one",
    .no_content = "the file is empty: write the client secret into it",
};

static const struct lines_wanted handle_keys = {
    .max_lines = LIMIT_HANDLE_KEYS,
    .min_bytes = LIMIT_HANDLE_KEY_BYTES,
    .too_many =
        "there are more than four lines: keep the key that signs and, below it, those that others may still sign with",
    .too_short = "a key has 32 characters at least, and nobody can guess them: openssl rand -hex 32 makes one",
    .no_content = "the file is empty: write a key into it; openssl rand -hex 32 makes one",
};

/* What is wrong with a line, or NULL. */
static const char *check_line(const struct lines_wanted *wanted, struct text line, size_t n_lines_before) {
    if (n_lines_before == wanted->max_lines)
        return wanted->too_many;
    if (line.n_bytes == 0)
        return "the line is empty: write the secret, and no empty line before or after it";
    for (size_t i = 0; i < line.n_bytes; i++) {
        const unsigned char c = (unsigned char)line.data[i];
        if (c < 0x20 || c == 0x7f)
            return "the secret has a control character: remove it (is this a text file?)";
    }
    return line.n_bytes < wanted->min_bytes ? wanted->too_short : NULL;
}

static int split_lines(const char *path, struct text text, const struct lines_wanted *wanted, struct secret **to,
                       size_t *ret_n_lines, struct error *error) {
    size_t n_lines = 0;
    do {
        const struct text line = take_line(&text);
        const char *wrong = check_line(wanted, line, n_lines);
        if (wrong != NULL) {
            error_set(error, "%s:%zu: %s", path, n_lines + 1, wrong);
            return CONFIG_INVALID;
        }
        if (secret_new(line, &to[n_lines]) != 0)
            return -ENOMEM;
        *ret_n_lines = ++n_lines;
    } while (text.n_bytes > 0);
    return 0;
}

static int load_lines(const char *path, const struct lines_wanted *wanted, struct secret **to, size_t *ret_n_lines,
                      struct error *error) {
    if (path == NULL)
        return 0;
    struct secret *bytes;
    int r = file_read(path, LIMIT_SECRET_FILE_BYTES, &bytes, error);
    if (r != 0)
        return r;
    const struct text text = secret_text(bytes);
    if (text.n_bytes == 0)
        error_set(error, "%s: %s", path, wanted->no_content);
    r = text.n_bytes == 0 ? CONFIG_INVALID : split_lines(path, text, wanted, to, ret_n_lines, error);
    secret_free(bytes);
    return r;
}

/* ---- loading ---- */

/* A file to be read whole, if the configuration names it. */
struct source {
    const char *path;
    struct secret **to;
    const char *field;
};

/* Puts the field in front of what is wrong with its file. prefix: what the field's name is below. */
static int blame(int r, struct error *error, const struct config *config, const char *prefix, const char *field) {
    if (r == -ENOMEM)
        error_set(error, "out of memory");
    if (r != 0)
        error_prefix(error, "%s: %s.%s", config->path, prefix, field);
    return r;
}

static int load_all(const struct config *config, const char *prefix, const struct source *sources, size_t n_sources,
                    struct error *error) {
    for (size_t i = 0; i < n_sources; i++) {
        if (sources[i].path == NULL)
            continue;
        const int r = file_read(sources[i].path, LIMIT_PEM_FILE_BYTES, sources[i].to, error);
        if (r != 0)
            return blame(r, error, config, prefix, sources[i].field);
    }
    return 0;
}

static int load_tls(const struct config *config, const struct config_tls *tls, const char *prefix, struct snapshot_tls *to,
                    struct error *error) {
    const struct source sources[] = {{tls->cert_file, &to->cert_pem, "certFile"},
                                     {tls->key_file, &to->key_pem, "keyFile"},
                                     {tls->client_ca_file, &to->client_ca_pem, "clientCAFile"}};
    return load_all(config, prefix, sources, sizeof(sources) / sizeof(sources[0]), error);
}

static int load_issuer(const struct config *config, size_t issuer, struct snapshot_introspection *to, struct error *error) {
    const struct config_introspection *from = &config->introspection[issuer];
    char prefix[64];
    snprintf(prefix, sizeof(prefix), "issuers[%zu].introspection.client", issuer);
    int r = load_lines(from->secret_file, &client_secrets, to->client_secrets, &to->n_client_secrets, error);
    r = blame(r, error, config, prefix, "secretFile");
    const struct source client[] = {{from->cert_file, &to->client_cert_pem, "certFile"},
                                    {from->key_file, &to->client_key_pem, "keyFile"}};
    if (r == 0)
        r = load_all(config, prefix, client, sizeof(client) / sizeof(client[0]), error);
    snprintf(prefix, sizeof(prefix), "issuers[%zu].issuer", issuer);
    const struct source ca[] = {{from->ca_file, &to->ca_pem, "certificateAuthorityFile"}};
    return r != 0 ? r : load_all(config, prefix, ca, 1, error);
}

static int load_handle_keys(struct snapshot *snapshot, struct error *error) {
    const struct config *config = snapshot->config;
    const int r = load_lines(config->handle_key_file, &handle_keys, snapshot->handle_keys, &snapshot->n_handle_keys, error);
    return blame(r, error, config, "handle", "keyFile");
}

static int load_files(struct snapshot *snapshot, struct error *error) {
    const struct config *config = snapshot->config;
    snapshot->introspection = calloc(config->policy.n_issuers, sizeof(*snapshot->introspection));
    if (snapshot->introspection == NULL) {
        error_set(error, "%s: out of memory", config->path);
        return -ENOMEM;
    }
    int r =
        load_tls(config, &config->authentication.tls, "listeners.authentication.tls", &snapshot->authentication_tls, error);
    if (r == 0)
        r = load_tls(config, &config->admission.tls, "listeners.admission.tls", &snapshot->admission_tls, error);
    if (r == 0)
        r = load_tls(config, &config->operations.tls, "listeners.operations.tls", &snapshot->operations_tls, error);
    if (r == 0)
        r = load_handle_keys(snapshot, error);
    for (size_t i = 0; i < config->policy.n_issuers && r == 0; i++)
        r = load_issuer(config, i, &snapshot->introspection[i], error);
    return r;
}

/* The configuration, and what its files look like before any of them is read. */
static int load_config(const char *path, struct snapshot *snapshot, struct error *error) {
    const struct file_signature before = file_signature(path);
    int r = config_load(path, &snapshot->config, error);
    if (r != 0)
        return r;
    r = watch_new(path, snapshot->config, &snapshot->files);
    if (r != 0)
        error_set(error, "%s: out of memory", path);
    else
        snapshot->files->files[0].signature = before;
    return r;
}

int snapshot_load(const char *path, uint32_t generation, struct snapshot **ret_snapshot, struct error *error) {
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot == NULL) {
        error_set(error, "%s: out of memory", path);
        return -ENOMEM;
    }
    snapshot->n_refs = 1;
    int r = load_config(path, snapshot, error);
    if (r == 0)
        r = load_files(snapshot, error);
    if (r != 0) {
        snapshot_unref(snapshot);
        return r;
    }
    snapshot->config->policy.generation = generation;
    *ret_snapshot = snapshot;
    return 0;
}

/* ---- references ---- */

static void free_tls(struct snapshot_tls *tls) {
    secret_free(tls->cert_pem);
    secret_free(tls->key_pem);
    secret_free(tls->client_ca_pem);
}

static void free_introspection(struct snapshot_introspection *introspection) {
    for (size_t i = 0; i < LIMIT_CLIENT_SECRETS; i++)
        secret_free(introspection->client_secrets[i]);
    secret_free(introspection->client_cert_pem);
    secret_free(introspection->client_key_pem);
    secret_free(introspection->ca_pem);
}

struct snapshot *snapshot_ref(struct snapshot *snapshot) {
    atomic_fetch_add_explicit(&snapshot->n_refs, 1, memory_order_relaxed);
    return snapshot;
}

void snapshot_unref(struct snapshot *snapshot) {
    if (snapshot == NULL || atomic_fetch_sub_explicit(&snapshot->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    free_tls(&snapshot->authentication_tls);
    free_tls(&snapshot->admission_tls);
    free_tls(&snapshot->operations_tls);
    for (size_t i = 0; i < LIMIT_HANDLE_KEYS; i++)
        secret_free(snapshot->handle_keys[i]);
    for (size_t i = 0; snapshot->introspection != NULL && i < snapshot->config->policy.n_issuers; i++)
        free_introspection(&snapshot->introspection[i]);
    free(snapshot->introspection);
    watch_free(snapshot->files);
    config_free(snapshot->config);
    free(snapshot);
}
