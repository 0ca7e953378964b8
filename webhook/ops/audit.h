/*
 * The audit log: one JSON line for each decision, written by a thread of its own. docs/audit.md describes the fields.
 *
 * Never a token, a part of one, a secret, or what a provider said in an error: the record has no field for them. The
 * credential's digest is keyed with the process's secret: it joins the lines of one token, and those of the API server's
 * own log, and is worthless elsewhere.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "core/admission.h"

struct audit;

struct audit_settings {
    const char *path; /* "-": standard output; copied */
    bool refuse_when_unwritable;
};

enum audit_kind { AUDIT_LOGIN, AUDIT_AUTHORIZATION, AUDIT_ADMISSION };

/* Who asks, where the API server says so. */
struct audit_subject {
    struct text username, uid;
};

/* What is asked for. Each is left out where it is empty. */
struct audit_request {
    struct text verb;
    struct text group, resource, subresource, namespace_name, name; /* of a resource */
    struct text path;                                               /* of what is none */
    bool is_dry_run;                                                /* of a change */
};

/* One decision. All borrowed for the call. */
struct audit_record {
    enum audit_kind kind;
    int64_t unix_ms;
    struct text cluster;
    uint64_t request_id;
    struct text issuer; /* name; empty when there is none */
    struct text caller; /* name of the caller's certificate */
    enum verdict verdict;
    enum reason reason;
    enum reason because; /* with REASON_DEGRADED: why the provider could not answer */
    enum cache_outcome cache;
    struct text user;                        /* JSON of status.user, or empty: of a login */
    struct audit_subject subject;            /* of all else */
    struct audit_request request;            /* likewise */
    const struct policy *policy;             /* of the results; NULL: there are none */
    const struct admission_results *results; /* of rules for changes */
    const uint8_t *digest;                   /* DIGEST_BYTES, or NULL; its first DECISION_CREDENTIAL_BYTES in hex */
    int64_t provider_us;                     /* how long the provider took; -1: was not asked */
    int64_t duration_us;                     /* of the whole review */
    uint32_t generation;
};

/*
 * Opens the log and starts the writer thread. Returns 0, or a negative errno with error set ("audit.path: ..."): a log that
 * cannot be opened at start stops the start.
 */
int audit_start(const struct audit_settings *settings, struct audit **ret_audit, struct error *error);

/* Writes what is queued (for at most five seconds where the disk does not take it), stops the thread, frees. NULL is fine.
 */
void audit_stop(struct audit *audit);

/* New settings; the file is opened by the writer, and while that fails the old one is kept. Any thread. */
void audit_configure(struct audit *audit, const struct audit_settings *settings);

/* Opens the path again, after a rotation (SIGHUP). The writer also notices by itself, within a second, that the path names
   another file or none. Any thread. */
void audit_reopen(struct audit *audit);

/*
 * Queues a record. Never blocks on I/O.
 *
 * Returns 0, or AUDIT_REFUSED: it could not be taken (the queue is full because the disk does not take lines, or the log
 * is known to be unwritable) and the settings say Refuse: the caller must then answer UNAVAILABLE audit_unwritable. With
 * Continue it returns 0 and the record is counted as lost. Any thread.
 */
enum { AUDIT_REFUSED = 1 };
int audit_write(struct audit *audit, const struct audit_record *record);

struct audit_stats {
    uint64_t n_written, n_lost, n_refused, n_write_errors;
    size_t queue_bytes;
    bool writable; /* false from a failed write until one that succeeds */
};
void audit_stats(struct audit *audit, struct audit_stats *ret_stats);
