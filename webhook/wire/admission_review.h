/*
 * AdmissionReview (admission.k8s.io/v1), the request as kube-apiserver sends it to a validating webhook and the answer:
 * https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
 *
 * A body carries whole objects of up to 3 MiB, the new one and the old one. Of these only what a rule may ask about is
 * looked at: subjects and roleRef, as a RoleBinding has them.
 */
#pragma once

#include "base/error.h"
#include "wire/advice.h"
#include "wire/handle_extra.h"

enum admission_operation { /* each a bit, so that a rule can name several */
                           ADMISSION_CREATE = 1,
                           ADMISSION_UPDATE = 2,
                           ADMISSION_DELETE = 4,
                           ADMISSION_CONNECT = 8
};
/* "CREATE" and so on. Static. */
const char *admission_operation_word(enum admission_operation operation);

/* A decoded request. Texts are borrowed from the body, and empty where the request has none. */
struct admission_review {
    struct text uid; /* of the request; at most LIMIT_ADMISSION_UID_BYTES */
    enum admission_operation operation;
    struct text group, resource, subresource; /* as the webhook's own configuration matched them */
    struct text name, namespace_name;         /* name: empty with generateName, and in a deletecollection */
    bool is_dry_run;
    struct text user, user_uid;
    struct handle_extra extra;
    struct text groups;             /* the user's, as JSON: admission_review_has_group() reads it */
    bool has_object;                /* false: null, as in a DELETE */
    struct text subjects, role_ref; /* members of the object, whatever it is, as JSON; not judged here */
};

/* Why a body is no AdmissionReview that we answer: answered 400, which is a failed call to the API server. */
enum admission_review_error {
    ADMISSION_REVIEW_MALFORMED = 1, /* no JSON (RFC 8259), duplicate member, too deep, not UTF-8 */
    ADMISSION_REVIEW_WRONG_KIND,    /* JSON, but kind or apiVersion is not the one that we serve */
    ADMISSION_REVIEW_INVALID        /* its request is missing, lacks what every request has, or has wrong types */
};

/*
 * Decodes a request in one strict pass: the whole body is checked, unknown members are allowed and checked too, duplicate
 * members are refused at every level. null stands for an absent value, as it does to whoever writes Go.
 *
 * body        changed in place where a string that we read has escapes; must stay alive as long as *ret_review
 * room        lent for the call; see scan_begin_large()
 * ret_review  written on success only
 * error       what is wrong and where ("byte 17: ..."), without quoting the body; may be NULL
 *
 * Returns 0 or an enum admission_review_error. Allocates nothing. Any thread.
 */
int admission_review_decode(char *body, size_t n_bytes, struct scan_room *room, struct admission_review *ret_review,
                            struct error *error);

/* Whether the user is in one of these groups. */
bool admission_review_has_group(const struct admission_review *review, const struct text_list *groups);

/* ---- what a binding names ---- */

/* Who is named; texts are borrowed, from the body or from room. Not to be copied. */
struct admission_subject {
    struct text kind, api_group, name;
    char room[3 * 512];
};

/* The subjects of an object, one after the other. Its members are the module's own. */
struct admission_subjects {
    struct scan scan;
    bool is_open;
};

enum admission_subjects_step { ADMISSION_SUBJECTS_END = 1, ADMISSION_SUBJECTS_UNREADABLE };

/* Starts at the first. The review must outlive it. */
void admission_subjects_begin(const struct admission_review *review, struct admission_subjects *subjects);

/*
 * The next one.
 * Returns 0; ADMISSION_SUBJECTS_END; or ADMISSION_SUBJECTS_UNREADABLE where they are none that RBAC could have: no array of
 * objects, kind or name absent, a text of another type, or with escapes and longer than any name that means something here.
 */
int admission_subjects_next(struct admission_subjects *subjects, struct admission_subject *ret_subject);

/* ---- the answer ---- */

enum admission_outcome {
    ADMISSION_ALLOWED,
    ADMISSION_DENIED, /* 403 Forbidden */
    ADMISSION_UNKNOWN /* it could not be checked: not allowed either, as 503 ServiceUnavailable */
};

enum admission_action { ADMISSION_ACTION_DENY, ADMISSION_ACTION_WARN, ADMISSION_ACTION_AUDIT };
/* "Deny", "Warn", "Audit": as in the configuration. Static. */
const char *admission_action_word(enum admission_action action);

/* A rule that did not hold. Borrowed. */
struct admission_note {
    enum admission_action action;
    struct text rule, message; /* message may be empty */
};

/* An answer. All borrowed. */
struct admission_answer {
    struct text uid; /* the request's */
    enum admission_outcome outcome;
    struct text sentence, word; /* of the reason */
    uint64_t request_id;
    /* In the configuration's order. With DENIED, the first whose action is Deny is what the person is told, and the
       reason's sentence only where there is none. */
    const struct admission_note *notes;
    size_t n_notes;
};

/*
 * Appends the answer's JSON. Warnings are cut to LIMIT_ADMISSION_WARNING_BYTES each, and there are LIMIT_ADMISSION_WARNINGS
 * at most. auditAnnotations: "request" (its id), "reason", and "rules" ("NAME=Deny,NAME=Audit") where some did not hold.
 */
void admission_review_encode(const struct admission_answer *answer, struct buffer *buffer);
