/*
 * Rules for changes (admission.rules): what a change demands of the token behind it, and of what it changes. All rules are
 * evaluated, whatever the first ones say. Pure: asks nobody, and knows no time of its own.
 *
 * Of whom nothing is known nothing holds: a rule that requires something of a token fails where there is no fact, be it
 * that no handle was shown, that this replica does not hold the fact, or that the user is none of ours. So a rule must
 * match, or the webhook's own matchConditions let through, only those whose tokens can be known.
 */
#pragma once

#include "core/decide.h"
#include "wire/admission_review.h"

/* What is known of the token behind a request. Borrowed. */
struct admission_token {
    const struct fact *fact; /* FACT_ACTIVE; NULL: nothing is known */
    size_t issuer;           /* index into the policy's; looked at with a fact only */
    int64_t now_unix_s;
};

enum admission_state {
    ADMISSION_NOT_ABOUT, /* the rule is about other requests */
    ADMISSION_HELD,
    ADMISSION_FAILED
};
/* "not_matched", "held", "failed". Static. */
const char *admission_state_word(enum admission_state state);

/* Why a rule did not hold: the first that did not. */
enum admission_cause {
    ADMISSION_CAUSE_NONE,
    ADMISSION_CAUSE_TOKEN_UNKNOWN,
    ADMISSION_CAUSE_MAX_AGE,
    ADMISSION_CAUSE_ACR,
    ADMISSION_CAUSE_AMR,
    ADMISSION_CAUSE_SCOPE,
    ADMISSION_CAUSE_CLAIM,
    ADMISSION_CAUSE_UNREADABLE, /* subjects that RBAC could not have */
    ADMISSION_CAUSE_MASTERS,    /* system:masters */
    ADMISSION_CAUSE_GROUP,      /* a group that is not mapped */
    ADMISSION_CAUSE_USER        /* a user of ours */
};
/* "token_unknown", "max_age" and so on; "" for NONE. Static. */
const char *admission_cause_word(enum admission_cause cause);

struct admission_result {
    uint8_t state; /* enum admission_state */
    uint8_t cause; /* enum admission_cause */
};

/* Index for index as the policy's rules. */
struct admission_results {
    struct admission_result items[LIMIT_ADMISSION_RULES];
    size_t n_items;
    bool is_denied; /* a rule whose action is Deny failed */
};

/*
 * explanation  told each condition of each rule that is about the request; NULL: nobody
 *
 * Returns 0, -ENOMEM, or -EBADMSG for claims that no decoder gave; allocates only where a rule that is about the request
 * requires something of a known token. Any thread.
 */
int admission_evaluate(const struct policy *policy, const struct admission_review *review,
                       const struct admission_token *token, struct explanation *explanation,
                       struct admission_results *ret_results);

/* What the results make of a decision that had no objection yet: DENY where a rule denies. Others stay as they are. */
void admission_apply(const struct admission_results *results, struct decision *decision);

/* The rules that failed, as an answer tells of them. ret_notes has LIMIT_ADMISSION_RULES. Returns how many. Borrowed from
   the policy. */
size_t admission_notes(const struct policy *policy, const struct admission_results *results,
                       struct admission_note *ret_notes);
