/*
 * The verdicts, and every reason for one: the single list that audit, metrics, explain, the wire and the tests share.
 *
 * Three verdicts and no fourth. DENY is what the provider or our rules say of the token; UNAVAILABLE is that nobody could
 * say. Nothing converts one into the other.
 */
#pragma once

enum verdict { VERDICT_ALLOW, VERDICT_DENY, VERDICT_UNAVAILABLE };

/* X(enumerator suffix, word for audit and metrics, verdict, one sentence for people) */
#define REASONS(X)                                                                                                         \
    X(OK, "ok", ALLOW, "The token is good and belongs to this identity.")                                                  \
    /* triage: the token never leaves this process */                                                                      \
    X(TOKEN_TOO_LONG, "token_too_long", DENY, "The token is longer than any token that is accepted.")                      \
    X(TOKEN_MALFORMED, "token_malformed", DENY,                                                                            \
      "The token has characters that no bearer token has (RFC 6750 section 2.1).")                                         \
    X(SERVICE_ACCOUNT_TOKEN, "service_account_token", DENY,                                                                \
      "The token is a Kubernetes service account's: the API server has already refused it.")                               \
    X(ISSUER_UNKNOWN, "issuer_unknown", DENY, "The token is a JWT of an issuer that is not configured.")                   \
    X(NO_ISSUER, "no_issuer", DENY, "No configured issuer takes tokens of this kind.")                                     \
    /* what the provider said */                                                                                           \
    X(INACTIVE, "inactive", DENY, "The provider says that the token is not active: unknown, expired or revoked.")          \
    X(UNSUPPORTED_TOKEN_TYPE, "unsupported_token_type", DENY,                                                              \
      "The provider does not introspect tokens of this type (error unsupported_token_type).")                              \
    /* the token's times */                                                                                                \
    X(EXPIRED, "expired", DENY, "The token's exp has passed.")                                                             \
    X(NOT_YET_VALID, "not_yet_valid", UNAVAILABLE,                                                                         \
      "The token's nbf has not come yet: compare the clocks of this machine and the provider.")                            \
    X(ISSUED_IN_FUTURE, "issued_in_future", UNAVAILABLE,                                                                   \
      "The token's iat lies in the future: compare the clocks of this machine and the provider.")                          \
    /* claim rules */                                                                                                      \
    X(ISSUER_MISMATCH, "issuer_mismatch", DENY, "The reply names another issuer than the one that was asked.")             \
    X(AUDIENCE_ABSENT, "audience_absent", DENY, "The reply has no audience and absentAudience is Refuse.")                 \
    X(AUDIENCE_MISMATCH, "audience_mismatch", DENY, "The token is for none of the issuer's audiences.")                    \
    X(AUDIENCE_NOT_ASKED, "audience_not_asked", DENY, "The token is for none of the audiences that the review asks for.")  \
    X(TOKEN_TYPE_ABSENT, "token_type_absent", DENY, "The reply has no token_type and absentTokenType is Refuse.")          \
    X(TOKEN_TYPE_REFUSED, "token_type_refused", DENY, "The token is no access token: a refresh, ID or other token.")       \
    X(TOKEN_BOUND, "token_bound", DENY, "The token is bound to a key (cnf, DPoP), whose proof never reaches a webhook.")   \
    X(CLIENT_REFUSED, "client_refused", DENY, "The token was issued to a client that is not among clientIDs.")             \
    X(SUBJECT_ABSENT, "subject_absent", DENY, "The reply has no sub and absentSubject is Refuse.")                         \
    X(CLAIM_RULE, "claim_rule", DENY, "A claimValidationRule does not hold.")                                              \
    /* mapping */                                                                                                          \
    X(USERNAME_ABSENT, "username_absent", DENY, "The claim that names the user is absent or empty.")                       \
    X(USERNAME_INVALID, "username_invalid", DENY, "The user name is too long or has control characters.")                  \
    X(USERNAME_RESERVED, "username_reserved", DENY,                                                                        \
      "The user name would start with system:, which belongs to Kubernetes.")                                              \
    X(UID_INVALID, "uid_invalid", DENY, "The claim that gives the uid is absent, empty or too long.")                      \
    X(GROUPS_ABSENT, "groups_absent", DENY, "The groups claim is absent and absentGroups is Refuse.")                      \
    X(GROUPS_OVERAGE, "groups_overage", DENY,                                                                              \
      "The provider left groups out because there are too many, or there are more than the limit.")                        \
    X(GROUP_INVALID, "group_invalid", DENY, "A group's name is empty, too long or has control characters.")                \
    X(GROUP_RESERVED, "group_reserved", DENY, "A group would start with system:, which belongs to Kubernetes.")            \
    X(EXTRA_INVALID, "extra_invalid", DENY, "A claim for extra has too many or too long values.")                          \
    X(USER_RULE, "user_rule", DENY, "A userValidationRule does not hold.")                                                 \
    X(IDENTITY_TOO_LARGE, "identity_too_large", DENY, "The identity as a whole is larger than the limit.")                 \
    /* a handle that came back with a later request */                                                                     \
    X(NOT_OURS, "not_ours", ALLOW, "The user is none of ours and shows no handle: nothing was checked.")                   \
    X(HANDLE_OFF, "handle_off", ALLOW, "No handle is configured: nothing was checked.")                                    \
    X(PASSED_WITHOUT_HANDLE, "passed_without_handle", ALLOW,                                                               \
      "The user is ours, but shows no handle, and withoutHandle is Allow.")                                                \
    X(PASSED_WITHOUT_FACT, "passed_without_fact", ALLOW,                                                                   \
      "The handle is good, but its token is not known here, and unknownFact is Allow.")                                    \
    X(FACT_UNKNOWN, "fact_unknown", DENY,                                                                                  \
      "The handle is good, but its token is not known here, and unknownFact is Refuse.")                                   \
    X(HANDLE_ABSENT, "handle_absent", DENY,                                                                                \
      "The user is ours, but shows no handle: impersonated, or signed in elsewhere.")                                      \
    X(HANDLE_DOUBLED, "handle_doubled", DENY, "The user shows more than one handle.")                                      \
    X(HANDLE_MALFORMED, "handle_malformed", DENY, "What the user shows is no handle.")                                     \
    X(HANDLE_ALTERED, "handle_altered", DENY, "The handle was altered, or signed with a key that is not in keyFile.")      \
    X(HANDLE_OTHER_USER, "handle_other_user", DENY,                                                                        \
      "The handle, or the token it stands for, belongs to another user name.")                                             \
    X(HANDLE_OTHER_UID, "handle_other_uid", DENY, "The handle belongs to another uid.")                                    \
    X(HANDLE_OTHER_CLUSTER, "handle_other_cluster", DENY, "The handle belongs to another cluster.")                        \
    X(HANDLE_TOO_OLD, "handle_too_old", DENY, "The handle is older than maxAge.")                                          \
    X(HANDLE_FROM_FUTURE, "handle_from_future", DENY,                                                                      \
      "The handle was issued in the future: compare the clocks of the replicas.")                                          \
    /* a change */                                                                                                         \
    X(ADMISSION_RULE, "admission_rule", DENY, "A rule for changes does not hold.")                                         \
    /* nobody can say, and issuers[].outage is set */                                                                      \
    X(DEGRADED, "degraded", ALLOW,                                                                                         \
      "The provider cannot answer: who the user was lately, with the groups that outage.groups leaves.")                   \
    /* nobody could say */                                                                                                 \
    X(CLAIM_TYPE_INVALID, "claim_type_invalid", UNAVAILABLE, "A mapped claim has a type that cannot be mapped.")           \
    X(PROVIDER_UNREACHABLE, "provider_unreachable", UNAVAILABLE, "The provider cannot be reached.")                        \
    X(PROVIDER_TIMEOUT, "provider_timeout", UNAVAILABLE, "The provider did not answer in time.")                           \
    X(PROVIDER_TLS, "provider_tls", UNAVAILABLE, "The provider's certificate or TLS handshake was not accepted.")          \
    X(PROVIDER_ERROR, "provider_error", UNAVAILABLE, "The provider answered with an error.")                               \
    X(PROVIDER_THROTTLED, "provider_throttled", UNAVAILABLE, "The provider asks for fewer calls (429).")                   \
    X(PROVIDER_REPLY_INVALID, "provider_reply_invalid", UNAVAILABLE,                                                       \
      "The provider's reply is not a valid introspection reply.")                                                          \
    X(PROVIDER_REPLY_TOO_LARGE, "provider_reply_too_large", UNAVAILABLE, "The provider's reply is larger than the limit.") \
    X(PROVIDER_MISCONFIGURED, "provider_misconfigured", UNAVAILABLE,                                                       \
      "The introspection endpoint refuses the request itself: check endpoint and client.")                                 \
    X(CLIENT_CREDENTIALS_REJECTED, "client_credentials_rejected", UNAVAILABLE,                                             \
      "The provider rejects our client credentials (401 or 403).")                                                         \
    X(DISCOVERY_FAILED, "discovery_failed", UNAVAILABLE,                                                                   \
      "The introspection endpoint is not known yet: discovery has not succeeded.")                                         \
    X(BREAKER_OPEN, "breaker_open", UNAVAILABLE, "The provider did not answer lately, and is left alone for a moment.")    \
    X(OVER_BUDGET, "over_budget", UNAVAILABLE, "The provider has been asked as often as its budget allows.")               \
    X(OVERLOADED, "overloaded", UNAVAILABLE, "Too many tokens wait for the provider.")                                     \
    X(DEADLINE_EXCEEDED, "deadline_exceeded", UNAVAILABLE, "The caller's time was over before the provider answered.")     \
    X(AUDIT_UNWRITABLE, "audit_unwritable", UNAVAILABLE, "The audit log cannot be written and whenUnwritable is Refuse.")  \
    X(STOPPING, "stopping", UNAVAILABLE, "The webhook is stopping.")                                                       \
    X(INTERNAL, "internal", UNAVAILABLE, "The webhook ran out of memory or met a fault of its own.")

enum reason {
#define X(name, word, verdict, sentence) REASON_##name,
    REASONS(X)
#undef X
        N_REASONS
};

/* The verdict that a reason belongs to. Each has exactly one. */
enum verdict reason_verdict(enum reason reason);

/* The reason's word, for audit records, metric labels and explain: lower case and underscores. Static. */
const char *reason_word(enum reason reason);

/* One sentence for people. For UNAVAILABLE it is what the API server logs. Static. */
const char *reason_sentence(enum reason reason);

/* "allow", "deny", "unavailable". Static. */
const char *verdict_word(enum verdict verdict);
