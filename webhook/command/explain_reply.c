#include "command/explain_reply.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

int explain_find_issuer(const struct config *config, const char *name, size_t *ret_issuer, struct error *error) {
    const struct policy *policy = &config->policy;
    if (name == NULL && policy->n_issuers == 1) {
        *ret_issuer = 0;
        return 0;
    }
    for (size_t i = 0; name != NULL && i < policy->n_issuers; i++) {
        if (text_equal(policy->issuers[i].name, text_of(name))) {
            *ret_issuer = i;
            return 0;
        }
    }
    error_set(error,
              name == NULL ? "%s: there are several issuers: say which by --issuer NAME"
                           : "%s: no issuer has the name that --issuer gives",
              config->path);
    return -EINVAL;
}

int explain_read_reply(const char *path, struct secret **ret_bytes, struct error *error) {
    if (strcmp(path, "-") == 0)
        return file_read_stream(STDIN_FILENO, "standard input", LIMIT_INTROSPECTION_REPLY_BYTES, ret_bytes, error);
    return file_read(path, LIMIT_INTROSPECTION_REPLY_BYTES, ret_bytes, error);
}

int explain_make_fact(const struct introspection *reply, int64_t now_mono_ms, struct fact **ret_fact) {
    static const uint8_t key[DIGEST_BYTES];
    const struct fact_source source = {
        .answer = reply->active ? FACT_ACTIVE : FACT_INACTIVE,
        .key = key,
        .asked_mono_ms = now_mono_ms,
        .exp_unix_s = reply->exp_unix_s,
        .nbf_unix_s = reply->nbf_unix_s,
        .iat_unix_s = reply->iat_unix_s,
        .token = TEXT("explained"),
        .claims = buffer_text(&reply->claims),
    };
    return fact_new(&source, ret_fact);
}

/* Keeps the fact where it is good, and why not where it is not. */
static void judge(const struct config *config, const struct explain_options *options, struct cache *cache,
                  struct fact *fact, struct explain_fact *to) {
    const struct decide with = {.policy = &config->policy,
                                .cache = cache,
                                .now_mono_ms = fact->asked_mono_ms,
                                .now_unix_ms = options->at_unix_s * 1000};
    struct decision decision = {.issuer = to->issuer};
    decide_fact(&with, fact, NULL, 0, &decision);
    to->reason = decision.reason;
    if (decision.reason == REASON_OK) {
        identity_names(decision.identity, &to->names);
        /* The texts may lie in the identity, which goes. */
        to->names.username.data = memcpy(to->names.room, to->names.username.data, to->names.username.n_bytes);
        to->fact = fact_ref(fact);
    }
    decision_deinit(&decision);
}

static int read_fact(const struct config *config, const struct explain_options *options, struct text bytes,
                     struct explain_fact *to) {
    struct introspection reply;
    int r = introspection_decode(bytes, &reply);
    if (r != 0) {
        to->reason = r == INTROSPECTION_MALFORMED ? REASON_PROVIDER_REPLY_INVALID : REASON_INTERNAL;
        return 0;
    }
    const struct cache_limits limits = {.max_entries = 16, .max_negative_entries = 16, .max_bytes = 16 * 1024 * 1024};
    struct cache *cache = NULL;
    struct fact *fact = NULL;
    r = cache_new(&limits, &cache);
    if (r == 0)
        r = explain_make_fact(&reply, clock_mono_ms(&clock_system), &fact);
    introspection_deinit(&reply);
    if (r == 0)
        judge(config, options, cache, fact, to);
    fact_unref(fact);
    cache_free(cache);
    return r;
}

int explain_fact_of(const struct config *config, const struct explain_options *options, struct explain_fact *ret_fact,
                    struct error *error) {
    struct secret *bytes = NULL;
    ret_fact->fact = NULL;
    int r = explain_find_issuer(config, options->issuer, &ret_fact->issuer, error);
    if (r == 0)
        r = explain_read_reply(options->reply_path, &bytes, error);
    if (r == 0)
        r = read_fact(config, options, secret_text(bytes), ret_fact);
    secret_free(bytes);
    return r;
}

void explain_fact_deinit(struct explain_fact *fact) {
    fact_unref(fact->fact);
    fact->fact = NULL;
}
