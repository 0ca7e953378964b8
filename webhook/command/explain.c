#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "command/explain_reply.h"

static void print_line(struct explanation *explanation, const char *rule, bool held, const char *seen) {
    (void)explanation;
    printf("  %s %-34s %s\n", held ? "held  " : "FAILED", rule, seen);
}

static void print_time(const char *claim, int64_t time_s, int64_t now_s) {
    if (time_s == FACT_NO_TIME)
        printf("  %-6s %-34s absent\n", "time", claim);
    else
        printf("  %-6s %-34s %lld (%+lld s from then)\n", "time", claim, (long long)time_s, (long long)(time_s - now_s));
}

static void print_verdict(const struct decision *decision) {
    printf("verdict: %s\nreason:  %s\n         %s\n", verdict_word(decision->verdict), reason_word(decision->reason),
           reason_sentence(decision->reason));
    if (decision->verdict != VERDICT_ALLOW)
        return;
    const struct text user = identity_user(decision->identity);
    printf("user:    %.*s\n", (int)user.n_bytes, user.data);
    for (size_t i = 0; decision->has_audiences && i < decision->n_audiences; i++)
        printf("audience: %.*s\n", (int)decision->audiences[i].n_bytes, decision->audiences[i].data);
}

/* The rules first, each with what it saw; then the verdict as a login would get it. */
static int explain_fact(const struct policy *policy, size_t issuer, struct fact *fact,
                        const struct explain_options *options, struct cache *cache) {
    struct explanation explanation = {.line = print_line};
    if (fact->answer == FACT_ACTIVE) {
        struct identity *identity;
        const int r = identity_new(fact, policy, issuer, &explanation, &identity);
        if (r != 0)
            return r;
        identity_unref(identity);
        print_time("exp", fact->exp_unix_s, options->at_unix_s);
        print_time("nbf", fact->nbf_unix_s, options->at_unix_s);
        print_time("iat", fact->iat_unix_s, options->at_unix_s);
    }
    const struct decide with = {
        .policy = policy, .cache = cache, .now_mono_ms = fact->asked_mono_ms, .now_unix_ms = options->at_unix_s * 1000};
    const struct text asked = text_of(options->audience);
    struct decision decision = {.issuer = issuer};
    decide_fact(&with, fact, &asked, options->audience == NULL ? 0 : 1, &decision);
    print_verdict(&decision);
    const int status = decision.verdict == VERDICT_ALLOW ? EXIT_GOOD : EXIT_BAD;
    decision_deinit(&decision);
    return status;
}

static int explain_reply(const struct config *config, size_t issuer, struct text bytes,
                         const struct explain_options *options, struct error *error) {
    const struct issuer_policy *policy = &config->policy.issuers[issuer];
    printf("issuer %.*s (%.*s)\n", (int)policy->name.n_bytes, policy->name.data, (int)policy->url.n_bytes,
           policy->url.data);
    struct introspection reply;
    int r = introspection_decode(bytes, &reply);
    if (r == INTROSPECTION_MALFORMED) {
        struct decision decision = {.issuer = issuer};
        decide_unavailable(REASON_PROVIDER_REPLY_INVALID, &decision);
        print_verdict(&decision);
        return EXIT_BAD;
    }
    if (r != 0)
        return r;
    printf("  reply  %-34s %s\n", "active", reply.active ? "true" : "false");
    const struct cache_limits limits = {.max_entries = 16, .max_negative_entries = 16, .max_bytes = 16 * 1024 * 1024};
    struct cache *cache = NULL;
    struct fact *fact = NULL;
    r = cache_new(&limits, &cache);
    if (r == 0)
        r = explain_make_fact(&reply, clock_mono_ms(&clock_system), &fact);
    introspection_deinit(&reply);
    if (r == 0)
        r = explain_fact(&config->policy, issuer, fact, options, cache);
    fact_unref(fact);
    cache_free(cache);
    if (r < 0)
        error_set(error, "out of memory");
    return r;
}

static int explain_login(const struct config *config, const struct explain_options *options, struct error *error) {
    struct secret *bytes = NULL;
    size_t issuer = 0;
    int r = explain_find_issuer(config, options->issuer, &issuer, error);
    if (r == 0)
        r = explain_read_reply(options->reply_path, &bytes, error);
    if (r == 0)
        r = explain_reply(config, issuer, secret_text(bytes), options, error);
    secret_free(bytes);
    return r;
}

int command_explain(const char *config_path, const struct explain_options *options) {
    struct error error = {"out of memory"};
    struct config *config = NULL;
    int r = config_load(config_path, &config, &error);
    if (r == CONFIG_INVALID)
        r = -EINVAL;
    if (r == 0 && options->admission_path != NULL)
        r = command_explain_admission(config, options, &error);
    else if (r == 0)
        r = explain_login(config, options, &error);
    config_free(config);
    if (r < 0) {
        fflush(stdout);
        fprintf(stderr, "%s\n", error.text);
        return EXIT_BAD;
    }
    return r;
}
