#include "ops/audit_line.h"

#include <time.h>

#include "base/buffer.h"

#define LAST_MS_OF_YEAR_9999 INT64_C(253402300799999)

/* RFC 3339 in UTC. The calendar is asked once a second and thread: it costs more than the rest of the line. */
static void append_time(struct buffer *line, int64_t unix_ms) {
    static _Thread_local int64_t cached_s = -1;
    static _Thread_local char cached[sizeof("2026-01-01T00:00:00")];
    if (unix_ms < 0 || unix_ms > LAST_MS_OF_YEAR_9999)
        unix_ms = 0; /* a clock that is this wrong says nothing; the line is still one */
    const int64_t unix_s = unix_ms / 1000, ms = unix_ms % 1000;
    if (unix_s != cached_s) {
        const time_t time = unix_s;
        struct tm tm = {0};
        (void)gmtime_r(&time, &tm);
        (void)strftime(cached, sizeof(cached), "%Y-%m-%dT%H:%M:%S", &tm);
        cached_s = unix_s;
    }
    const char fraction[] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z'};
    buffer_append(line, (struct text){.data = cached, .n_bytes = sizeof(cached) - 1});
    buffer_append(line, (struct text){.data = fraction, .n_bytes = sizeof(fraction)});
}

static void append_request_id(struct buffer *line, uint64_t id) {
    uint8_t bytes[sizeof(id)];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(id >> (56 - 8 * i));
    buffer_append_hex(line, bytes, sizeof(bytes));
}

static void append_cut(struct buffer *line, struct text text, size_t max_bytes) {
    if (text.n_bytes > max_bytes)
        text.n_bytes = max_bytes;
    buffer_append_json_string(line, text);
}

/* A name of the configuration or of a certificate. An absent one is left out, key and all. */
static void append_name(struct buffer *line, struct text key, struct text name) {
    if (name.n_bytes == 0)
        return;
    buffer_append(line, key);
    append_cut(line, name, LIMIT_AUDIT_NAME_BYTES);
}

/* As a login's user is written, as far as it is told. */
static void append_subject(struct buffer *line, const struct audit_subject *subject) {
    buffer_append(line, TEXT("{\"username\":"));
    append_cut(line, subject->username, LIMIT_USERNAME_BYTES);
    if (subject->uid.n_bytes > 0) {
        buffer_append(line, TEXT(",\"uid\":"));
        append_cut(line, subject->uid, LIMIT_UID_BYTES);
    }
    buffer_append_char(line, '}');
}

/* The first member has no comma before it; a verb is always there, if only as "". */
static void append_request(struct buffer *line, const struct audit_request *request) {
    buffer_append(line, TEXT(",\"request\":{\"verb\":"));
    append_cut(line, request->verb, LIMIT_AUDIT_NAME_BYTES);
    append_name(line, TEXT(",\"group\":"), request->group);
    append_name(line, TEXT(",\"resource\":"), request->resource);
    append_name(line, TEXT(",\"subresource\":"), request->subresource);
    append_name(line, TEXT(",\"namespace\":"), request->namespace_name);
    append_name(line, TEXT(",\"name\":"), request->name);
    append_name(line, TEXT(",\"path\":"), request->path);
    if (request->is_dry_run)
        buffer_append(line, TEXT(",\"dryRun\":true"));
    buffer_append_char(line, '}');
}

static void append_rule(struct buffer *line, const struct admission_rule *rule, const struct admission_result *result) {
    buffer_append(line, TEXT("{\"name\":"));
    append_cut(line, rule->name, LIMIT_ADMISSION_RULE_NAME_BYTES);
    buffer_append(line, TEXT(",\"action\":\""));
    buffer_append(line, text_of(admission_action_word(rule->action)));
    buffer_append(line, TEXT("\",\"result\":\""));
    buffer_append(line, text_of(admission_state_word((enum admission_state)result->state)));
    if (result->cause != ADMISSION_CAUSE_NONE) {
        buffer_append(line, TEXT("\",\"cause\":\""));
        buffer_append(line, text_of(admission_cause_word((enum admission_cause)result->cause)));
    }
    buffer_append(line, TEXT("\"}"));
}

/* Those that are about the request. */
static void append_rules(struct buffer *line, const struct audit_record *record) {
    bool is_first = true;
    if (record->policy == NULL)
        return;
    buffer_append(line, TEXT(",\"rules\":["));
    for (size_t i = 0; i < record->results->n_items; i++) {
        if (record->results->items[i].state == ADMISSION_NOT_ABOUT)
            continue;
        if (!is_first)
            buffer_append_char(line, ',');
        is_first = false;
        append_rule(line, &record->policy->rules[i], &record->results->items[i]);
    }
    buffer_append_char(line, ']');
}

static struct text word_of_kind(enum audit_kind kind) {
    static const char *const words[] = {"TokenReview", "SubjectAccessReview", "AdmissionReview"};
    return text_of(words[kind]);
}

static void append_before_user(struct buffer *line, const struct audit_record *record) {
    buffer_append(line, TEXT("{\"time\":\""));
    append_time(line, record->unix_ms);
    buffer_append_char(line, '"');
    append_name(line, TEXT(",\"cluster\":"), record->cluster);
    buffer_append(line, TEXT(",\"requestID\":\""));
    append_request_id(line, record->request_id);
    buffer_append(line, TEXT("\",\"kind\":\""));
    buffer_append(line, word_of_kind(record->kind));
    buffer_append(line, TEXT("\",\"verdict\":\""));
    buffer_append(line, text_of(verdict_word(record->verdict)));
    buffer_append(line, TEXT("\",\"reason\":\""));
    buffer_append(line, text_of(reason_word(record->reason)));
    if (record->reason == REASON_DEGRADED) {
        buffer_append(line, TEXT("\",\"because\":\""));
        buffer_append(line, text_of(reason_word(record->because)));
    }
    buffer_append_char(line, '"');
    append_name(line, TEXT(",\"issuer\":"), record->issuer);
    if (record->user.n_bytes > 0 || record->kind != AUDIT_LOGIN)
        buffer_append(line, TEXT(",\"user\":"));
}

static void append_after_user(struct buffer *line, const struct audit_record *record) {
    if (record->kind != AUDIT_LOGIN) {
        append_subject(line, &record->subject);
        append_request(line, &record->request);
        append_rules(line, record);
    }
    if (record->digest != NULL) {
        buffer_append(line, TEXT(",\"credential\":\""));
        buffer_append_hex(line, record->digest, DECISION_CREDENTIAL_BYTES);
        buffer_append_char(line, '"');
    }
    buffer_append(line, TEXT(",\"cache\":\""));
    buffer_append(line, text_of(cache_outcome_word(record->cache)));
    buffer_append_char(line, '"');
    if (record->provider_us >= 0) {
        buffer_append(line, TEXT(",\"providerMicroseconds\":"));
        buffer_append_i64(line, record->provider_us);
    }
    buffer_append(line, TEXT(",\"durationMicroseconds\":"));
    buffer_append_i64(line, record->duration_us);
    append_name(line, TEXT(",\"caller\":"), record->caller);
    buffer_append(line, TEXT(",\"generation\":"));
    buffer_append_u64(line, record->generation);
    buffer_append(line, TEXT("}\n"));
}

void audit_line_format(const struct audit_record *record, struct audit_line *ret_line) {
    const struct text user = record->kind == AUDIT_LOGIN ? record->user : TEXT("");
    struct buffer line;
    buffer_init_fixed(&line, ret_line->memory, sizeof(ret_line->memory));
    append_before_user(&line, record);
    const size_t n_before = line.n_bytes;
    append_after_user(&line, record);
    ret_line->pieces[0] = (struct text){.data = line.data, .n_bytes = n_before};
    ret_line->pieces[1] = user;
    ret_line->pieces[2] = (struct text){.data = line.data + n_before, .n_bytes = line.n_bytes - n_before};
    ret_line->n_bytes = line.n_bytes + user.n_bytes;
}
