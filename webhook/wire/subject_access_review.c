#include "wire/subject_access_review.h"

#include "wire/advice.h"

static const struct review_form form = {
    .kind = TEXT("SubjectAccessReview"),
    .v1 = TEXT("authorization.k8s.io/v1"),
    .v1beta1 = TEXT("authorization.k8s.io/v1beta1"),
    .content = TEXT("spec"),
};

/* A review under way: what was found of each part. What is missing is judged at the end, as members come in any order. */
struct decoder {
    struct scan scan;
    char *body;
    struct review_head head;
    struct subject_access_review review;
    bool has_spec, has_resource, has_non_resource;
    struct review_fault fault; /* the first of the spec's */
};

/* The first fault counts. */
static void refuse(struct decoder *decoder, const char *place, const char *sentence) {
    if (decoder->fault.sentence == NULL)
        decoder->fault = (struct review_fault){place, sentence};
}

static void decode_text(struct decoder *decoder, const char *place, struct text *ret_text) {
    struct scan_string string;
    if (scan_string(&decoder->scan, &string) == 0)
        *ret_text = scan_string_settle(string, decoder->body + (string.raw.data - decoder->scan.start));
    else
        refuse(decoder, place, "a string is expected");
}

/* An object or array that may be null: whether it is there, and open. */
static bool is_open(struct decoder *decoder, int (*open)(struct scan *scan), const char *place, const char *sentence) {
    if (scan_null(&decoder->scan))
        return false;
    if (open(&decoder->scan) == 0)
        return true;
    refuse(decoder, place, sentence);
    return false;
}

/* ---- who asks ---- */

static void decode_groups(struct decoder *decoder) {
    struct scan_string group;
    if (!is_open(decoder, scan_array, "spec.groups", "an array of strings is expected"))
        return;
    while (scan_element(&decoder->scan) == 0) {
        if (scan_string(&decoder->scan, &group) != 0)
            refuse(decoder, "spec.groups", "each element must be a string");
    }
}

static void decode_extra(struct decoder *decoder) {
    const char *fault = handle_extra_read(&decoder->scan, decoder->body, &decoder->review.extra);
    if (fault != NULL)
        refuse(decoder, "spec.extra", fault);
}

/* ---- what is asked for ---- */

struct attribute {
    struct text name;
    struct text *value;
    const char *place; /* in the document, for messages */
};

static void decode_attributes(struct decoder *decoder, const struct attribute *attributes, size_t n_attributes) {
    struct scan_string name;
    while (scan_member(&decoder->scan, &name) == 0) {
        size_t i = 0;
        while (i < n_attributes && !scan_string_equal(name, attributes[i].name))
            i++;
        if (i < n_attributes)
            decode_text(decoder, attributes[i].place, attributes[i].value);
        else
            scan_skip(&decoder->scan);
    }
}

static void decode_resource(struct decoder *decoder) {
    struct subject_access_review *review = &decoder->review;
    struct text version; /* checked, and of no use to anybody */
    const struct attribute attributes[] = {
        {TEXT("verb"), &review->verb, "spec.resourceAttributes.verb"},
        {TEXT("namespace"), &review->namespace_name, "spec.resourceAttributes.namespace"},
        {TEXT("group"), &review->group, "spec.resourceAttributes.group"},
        {TEXT("version"), &version, "spec.resourceAttributes.version"},
        {TEXT("resource"), &review->resource, "spec.resourceAttributes.resource"},
        {TEXT("subresource"), &review->subresource, "spec.resourceAttributes.subresource"},
        {TEXT("name"), &review->name, "spec.resourceAttributes.name"},
    };
    if (!is_open(decoder, scan_object, "spec.resourceAttributes", "an object is expected"))
        return;
    decoder->has_resource = true;
    decode_attributes(decoder, attributes, sizeof(attributes) / sizeof(attributes[0]));
}

static void decode_non_resource(struct decoder *decoder) {
    struct subject_access_review *review = &decoder->review;
    const struct attribute attributes[] = {
        {TEXT("verb"), &review->verb, "spec.nonResourceAttributes.verb"},
        {TEXT("path"), &review->path, "spec.nonResourceAttributes.path"},
    };
    if (!is_open(decoder, scan_object, "spec.nonResourceAttributes", "an object is expected"))
        return;
    decoder->has_non_resource = true;
    decode_attributes(decoder, attributes, sizeof(attributes) / sizeof(attributes[0]));
}

/* ---- the document ---- */

/* v1beta1 has the groups under another name. As members come in any order, the version may not be known yet, and in the
   other version the name is one of the unknown: neither matters, for nobody reads them. */
static bool is_groups(struct scan_string name) {
    return scan_string_equal(name, TEXT("groups")) || scan_string_equal(name, TEXT("group"));
}

static void decode_spec(struct decoder *decoder) {
    struct scan *scan = &decoder->scan;
    if (scan_object(scan) != 0)
        return;
    decoder->has_spec = true;
    struct scan_string name;
    while (scan_member(scan, &name) == 0) {
        if (scan_string_equal(name, TEXT("user")))
            decode_text(decoder, "spec.user", &decoder->review.user);
        else if (scan_string_equal(name, TEXT("uid")))
            decode_text(decoder, "spec.uid", &decoder->review.uid);
        else if (is_groups(name))
            decode_groups(decoder);
        else if (scan_string_equal(name, TEXT("extra")))
            decode_extra(decoder);
        else if (scan_string_equal(name, TEXT("resourceAttributes")))
            decode_resource(decoder);
        else if (scan_string_equal(name, TEXT("nonResourceAttributes")))
            decode_non_resource(decoder);
        else
            scan_skip(scan);
    }
}

static void decode_document(struct decoder *decoder) {
    if (scan_object(&decoder->scan) != 0)
        return;
    while (review_head_next(&decoder->scan, &form, &decoder->head))
        decode_spec(decoder);
}

/* What is wrong with the spec, the gravest first. */
static struct review_fault judge_spec(const struct decoder *decoder) {
    if (!decoder->has_spec)
        return (struct review_fault){"spec", "an object is expected"};
    if (decoder->fault.sentence == NULL && decoder->has_resource == decoder->has_non_resource)
        return (struct review_fault){"spec", "either resourceAttributes or nonResourceAttributes is expected"};
    return decoder->fault;
}

int subject_access_review_decode(char *body, size_t n_bytes, struct subject_access_review *ret_review,
                                 struct error *error) {
    /* Member by member, for the scanner's own 17 kB need no zeroes and every request comes here. */
    struct decoder decoder;
    decoder.body = body;
    decoder.review = (struct subject_access_review){0};
    decoder.head = (struct review_head){0};
    decoder.has_spec = decoder.has_resource = decoder.has_non_resource = false;
    decoder.fault = (struct review_fault){0};
    scan_begin(&decoder.scan, (struct text){.data = body, .n_bytes = n_bytes});
    decode_document(&decoder);

    if (scan_end_told(&decoder.scan, error) != 0)
        return SUBJECT_ACCESS_REVIEW_MALFORMED;
    if (!review_head_is_of(&form, &decoder.head, error))
        return SUBJECT_ACCESS_REVIEW_WRONG_KIND;
    const struct review_fault fault = judge_spec(&decoder);
    if (fault.sentence != NULL) {
        error_set(error, "%s: %s", fault.place, fault.sentence);
        return SUBJECT_ACCESS_REVIEW_INVALID;
    }
    *ret_review = decoder.review;
    ret_review->version = decoder.head.version;
    ret_review->is_resource = decoder.has_resource;
    return 0;
}

/* ---- the answer ---- */

/* What kubectl shows behind "is forbidden:". */
static void append_reason(const struct subject_access_answer *answer, struct buffer *buffer) {
    const struct advice advice = {.is_unknown = answer->outcome == SUBJECT_ACCESS_UNKNOWN,
                                  .sentence = answer->sentence,
                                  .word = answer->word,
                                  .request_id = answer->request_id};
    buffer_append(buffer, TEXT(",\"reason\":\""));
    advice_append(&advice, buffer);
    buffer_append_char(buffer, '"');
}

static void append_evaluation_error(const struct subject_access_answer *answer, struct buffer *buffer) {
    buffer_append(buffer, TEXT(",\"evaluationError\":\"kube-introspect: "));
    buffer_append_json_inside(buffer, answer->sentence);
    buffer_append_char(buffer, '"');
}

void subject_access_review_encode(const struct subject_access_answer *answer, struct buffer *buffer) {
    buffer_append(buffer, TEXT("{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/"));
    buffer_append(buffer, answer->version == REVIEW_VERSION_V1 ? TEXT("v1") : TEXT("v1beta1"));
    buffer_append(buffer, TEXT("\",\"metadata\":{},\"spec\":{},\"status\":{\"allowed\":false"));
    if (answer->outcome != SUBJECT_ACCESS_NO_OPINION) {
        buffer_append(buffer, TEXT(",\"denied\":true"));
        append_reason(answer, buffer);
    }
    if (answer->outcome == SUBJECT_ACCESS_UNKNOWN)
        append_evaluation_error(answer, buffer);
    buffer_append(buffer, TEXT("}}"));
}
