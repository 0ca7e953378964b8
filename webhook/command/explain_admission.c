#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "command/command.h"
#include "command/explain_reply.h"
#include "core/admission.h"
#include "core/explanation.h"

/* A review that is walked through the rules. */
struct walk {
    const struct config *config;
    struct admission_review review;
    struct explain_fact known; /* of the token; its fact NULL: nothing is known */
};

static void print_line(struct explanation *explanation, const char *rule, bool held, const char *seen) {
    (void)explanation;
    printf("  %s %-34s %s\n", held ? "held  " : "FAILED", rule, seen);
}

static void print_request(const struct admission_review *review) {
    const bool has_group = review->group.n_bytes > 0, has_subresource = review->subresource.n_bytes > 0;
    printf("request %s %.*s%s%.*s%s%.*s by %.*s%s\n", admission_operation_word(review->operation), SEEN(review->resource),
           has_group ? "." : "", SEEN(review->group), has_subresource ? "/" : "", SEEN(review->subresource),
           SEEN(review->user), review->is_dry_run ? ", a dry run" : "");
}

static void print_rule(const struct admission_rule *rule, const struct admission_result *result) {
    const char *word = result->state == ADMISSION_NOT_ABOUT ? "is about other requests"
                       : result->state == ADMISSION_HELD    ? "holds"
                                                            : "does not hold";
    printf("rule %.*s %s", SEEN(rule->name), word);
    if (result->state == ADMISSION_FAILED)
        printf(" (%s): %s%s%.*s", admission_cause_word((enum admission_cause)result->cause),
               admission_action_word(rule->action), rule->message.n_bytes > 0 ? ": " : "", SEEN(rule->message));
    printf("\n");
}

/* The reply's user and the review's must be one: a handle is bound to its user. */
static enum reason judge_token(const struct walk *walk) {
    if (walk->known.reason != REASON_OK || walk->known.fact == NULL)
        return walk->known.reason;
    return text_equal(walk->known.names.username, walk->review.user) ? REASON_OK : REASON_HANDLE_OTHER_USER;
}

static int print_verdict(enum reason reason) {
    const enum verdict verdict = reason_verdict(reason);
    printf("verdict: %s\nreason:  %s\n         %s\n", verdict_word(verdict), reason_word(reason), reason_sentence(reason));
    return verdict == VERDICT_ALLOW ? EXIT_GOOD : EXIT_BAD;
}

static int walk_rules(const struct walk *walk, int64_t now_unix_s) {
    const struct policy *policy = &walk->config->policy;
    const struct admission_token token = {.fact = walk->known.fact, .issuer = walk->known.issuer, .now_unix_s = now_unix_s};
    struct explanation explanation = {.line = print_line};
    struct admission_results results;
    print_request(&walk->review);
    if (walk->known.fact == NULL)
        printf("  token  %-34s %s\n", "", "nothing is known of it: give what the provider says of it by --reply");
    const enum reason reason = judge_token(walk);
    if (reason_verdict(reason) != VERDICT_ALLOW)
        return print_verdict(reason);
    const int r = admission_evaluate(policy, &walk->review, &token, &explanation, &results);
    if (r != 0)
        return r;
    for (size_t i = 0; i < results.n_items; i++)
        print_rule(&policy->rules[i], &results.items[i]);
    return print_verdict(results.is_denied ? REASON_ADMISSION_RULE : reason);
}

static int read_review(const char *path, struct secret **ret_bytes, struct error *error) {
    if (strcmp(path, "-") == 0)
        return file_read_stream(STDIN_FILENO, "standard input", LIMIT_ADMISSION_BYTES, ret_bytes, error);
    return file_read(path, LIMIT_ADMISSION_BYTES, ret_bytes, error);
}

/* Decodes a copy, as decoding changes what it reads. The caller frees *ret_body after the review. */
static int decode(const char *path, struct text bytes, struct admission_review *ret_review, char **ret_body,
                  struct error *error) {
    struct scan_room *room = malloc(sizeof(*room));
    char *body = malloc(bytes.n_bytes + 1);
    int r = room == NULL || body == NULL ? -ENOMEM : 0;
    if (r == 0) {
        memcpy(body, bytes.data, bytes.n_bytes);
        struct error wrong;
        r = admission_review_decode(body, bytes.n_bytes, room, ret_review, &wrong) == 0 ? 0 : -EINVAL;
        if (r != 0)
            error_set(error, "%s: %s", path, wrong.text);
    }
    free(room);
    *ret_body = body;
    return r;
}

int command_explain_admission(const struct config *config, const struct explain_options *options, struct error *error) {
    struct walk walk = {.config = config, .known = {.reason = REASON_OK}};
    struct secret *bytes = NULL;
    char *body = NULL;
    int r = read_review(options->admission_path, &bytes, error);
    if (r == 0)
        r = decode(options->admission_path, secret_text(bytes), &walk.review, &body, error);
    if (r == 0 && options->reply_path != NULL)
        r = explain_fact_of(config, options, &walk.known, error);
    if (r == 0)
        r = walk_rules(&walk, options->at_unix_s);
    explain_fact_deinit(&walk.known);
    free(body);
    secret_free(bytes);
    return r;
}
