#include "wire/admission_review.h"

#include "base/limits.h"
#include "wire/review_head.h"

static const struct review_form form = {
    .kind = TEXT("AdmissionReview"),
    .v1 = TEXT("admission.k8s.io/v1"),
    .content = TEXT("request"),
};

/* A review under way: what was found of each part. What is missing is judged at the end, as members come in any order. */
struct decoder {
    struct scan scan;
    char *body;
    struct review_head head;
    struct admission_review review;
    bool has_request, has_resource, has_user;
    struct review_fault fault; /* the first of the request's */
};

/* A member that is a text. */
struct text_member {
    struct text name;
    struct text *value;
    const char *place; /* in the document, for messages */
};
#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The first fault counts. */
static void refuse(struct decoder *decoder, const char *place, const char *sentence) {
    if (decoder->fault.sentence == NULL)
        decoder->fault = (struct review_fault){place, sentence};
}

static void decode_text(struct decoder *decoder, const char *place, struct text *ret_text) {
    struct scan_string string;
    if (scan_null(&decoder->scan))
        return;
    if (scan_string(&decoder->scan, &string) == 0)
        *ret_text = scan_string_settle(string, decoder->body + (string.raw.data - decoder->scan.start));
    else
        refuse(decoder, place, "a string is expected");
}

/* Decodes the member if it is one of these. Returns whether it was. */
static bool is_decoded(struct decoder *decoder, struct scan_string name, const struct text_member *members,
                       size_t n_members) {
    for (size_t i = 0; i < n_members; i++) {
        if (scan_string_equal(name, members[i].name)) {
            decode_text(decoder, members[i].place, members[i].value);
            return true;
        }
    }
    return false;
}

/* An object that may be null: whether it is there, and open. */
static bool is_open(struct decoder *decoder, const char *place) {
    if (scan_null(&decoder->scan))
        return false;
    if (scan_object(&decoder->scan) == 0)
        return true;
    refuse(decoder, place, "an object is expected");
    return false;
}

/* The bytes of a value that may be null, in which case there are none. */
static void keep_span(struct decoder *decoder, struct text *ret_span) {
    if (!scan_null(&decoder->scan))
        scan_span(&decoder->scan, ret_span);
}

/* ---- who asks ---- */

static bool are_strings(struct text json) {
    struct scan scan;
    struct scan_string string;
    scan_begin(&scan, json);
    if (json.n_bytes == 0)
        return true;
    if (scan_array(&scan) != 0)
        return false;
    bool are = true;
    while (scan_element(&scan) == 0)
        are = scan_string(&scan, &string) == 0 && are;
    return are && scan_end(&scan) == 0;
}

static void decode_groups(struct decoder *decoder) {
    keep_span(decoder, &decoder->review.groups);
    if (!are_strings(decoder->review.groups))
        refuse(decoder, "request.userInfo.groups", "an array of strings is expected");
}

static void decode_extra(struct decoder *decoder) {
    const char *fault = handle_extra_read(&decoder->scan, decoder->body, &decoder->review.extra);
    if (fault != NULL)
        refuse(decoder, "request.userInfo.extra", fault);
}

static void decode_user(struct decoder *decoder) {
    const struct text_member members[] = {
        {TEXT("username"), &decoder->review.user, "request.userInfo.username"},
        {TEXT("uid"), &decoder->review.user_uid, "request.userInfo.uid"},
    };
    if (!is_open(decoder, "request.userInfo"))
        return;
    decoder->has_user = true;
    struct scan_string name;
    while (scan_member(&decoder->scan, &name) == 0) {
        if (scan_string_equal(name, TEXT("groups")))
            decode_groups(decoder);
        else if (scan_string_equal(name, TEXT("extra")))
            decode_extra(decoder);
        else if (!is_decoded(decoder, name, members, N_OF(members)))
            scan_skip(&decoder->scan);
    }
}

/* ---- what is asked for ---- */

static void decode_resource(struct decoder *decoder) {
    const struct text_member members[] = {
        {TEXT("group"), &decoder->review.group, "request.resource.group"},
        {TEXT("resource"), &decoder->review.resource, "request.resource.resource"},
    };
    if (!is_open(decoder, "request.resource"))
        return;
    decoder->has_resource = true;
    struct scan_string name;
    while (scan_member(&decoder->scan, &name) == 0) {
        if (!is_decoded(decoder, name, members, N_OF(members)))
            scan_skip(&decoder->scan);
    }
}

static const struct {
    struct text word;
    enum admission_operation operation;
} operations[] = {
    {TEXT("CREATE"), ADMISSION_CREATE},
    {TEXT("UPDATE"), ADMISSION_UPDATE},
    {TEXT("DELETE"), ADMISSION_DELETE},
    {TEXT("CONNECT"), ADMISSION_CONNECT},
};

const char *admission_operation_word(enum admission_operation operation) {
    for (size_t i = 0; i < N_OF(operations); i++) {
        if (operations[i].operation == operation)
            return operations[i].word.data;
    }
    return "";
}

static void decode_operation(struct decoder *decoder) {
    struct scan_string word;
    if (scan_string(&decoder->scan, &word) != 0)
        return;
    for (size_t i = 0; i < N_OF(operations); i++) {
        if (scan_string_equal(word, operations[i].word))
            decoder->review.operation = operations[i].operation;
    }
}

static void decode_dry_run(struct decoder *decoder) {
    struct text span = TEXT("false"); /* where it is null */
    keep_span(decoder, &span);
    decoder->review.is_dry_run = text_equal(span, TEXT("true"));
    if (!decoder->review.is_dry_run && !text_equal(span, TEXT("false")))
        refuse(decoder, "request.dryRun", "true or false is expected");
}

/* Objects are of any kind, and what a rule needs of one is judged with the rule: here it is only found. */
static void decode_object(struct decoder *decoder) {
    if (!is_open(decoder, "request.object"))
        return;
    decoder->review.has_object = true;
    struct scan_string name;
    while (scan_member(&decoder->scan, &name) == 0) {
        if (scan_string_equal(name, TEXT("subjects")))
            keep_span(decoder, &decoder->review.subjects);
        else if (scan_string_equal(name, TEXT("roleRef")))
            keep_span(decoder, &decoder->review.role_ref);
        else
            scan_skip(&decoder->scan);
    }
}

/* ---- the document ---- */

static bool is_part(struct decoder *decoder, struct scan_string name) {
    static const struct {
        struct text name;
        void (*decode)(struct decoder *decoder);
    } parts[] = {
        {TEXT("operation"), decode_operation}, {TEXT("resource"), decode_resource}, {TEXT("userInfo"), decode_user},
        {TEXT("object"), decode_object},       {TEXT("dryRun"), decode_dry_run},
    };
    for (size_t i = 0; i < N_OF(parts); i++) {
        if (scan_string_equal(name, parts[i].name)) {
            parts[i].decode(decoder);
            return true;
        }
    }
    return false;
}

static void decode_request(struct decoder *decoder) {
    struct admission_review *review = &decoder->review;
    const struct text_member members[] = {
        {TEXT("uid"), &review->uid, "request.uid"},
        {TEXT("subResource"), &review->subresource, "request.subResource"},
        {TEXT("name"), &review->name, "request.name"},
        {TEXT("namespace"), &review->namespace_name, "request.namespace"},
    };
    if (scan_object(&decoder->scan) != 0)
        return;
    decoder->has_request = true;
    struct scan_string name;
    while (scan_member(&decoder->scan, &name) == 0) {
        if (!is_decoded(decoder, name, members, N_OF(members)) && !is_part(decoder, name))
            scan_skip(&decoder->scan);
    }
}

static void decode_document(struct decoder *decoder) {
    if (scan_object(&decoder->scan) != 0)
        return;
    while (review_head_next(&decoder->scan, &form, &decoder->head))
        decode_request(decoder);
}

/* What is wrong with the request: what every one has is looked for behind the faults of what is there. */
static struct review_fault judge_request(const struct decoder *decoder) {
    const struct admission_review *review = &decoder->review;
    if (!decoder->has_request)
        return (struct review_fault){"request", "an object is expected"};
    if (decoder->fault.sentence != NULL)
        return decoder->fault;
    if (review->uid.n_bytes == 0 || review->uid.n_bytes > LIMIT_ADMISSION_UID_BYTES)
        return (struct review_fault){"request.uid", "the request's uid is expected, which is short"};
    if (review->operation == 0)
        return (struct review_fault){"request.operation", "CREATE, UPDATE, DELETE or CONNECT is expected"};
    if (!decoder->has_resource || review->resource.n_bytes == 0)
        return (struct review_fault){"request.resource", "the resource is expected"};
    return decoder->has_user ? (struct review_fault){0} : (struct review_fault){"request.userInfo", "the user is expected"};
}

int admission_review_decode(char *body, size_t n_bytes, struct scan_room *room, struct admission_review *ret_review,
                            struct error *error) {
    /* Member by member, for the scanner's own 19 kB need no zeroes and every request comes here. */
    struct decoder decoder;
    decoder.body = body;
    decoder.review = (struct admission_review){0};
    decoder.head = (struct review_head){0};
    decoder.has_request = decoder.has_resource = decoder.has_user = false;
    decoder.fault = (struct review_fault){0};
    scan_begin_large(&decoder.scan, (struct text){.data = body, .n_bytes = n_bytes}, room);
    decode_document(&decoder);

    if (scan_end_told(&decoder.scan, error) != 0)
        return ADMISSION_REVIEW_MALFORMED;
    if (!review_head_is_of(&form, &decoder.head, error))
        return ADMISSION_REVIEW_WRONG_KIND;
    const struct review_fault fault = judge_request(&decoder);
    if (fault.sentence != NULL) {
        error_set(error, "%s: %s", fault.place, fault.sentence);
        return ADMISSION_REVIEW_INVALID;
    }
    *ret_review = decoder.review;
    return 0;
}

/* ---- what is read later ---- */

bool admission_review_has_group(const struct admission_review *review, const struct text_list *groups) {
    struct scan scan;
    struct scan_string group;
    if (review->groups.n_bytes == 0)
        return false;
    scan_begin(&scan, review->groups);
    scan_array(&scan);
    while (scan_element(&scan) == 0 && scan_string(&scan, &group) == 0) {
        for (size_t i = 0; i < groups->n_items; i++) {
            if (scan_string_equal(group, groups->items[i]))
                return true;
        }
    }
    return false;
}

void admission_subjects_begin(const struct admission_review *review, struct admission_subjects *subjects) {
    scan_begin(&subjects->scan, review->subjects);
    subjects->is_open = review->subjects.n_bytes > 0;
    if (subjects->is_open)
        scan_array(&subjects->scan);
}

/* A text of a subject, unescaped into its part of the room. Returns whether it is one, or null. */
static bool read_subject_text(struct scan *scan, char *room, struct text *ret_text) {
    struct scan_string string;
    if (scan_null(scan))
        return true;
    if (scan_string(scan, &string) != 0 || (string.has_escapes && string.raw.n_bytes > 512))
        return false;
    /* Not in place: the same bytes are read again for the next rule. */
    *ret_text = scan_string_settle(string, room);
    return true;
}

static bool read_subject(struct scan *scan, struct admission_subject *ret_subject) {
    struct scan_string name;
    bool is_good = true;
    while (scan_member(scan, &name) == 0) {
        bool is_read = true;
        if (scan_string_equal(name, TEXT("kind")))
            is_read = read_subject_text(scan, ret_subject->room, &ret_subject->kind);
        else if (scan_string_equal(name, TEXT("apiGroup")))
            is_read = read_subject_text(scan, ret_subject->room + 512, &ret_subject->api_group);
        else if (scan_string_equal(name, TEXT("name")))
            is_read = read_subject_text(scan, ret_subject->room + 1024, &ret_subject->name);
        else
            scan_skip(scan);
        is_good = is_good && is_read;
    }
    return is_good && ret_subject->kind.n_bytes > 0 && ret_subject->name.n_bytes > 0;
}

int admission_subjects_next(struct admission_subjects *subjects, struct admission_subject *ret_subject) {
    struct scan *scan = &subjects->scan;
    if (!subjects->is_open)
        return ADMISSION_SUBJECTS_END;
    ret_subject->kind = ret_subject->api_group = ret_subject->name = (struct text){0};
    if (scan_element(scan) != 0) {
        subjects->is_open = false;
        return scan_end(scan) == 0 ? ADMISSION_SUBJECTS_END : ADMISSION_SUBJECTS_UNREADABLE;
    }
    return scan_object(scan) == 0 && read_subject(scan, ret_subject) ? 0 : ADMISSION_SUBJECTS_UNREADABLE;
}

/* ---- the answer ---- */

const char *admission_action_word(enum admission_action action) {
    static const char *const words[] = {"Deny", "Warn", "Audit"};
    return words[action];
}

/* What a rule says to a person, as the inside of a JSON string. */
static void append_note(const struct admission_note *note, struct buffer *buffer) {
    buffer_append(buffer, TEXT("kube-introspect: "));
    buffer_append_json_inside(buffer, note->message.n_bytes > 0 ? note->message : TEXT("a rule for changes does not hold"));
    buffer_append(buffer, TEXT(" (rule "));
    buffer_append_json_inside(buffer, note->rule);
    buffer_append_char(buffer, ')');
}

static const struct admission_note *denying(const struct admission_answer *answer) {
    for (size_t i = 0; i < answer->n_notes; i++) {
        if (answer->notes[i].action == ADMISSION_ACTION_DENY)
            return &answer->notes[i];
    }
    return NULL;
}

static void append_message(const struct admission_answer *answer, struct buffer *buffer) {
    const bool is_unknown = answer->outcome == ADMISSION_UNKNOWN;
    const struct admission_note *note = is_unknown ? NULL : denying(answer);
    if (note == NULL) {
        const struct advice advice = {
            .is_unknown = is_unknown, .sentence = answer->sentence, .word = answer->word, .request_id = answer->request_id};
        advice_append(&advice, buffer);
        return;
    }
    append_note(note, buffer);
    buffer_append(buffer, TEXT(": "));
    buffer_append_json_inside(buffer, answer->word);
    buffer_append(buffer, TEXT(", request "));
    advice_append_request_id(answer->request_id, buffer);
}

static void append_status(const struct admission_answer *answer, struct buffer *buffer) {
    buffer_append(buffer, TEXT(",\"status\":{\"status\":\"Failure\",\"message\":\""));
    append_message(answer, buffer);
    if (answer->outcome == ADMISSION_UNKNOWN)
        buffer_append(buffer, TEXT("\",\"reason\":\"ServiceUnavailable\",\"code\":503}"));
    else
        buffer_append(buffer, TEXT("\",\"reason\":\"Forbidden\",\"code\":403}"));
}

/* The longest start of a text that ends with a whole character of UTF-8. */
static struct text cut(struct text text, size_t max_bytes) {
    if (text.n_bytes <= max_bytes)
        return text;
    while (max_bytes > 0 && ((unsigned char)text.data[max_bytes] & 0xc0) == 0x80)
        max_bytes--;
    return (struct text){.data = text.data, .n_bytes = max_bytes};
}

/* The message is cut where the whole would be too long, not the rule's name: it is what can be looked up. */
static void append_warning(const struct admission_note *note, struct buffer *buffer) {
    const size_t n_around = sizeof("kube-introspect:  (rule )") - 1;
    struct admission_note shown = {.message = note->message, .rule = cut(note->rule, LIMIT_ADMISSION_RULE_NAME_BYTES)};
    shown.message = cut(note->message, LIMIT_ADMISSION_WARNING_BYTES - n_around - shown.rule.n_bytes);
    buffer_append_char(buffer, '"');
    append_note(&shown, buffer);
    buffer_append_char(buffer, '"');
}

static void append_warnings(const struct admission_answer *answer, struct buffer *buffer) {
    size_t n = 0;
    for (size_t i = 0; i < answer->n_notes && n < LIMIT_ADMISSION_WARNINGS; i++) {
        if (answer->notes[i].action != ADMISSION_ACTION_WARN)
            continue;
        buffer_append(buffer, n++ == 0 ? TEXT(",\"warnings\":[") : TEXT(","));
        append_warning(&answer->notes[i], buffer);
    }
    if (n > 0)
        buffer_append_char(buffer, ']');
}

static void append_annotations(const struct admission_answer *answer, struct buffer *buffer) {
    buffer_append(buffer, TEXT(",\"auditAnnotations\":{\"request\":\""));
    advice_append_request_id(answer->request_id, buffer);
    buffer_append(buffer, TEXT("\",\"reason\":"));
    buffer_append_json_string(buffer, answer->word);
    for (size_t i = 0; i < answer->n_notes; i++) {
        buffer_append(buffer, i == 0 ? TEXT(",\"rules\":\"") : TEXT(","));
        buffer_append_json_inside(buffer, answer->notes[i].rule);
        buffer_append_char(buffer, '=');
        buffer_append(buffer, text_of(admission_action_word(answer->notes[i].action)));
    }
    buffer_append(buffer, answer->n_notes > 0 ? TEXT("\"}") : TEXT("}"));
}

void admission_review_encode(const struct admission_answer *answer, struct buffer *buffer) {
    buffer_append(buffer,
                  TEXT("{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"response\":{\"uid\":"));
    buffer_append_json_string(buffer, answer->uid);
    buffer_append(buffer, answer->outcome == ADMISSION_ALLOWED ? TEXT(",\"allowed\":true") : TEXT(",\"allowed\":false"));
    if (answer->outcome != ADMISSION_ALLOWED)
        append_status(answer, buffer);
    append_warnings(answer, buffer);
    append_annotations(answer, buffer);
    buffer_append(buffer, TEXT("}}"));
}
