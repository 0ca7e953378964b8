#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "histogram.h"

#define MAX_PHASES 8
#define MAX_ERRORS 32
#define ERROR_BYTES 200
#define EXAMPLE_BYTES 400
/* An answer that came later than this after it was due is none that a person would call well. */
#define UNWELL_US 1000000
#define SECOND_NS 1000000000LL

/* What became of a question. */
enum outcome {
    OUTCOME_ALLOWED,
    OUTCOME_DEGRADED, /* allowed, with the groups of an outage */
    OUTCOME_DENIED,
    OUTCOME_UNAVAILABLE,
    OUTCOME_LOST,
    N_OUTCOMES
};
static const char *const outcome_words[N_OUTCOMES] = {"allowed", "degraded", "denied", "unavailable", "lost"};
static const char *const stream_words[N_STREAMS] = {"cached", "expiring", "revoked", "new", "garbage", "again"};
static const char *const loss_words[N_LOSSES] = {"the connection broke", "the connection was refused", "no answer at all"};

/* A sentence that stood in place of a verdict, and how often. */
struct error_count {
    char text[ERROR_BYTES];
    uint64_t n;
};

struct phase {
    char name[32];
    int64_t begun_ns, ended_ns;
    uint64_t first_new; /* the number of the first of STREAM_NEW in it */
    uint64_t n_open;    /* questions without an answer */
    uint64_t n[N_STREAMS][N_OUTCOMES];
    struct histogram times[N_STREAMS], late;
    struct error_count errors[MAX_ERRORS];
    uint64_t n_wrong;
    char example[EXAMPLE_BYTES]; /* of a wrong one */
    int64_t unwell_ns;           /* when the last question was due that was not answered well; 0: none */
};

static struct crowd_settings settings;
static struct phase phases[MAX_PHASES];
static unsigned n_phases;
static uint64_t n_asked[N_STREAMS];
static uint64_t again_next, again_first; /* of STREAM_AGAIN: from again_next - 1 down to again_first */
static int64_t revoked_ns;               /* 0: not yet */

void crowd_init(const struct crowd_settings *given) {
    settings = *given;
}

void crowd_phase(const char *name, int64_t now_ns) {
    if (n_phases == MAX_PHASES) {
        fprintf(stderr, "load: more than %d phases\n", MAX_PHASES);
        exit(1);
    }
    if (n_phases > 0) {
        struct phase *last = &phases[n_phases - 1];
        last->ended_ns = now_ns;
        again_next = n_asked[STREAM_NEW];
        again_first = last->first_new;
    }
    struct phase *phase = &phases[n_phases++];
    snprintf(phase->name, sizeof(phase->name), "%s", name);
    phase->begun_ns = now_ns;
    phase->first_new = n_asked[STREAM_NEW];
}

bool crowd_has_caught_up(int64_t next_due_ns) {
    for (unsigned i = 0; i + 1 < n_phases; i++) {
        if (phases[i].n_open > 0)
            return false;
    }
    return next_due_ns >= phases[n_phases - 1].begun_ns;
}

void crowd_revoke(int64_t now_ns) {
    revoked_ns = now_ns;
}

/* ---- questions ---- */

static uint64_t n_tokens(enum stream stream) {
    const uint64_t n = stream == STREAM_CACHED ? settings.n_cached : settings.n_cached / 20;
    return settings.per_mille[stream] == 0 ? 0 : n == 0 ? 1 : n;
}

bool crowd_is_warm(void) {
    for (enum stream stream = STREAM_CACHED; stream <= STREAM_REVOKED; stream++) {
        if (n_asked[stream] < n_tokens(stream))
            return false;
    }
    return true;
}

/* The same in each run. */
static uint32_t dice(void) {
    static uint64_t state = 88172645463325252ULL;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static enum stream choose_stream(void) {
    for (enum stream stream = STREAM_CACHED; stream <= STREAM_REVOKED; stream++) {
        if (n_asked[stream] < n_tokens(stream))
            return stream;
    }
    uint32_t at = dice() % 1000;
    enum stream stream = STREAM_CACHED;
    while (stream < STREAM_GARBAGE && at >= settings.per_mille[stream])
        at -= settings.per_mille[stream++];
    if (stream == STREAM_NEW && again_next > again_first && at % 2 == 0)
        return STREAM_AGAIN;
    return stream;
}

static uint64_t choose_number(enum stream stream) {
    const uint64_t n = n_asked[stream]++;
    if (stream == STREAM_AGAIN)
        return ((uint64_t)STREAM_NEW << 60) + --again_next;
    return ((uint64_t)stream << 60) + (n_tokens(stream) > 0 && stream <= STREAM_REVOKED ? n % n_tokens(stream) : n);
}

void crowd_ask(int64_t due_ns, int64_t now_ns, struct question *ret_question) {
    static const enum token_kind kinds[N_STREAMS] = {
        [STREAM_CACHED] = TOKEN_GOOD, [STREAM_EXPIRING] = TOKEN_GOOD,   [STREAM_REVOKED] = TOKEN_REVOKED,
        [STREAM_NEW] = TOKEN_GOOD,    [STREAM_GARBAGE] = TOKEN_GARBAGE, [STREAM_AGAIN] = TOKEN_GOOD};
    const enum stream stream = choose_stream();
    unsigned phase = n_phases - 1;
    while (phase > 0 && due_ns < phases[phase].begun_ns)
        phase--;
    phases[phase].n_open++;
    histogram_add(&phases[phase].late, (now_ns - due_ns) / 1000);
    *ret_question =
        (struct question){.stream = stream,
                          .due_ns = due_ns,
                          .phase = phase,
                          .token = {.kind = kinds[stream],
                                    .number = choose_number(stream),
                                    .issued_unix_s = settings.now_unix_s,
                                    .exp_unix_s = settings.now_unix_s +
                                                  (stream == STREAM_EXPIRING ? settings.expiring_s : settings.lifetime_s)}};
}

/* ---- answers ---- */

static enum outcome outcome_of(const char *reply) {
    if (strstr(reply, "\"authenticated\":true") != NULL)
        return strstr(reply, "kube-introspect.io/degraded") != NULL ? OUTCOME_DEGRADED : OUTCOME_ALLOWED;
    return strstr(reply, "\"authenticated\":false}") != NULL ? OUTCOME_DENIED : OUTCOME_UNAVAILABLE;
}

static bool names_user(const char *reply, const struct token *token) {
    char user[TOKEN_USER_BYTES + 1], wanted[TOKEN_USER_BYTES + 32];
    token_user(token, user);
    snprintf(wanted, sizeof(wanted), "\"username\":\"corp:%s\"", user);
    return strstr(reply, wanted) != NULL;
}

static const char *wrong_yes(const struct question *question, enum outcome outcome, const char *reply) {
    const int64_t asked_unix_s = time(NULL);
    if (!names_user(reply, &question->token))
        return "it was taken for somebody else";
    if ((strstr(reply, "corp:developers") != NULL) == (outcome == OUTCOME_DEGRADED))
        return "it has other groups than it should";
    if (question->stream == STREAM_GARBAGE)
        return "it never was a token";
    if (question->stream == STREAM_EXPIRING && asked_unix_s > question->token.exp_unix_s + settings.skew_s + 2)
        return "it has expired";
    if (question->stream == STREAM_REVOKED && revoked_ns != 0 &&
        question->due_ns > revoked_ns + settings.revoked_ms * 1000000)
        return "it was revoked";
    return NULL;
}

static const char *wrong_no(const struct question *question) {
    switch (question->stream) {
    case STREAM_CACHED:
    case STREAM_NEW:
    case STREAM_AGAIN:
        return "it is good";
    case STREAM_EXPIRING:
        return time(NULL) < question->token.exp_unix_s - 1 ? "it has not expired yet" : NULL;
    case STREAM_REVOKED:
        return revoked_ns == 0 ? "it has not been revoked yet" : NULL;
    default:
        return NULL;
    }
}

static void count_error(struct phase *phase, const char *text, size_t n_bytes) {
    n_bytes = n_bytes < ERROR_BYTES ? n_bytes : ERROR_BYTES - 1;
    for (unsigned i = 0; i < MAX_ERRORS; i++) {
        struct error_count *error = &phase->errors[i];
        if (error->n == 0)
            memcpy(error->text, text, n_bytes);
        if (strncmp(error->text, text, n_bytes) == 0 && error->text[n_bytes] == '\0') {
            error->n++;
            return;
        }
    }
}

/* The sentence of an UNAVAILABLE, or the status line of what is no answer to a review. */
static void count_unavailable(struct phase *phase, const char *reply) {
    const char *error = strstr(reply, "\"authenticated\":false,\"error\":\"");
    if (error != NULL)
        error += strlen("\"authenticated\":false,\"error\":\"");
    count_error(phase, error != NULL ? error : reply, strcspn(error != NULL ? error : reply, error != NULL ? "\"" : "\r"));
}

static void count(const struct question *question, enum outcome outcome, const char *wrong, int64_t now_ns) {
    struct phase *phase = &phases[question->phase];
    const int64_t us = (now_ns - question->due_ns) / 1000;
    phase->n_open--;
    phase->n[question->stream][outcome]++;
    histogram_add(&phase->times[question->stream], us);
    const bool is_well = (outcome == OUTCOME_ALLOWED || outcome == OUTCOME_DENIED) && us <= UNWELL_US;
    if (!is_well && question->due_ns > phase->unwell_ns)
        phase->unwell_ns = question->due_ns;
    if (wrong == NULL)
        return;
    if (phase->n_wrong++ == 0)
        snprintf(phase->example, sizeof(phase->example), "%.1f s into the phase token %llx of stream %s was %s, but %s",
                 (double)(question->due_ns - phase->begun_ns) / 1e9, (unsigned long long)question->token.number,
                 stream_words[question->stream], outcome_words[outcome], wrong);
}

void crowd_answered(const struct question *question, const char *reply, int64_t now_ns) {
    const enum outcome outcome = outcome_of(reply);
    const char *wrong = outcome <= OUTCOME_DEGRADED ? wrong_yes(question, outcome, reply)
                        : outcome == OUTCOME_DENIED ? wrong_no(question)
                                                    : NULL;
    if (outcome == OUTCOME_UNAVAILABLE)
        count_unavailable(&phases[question->phase], reply);
    count(question, outcome, wrong, now_ns);
}

void crowd_lost(const struct question *question, enum loss loss, int64_t now_ns) {
    count_error(&phases[question->phase], loss_words[loss], strlen(loss_words[loss]));
    count(question, OUTCOME_LOST, NULL, now_ns);
}

/* ---- the report ---- */

static void print_text(const char *text) {
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
    putchar('"');
}

static void print_times(const struct histogram *times) {
    printf("\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"max_ms\": %.3f", histogram_quantile_ms(times, 0.5),
           histogram_quantile_ms(times, 0.99), histogram_quantile_ms(times, 0.999), histogram_quantile_ms(times, 1));
}

static void print_streams(const struct phase *phase) {
    printf("\"streams\": {");
    for (enum stream stream = 0; stream < N_STREAMS; stream++) {
        printf("%s\"%s\": {", stream == 0 ? "" : ", ", stream_words[stream]);
        for (enum outcome outcome = 0; outcome < N_OUTCOMES; outcome++)
            printf("\"%s\": %llu, ", outcome_words[outcome], (unsigned long long)phase->n[stream][outcome]);
        print_times(&phase->times[stream]);
        printf("}");
    }
    printf("}");
}

static void print_errors(const struct phase *phase) {
    printf("\"errors\": {");
    for (unsigned i = 0; i < MAX_ERRORS && phase->errors[i].n > 0; i++) {
        printf("%s", i == 0 ? "" : ", ");
        print_text(phase->errors[i].text);
        printf(": %llu", (unsigned long long)phase->errors[i].n);
    }
    printf("}");
}

static void print_phase(const struct phase *phase, int64_t now_ns) {
    const int64_t ended_ns = phase->ended_ns == 0 ? now_ns : phase->ended_ns;
    print_text(phase->name);
    printf(": {\"seconds\": %.3f, \"wrong\": %llu, \"example\": ", (double)(ended_ns - phase->begun_ns) / 1e9,
           (unsigned long long)phase->n_wrong);
    print_text(phase->example);
    printf(", \"well_after_s\": %.3f, ", phase->unwell_ns == 0 ? 0 : (double)(phase->unwell_ns - phase->begun_ns) / 1e9);
    printf("\"late\": {");
    print_times(&phase->late);
    printf("}, ");
    print_errors(phase);
    printf(", ");
    print_streams(phase);
    printf("}");
}

void crowd_report(int64_t now_ns) {
    putchar('{');
    for (unsigned i = 0; i < n_phases; i++) {
        printf("%s", i == 0 ? "" : ", ");
        print_phase(&phases[i], now_ns);
    }
    printf("}\n");
    fflush(stdout);
}
