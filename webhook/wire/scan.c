#include "wire/scan.h"

#include <stdlib.h>

static int fail(struct scan *scan, enum scan_result why, const char *where) {
    scan->error = (int)why;
    scan->where = where;
    return (int)why;
}

/* The byte that stands where none may: too early an end is an error of its own, which a sender recognizes at once. */
static int fail_at(struct scan *scan) {
    return fail(scan, scan->at == scan->end ? SCAN_TRUNCATED : SCAN_UNEXPECTED, scan->at);
}

void scan_begin(struct scan *scan, struct text bytes) {
    /* Offsets and lengths of names are kept in 32 and 31 bits. */
    const bool is_too_large = bytes.n_bytes > INT32_MAX;
    scan->start = scan->at = bytes.data != NULL ? bytes.data : "";
    scan->end = scan->start + (is_too_large ? 0 : bytes.n_bytes);
    scan->where = NULL;
    scan->error = 0;
    scan->has_document = scan->is_large = scan->is_passing = scan->has_key = false;
    scan->depth = scan->n_members = 0;
    scan->max_depth = LIMIT_JSON_DEPTH;
    scan->max_members = LIMIT_JSON_MEMBERS;
    scan->max_open = LIMIT_JSON_OPEN_MEMBERS;
    scan->members = scan->own;
    if (is_too_large)
        fail(scan, SCAN_TOO_LARGE, scan->start);
}

void scan_begin_large(struct scan *scan, struct text bytes, struct scan_room *room) {
    scan_begin(scan, bytes);
    scan->is_large = true;
    scan->max_depth = LIMIT_OBJECT_DEPTH;
    scan->max_members = scan->max_open = LIMIT_OBJECT_OPEN_MEMBERS;
    scan->members = room->names;
}

void scan_limit_depth(struct scan *scan, unsigned max_depth) {
    if (max_depth < scan->max_depth)
        scan->max_depth = max_depth;
}

static inline bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Passes white space; the first test is all that a compact document needs. */
static inline const char *pass_space(struct scan *scan) {
    const char *at = scan->at, *end = scan->end;
    while (at < end && *at <= ' ' && is_space(*at))
        at++;
    scan->at = at;
    return at;
}

/* Reads a string from its opening quote on; one that is passed over, ret_string NULL, may have U+0000. */
static int read_string(struct scan *scan, struct scan_string *ret_string) {
    const char *at = scan->at + 1;
    if (ret_string == NULL ? !scan_string_pass(&at, scan->end) : !scan_string_read(&at, scan->end, ret_string)) {
        const bool is_ascii = at == scan->end || (signed char)*at >= 0;
        return fail(scan, at == scan->end ? SCAN_TRUNCATED : is_ascii ? SCAN_BAD_STRING : SCAN_NOT_UTF8, at);
    }
    scan->at = at;
    return 0;
}

/* ---- names ---- */

static struct scan_string string_of(const struct scan *scan, const struct scan_name *name) {
    return (struct scan_string){.raw = {.data = scan->start + name->offset, .n_bytes = name->n_bytes},
                                .has_escapes = name->has_escapes};
}

static int compare_names(const struct scan *scan, const struct scan_name *a, const struct scan_name *b) {
    return scan_string_compare(string_of(scan, a), string_of(scan, b));
}

static int fail_duplicate(struct scan *scan, const struct scan_name *name) {
    return fail(scan, SCAN_DUPLICATE, scan->start + name->offset);
}

/* The usual object: so few and short names that comparing each with each, by length first, costs next to nothing. */
static int check_few(struct scan *scan, const struct scan_name *names, size_t n) {
    for (size_t i = 1; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (names[i].n_bytes == names[j].n_bytes && compare_names(scan, &names[i], &names[j]) == 0)
                return fail_duplicate(scan, &names[i]);
        }
    }
    return 0;
}

/* Go writes the keys of a map in order, so that nobody who makes an object through the API server can make it cost more. */
static bool are_ascending(const struct scan *scan, const struct scan_name *names, size_t n) {
    for (size_t i = 1; i < n; i++) {
        if (compare_names(scan, &names[i - 1], &names[i]) >= 0)
            return false;
    }
    return true;
}

/* What the names are sorted by: equal ones come together, in the order of the document. */
static uint64_t key_of(const struct scan_name *name) {
    return (uint64_t)name->hash << 32 | name->offset;
}

/* Lets names[root] sink to its place in a heap whose largest key is on top. */
static void sift_down(struct scan_name *names, size_t root, size_t n) {
    for (size_t child = 2 * root + 1; child < n; child = 2 * root + 1) {
        if (child + 1 < n && key_of(&names[child]) < key_of(&names[child + 1]))
            child++;
        if (key_of(&names[root]) >= key_of(&names[child]))
            return;
        const struct scan_name name = names[root];
        names[root] = names[child];
        names[child] = name;
        root = child;
    }
}

/* By heap: n log n whatever the input is, and in place, where qsort() may allocate. */
static void sort(struct scan_name *names, size_t n) {
    for (size_t i = n / 2; i > 0; i--)
        sift_down(names, i - 1, n);
    for (size_t left = n - 1; left > 0; left--) {
        const struct scan_name largest = names[0];
        names[0] = names[left];
        names[left] = largest;
        sift_down(names, 0, left);
    }
}

/* With a key that nobody knows, of this scan: whoever chose the names cannot have chosen hashes. */
static void hash_names(struct scan *scan, struct scan_name *names, size_t n) {
    if (!scan->has_key) {
        uint8_t key[SIPHASH_KEY_BYTES];
        arc4random_buf(key, sizeof(key));
        siphash_begin(&scan->begun, key);
        scan->has_key = true;
    }
    for (size_t i = 0; i < n; i++)
        names[i].hash = (uint32_t)scan_string_hash(string_of(scan, &names[i]), &scan->begun);
}

/* A name that has been read before, where only its place is known any more. */
static struct scan_string read_again(const struct scan *scan, const struct scan_name *name) {
    struct scan_string string;
    const char *at = scan->start + name->offset;
    (void)scan_string_read(&at, scan->end, &string);
    return string;
}

/* Whether one before names[i] is equal to it. Two that are not equal have the same hash once in a billion. */
static bool is_doubled(const struct scan *scan, const struct scan_name *names, size_t i) {
    for (size_t j = i; j > 0 && names[j - 1].hash == names[i].hash; j--) {
        if (scan_string_compare(read_again(scan, &names[j - 1]), read_again(scan, &names[i])) == 0)
            return true;
    }
    return false;
}

/*
 * Finds equal names among hashes, which are sorted: names themselves lie all over the document, and sixteen times as much
 * would be waited for their memory. Of several doubled names the first one in the document is reported. The names are of no
 * use for anything else afterwards.
 */
static int check_many(struct scan *scan, struct scan_name *names, size_t n) {
    if (are_ascending(scan, names, n))
        return 0;
    hash_names(scan, names, n);
    sort(names, n);
    const struct scan_name *first = NULL;
    for (size_t i = 1; i < n; i++) {
        if (is_doubled(scan, names, i) && (first == NULL || names[i].offset < first->offset))
            first = &names[i];
    }
    return first == NULL ? 0 : fail_duplicate(scan, first);
}

/* A few that are long, or have to be unescaped for each comparison, are as bad as many. */
static bool are_few(const struct scan_name *names, size_t n) {
    bool are_simple = n <= 8;
    for (size_t i = 0; i < n && are_simple; i++)
        are_simple = names[i].n_bytes <= 256 && !names[i].has_escapes;
    return are_simple;
}

static int check_names(struct scan *scan, struct scan_name *names, size_t n) {
    return are_few(names, n) ? check_few(scan, names, n) : check_many(scan, names, n);
}

static int remember(struct scan *scan, struct scan_string name) {
    const uint32_t n = scan->n_members;
    if (n == scan->max_open || n - scan->levels[scan->depth - 1].first_member == scan->max_members)
        return fail(scan, SCAN_TOO_MANY, name.raw.data);
    scan->members[n] = (struct scan_name){.offset = (uint32_t)(name.raw.data - scan->start),
                                          .n_bytes = (uint32_t)name.raw.n_bytes & INT32_MAX,
                                          .has_escapes = name.has_escapes};
    scan->n_members = n + 1;
    return 0;
}

/* ---- numbers ---- */

static bool is_digit(const struct scan *scan) {
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

/* Passes digits, of which there must be one. */
static int pass_digits(struct scan *scan) {
    if (!is_digit(scan))
        return fail_at(scan);
    while (is_digit(scan))
        scan->at++;
    return 0;
}

/* The value of the digits; false where it does not fit. Summed up as negative, which reaches one further. */
static bool integer_value(struct text digits, bool is_negative, int64_t *ret_integer) {
    int64_t sum = 0;
    for (size_t i = 0; i < digits.n_bytes; i++) {
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_sub_overflow(sum, digits.data[i] - '0', &sum))
            return false;
    }
    if (!is_negative && sum == INT64_MIN)
        return false;
    *ret_integer = is_negative ? sum : -sum;
    return true;
}

/* The exponent's value, cut at a number that no mantissa of 2 GiB can bring back into range. */
static int64_t exponent_value(const char *at, const char *end) {
    const bool is_negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    int64_t sum = 0;
    for (; at < end && sum < INT64_C(1000000000000); at++)
        sum = sum * 10 + (*at - '0');
    return is_negative ? -sum : sum;
}

/* Whether a number from 1e308 on, from its first digit that is not zero on, is no larger than the largest double, whose
   digits these are; whatever comes behind them is rounded off. */
static bool is_double(const char *first, const char *end) {
    static const char largest[] = "17976931348623157";
    size_t n = 0;
    for (const char *at = first; at < end && largest[n] != '\0'; at++) {
        if (*at == '.')
            continue;
        if (*at != largest[n])
            return *at < largest[n];
        n++;
    }
    return true;
}

/*
 * Whether a real (checked; without its sign) is below 1e308: it is when its first digit that is not zero stands for less
 * than 10 to the 308th. The range of a double ends at 1.797e308; of a number that is read, the part between is given up for
 * a check without strtod(), which needs a zero byte behind its input and heeds the locale. In what is passed over, all that
 * Kubernetes can hold may stand.
 */
static bool is_real_in_range(const char *at, const char *end, bool is_passing) {
    const char *exponent = at, *point = NULL, *first = NULL;
    for (; exponent < end && (*exponent | 0x20) != 'e'; exponent++) {
        if (*exponent == '.')
            point = exponent;
        else if (*exponent != '0' && first == NULL)
            first = exponent;
    }
    if (first == NULL)
        return true;
    if (point == NULL)
        point = exponent;
    const int64_t shift = exponent < end ? exponent_value(exponent + 1, end) : 0;
    const int64_t power = (first < point ? point - first - 1 : point - first) + shift;
    return power < 308 || (power == 308 && is_passing && is_double(first, exponent));
}

/* Passes what makes a number a real: fraction and exponent. */
static int pass_real(struct scan *scan, bool *ret_is_real) {
    int r = 0;
    const char *start = scan->at;
    if (scan->at < scan->end && *scan->at == '.') {
        scan->at++;
        r = pass_digits(scan);
    }
    if (r == 0 && scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) {
        scan->at++;
        if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
            scan->at++;
        r = pass_digits(scan);
    }
    *ret_is_real = scan->at != start;
    return r;
}

static int read_number(struct scan *scan, struct scan_value *ret_value) {
    const char *start = scan->at;
    const bool is_negative = *start == '-';
    if (is_negative)
        scan->at++;
    const char *digits = scan->at;
    int r = pass_digits(scan);
    if (r != 0)
        return r;
    if (*digits == '0' && scan->at - digits > 1)
        return fail(scan, SCAN_UNEXPECTED, digits + 1);
    bool is_real;
    const char *digits_end = scan->at;
    r = pass_real(scan, &is_real);
    if (r != 0)
        return r;
    int64_t integer = 0;
    const struct text whole = {.data = digits, .n_bytes = (size_t)(digits_end - digits)};
    if (is_real || scan->is_passing ? !is_real_in_range(digits, scan->at, scan->is_passing)
                                    : !integer_value(whole, is_negative, &integer))
        return fail(scan, SCAN_NUMBER_RANGE, start);
    ret_value->kind = is_real ? SCAN_REAL : SCAN_INTEGER;
    ret_value->number = (struct text){.data = start, .n_bytes = (size_t)(scan->at - start)};
    ret_value->integer = integer;
    return 0;
}

/* ---- values ---- */

static int read_word(struct scan *scan, struct text word, enum scan_kind kind, struct scan_value *ret_value) {
    for (size_t i = 0; i < word.n_bytes; i++, scan->at++) {
        if (scan->at == scan->end || *scan->at != word.data[i])
            return fail_at(scan);
    }
    ret_value->kind = kind;
    return 0;
}

static int open_level(struct scan *scan, enum scan_kind kind, struct scan_value *ret_value) {
    if (scan->depth == scan->max_depth)
        return fail(scan, SCAN_TOO_DEEP, scan->at);
    scan->at++;
    scan->levels[scan->depth++] =
        (struct scan_level){.first_member = scan->n_members, .is_object = kind == SCAN_OBJECT, .is_empty = true};
    ret_value->kind = kind;
    return 0;
}

static int close_level(struct scan *scan) {
    const struct scan_level *level = &scan->levels[--scan->depth];
    const uint32_t n = scan->n_members - level->first_member;
    scan->n_members = level->first_member;
    const int r = n < 2 ? 0 : check_names(scan, &scan->members[level->first_member], n);
    return r != 0 ? r : SCAN_CLOSED;
}

int scan_value(struct scan *scan, struct scan_value *ret_value) {
    if (scan->error != 0)
        return scan->error;
    scan->has_document = true;
    const char *at = pass_space(scan);
    if (at == scan->end)
        return fail_at(scan);
    switch (*at) {
    case '"':
        ret_value->kind = SCAN_STRING;
        return read_string(scan, scan->is_passing ? NULL : &ret_value->string);
    case '{':
        return open_level(scan, SCAN_OBJECT, ret_value);
    case '[':
        return open_level(scan, SCAN_ARRAY, ret_value);
    case 't':
        return read_word(scan, TEXT("true"), SCAN_TRUE, ret_value);
    case 'f':
        return read_word(scan, TEXT("false"), SCAN_FALSE, ret_value);
    case 'n':
        return read_word(scan, TEXT("null"), SCAN_NULL, ret_value);
    default:
        return *at == '-' || is_digit(scan) ? read_number(scan, ret_value) : fail_at(scan);
    }
}

/* Goes to the next item of the innermost level: past a comma, unless it is the first; or past the closing bracket. */
static inline int next_item(struct scan *scan, char close) {
    if (scan->error != 0)
        return scan->error;
    const char *at = pass_space(scan);
    if (at == scan->end || scan->depth == 0)
        return fail_at(scan);
    struct scan_level *level = &scan->levels[scan->depth - 1];
    if (*at == close) {
        scan->at++;
        return close_level(scan);
    }
    if (!level->is_empty) {
        if (*at != ',')
            return fail_at(scan);
        scan->at++;
    }
    level->is_empty = false;
    return 0;
}

int scan_member(struct scan *scan, struct scan_string *ret_name) {
    int r = next_item(scan, '}');
    if (r != 0)
        return r;
    const char *at = pass_space(scan);
    if (at == scan->end || *at != '"')
        return fail_at(scan);
    struct scan_string name;
    r = read_string(scan, &name);
    if (r == 0)
        r = remember(scan, name);
    if (r != 0)
        return r;
    at = pass_space(scan);
    if (at == scan->end || *at != ':')
        return fail_at(scan);
    scan->at++;
    *ret_name = name;
    return 0;
}

int scan_element(struct scan *scan) {
    return next_item(scan, ']');
}

/* Passes over all that is left of the levels above the outer one: a loop, where a recursion would need a frame for each. */
static int leave(struct scan *scan, uint32_t outer) {
    struct scan_value value;
    struct scan_string name;
    int r = 0;
    while (r == 0 && scan->depth > outer) {
        r = scan->levels[scan->depth - 1].is_object ? scan_member(scan, &name) : scan_element(scan);
        r = r == 0 ? scan_value(scan, &value) : r == SCAN_CLOSED ? 0 : r;
    }
    return r;
}

int scan_skip(struct scan *scan) {
    const uint32_t outer = scan->depth;
    struct scan_value value;
    scan->is_passing = scan->is_large;
    int r = scan_value(scan, &value);
    if (r == 0)
        r = leave(scan, outer);
    scan->is_passing = false;
    return r;
}

int scan_span(struct scan *scan, struct text *ret_span) {
    const char *start = scan->error != 0 ? scan->at : pass_space(scan);
    const int r = scan_skip(scan);
    if (r == 0)
        *ret_span = (struct text){.data = start, .n_bytes = (size_t)(scan->at - start)};
    return r;
}

/* Reads a value that has to be of a kind. */
static int expect(struct scan *scan, enum scan_kind kind, struct scan_value *ret_value) {
    const uint32_t outer = scan->depth;
    int r = scan_value(scan, ret_value);
    if (r != 0 || ret_value->kind == kind)
        return r;
    r = leave(scan, outer);
    return r != 0 ? r : SCAN_OTHER_KIND;
}

int scan_string(struct scan *scan, struct scan_string *ret_string) {
    struct scan_value value;
    const int r = expect(scan, SCAN_STRING, &value);
    if (r == 0)
        *ret_string = value.string;
    return r;
}

int scan_object(struct scan *scan) {
    struct scan_value value;
    return expect(scan, SCAN_OBJECT, &value);
}

int scan_array(struct scan *scan) {
    struct scan_value value;
    return expect(scan, SCAN_ARRAY, &value);
}

bool scan_null(struct scan *scan) {
    if (scan->error != 0)
        return false;
    const char *at = pass_space(scan);
    return at < scan->end && *at == 'n' && scan_skip(scan) == 0;
}

int scan_end(struct scan *scan) {
    if (scan->error != 0)
        return scan->error;
    pass_space(scan);
    if (scan->depth != 0 || !scan->has_document)
        return fail_at(scan);
    return scan->at == scan->end ? 0 : fail(scan, SCAN_TRAILING, scan->at);
}

size_t scan_offset(const struct scan *scan) {
    return (size_t)((scan->error != 0 ? scan->where : scan->at) - scan->start);
}

const char *scan_sentence(enum scan_result result) {
    switch (result) {
    case SCAN_CLOSED:
        return "there is nothing more";
    case SCAN_OTHER_KIND:
        return "the value is of another kind";
    case SCAN_TRUNCATED:
        return "the JSON document ends too early";
    case SCAN_UNEXPECTED:
        return "this character cannot stand here in JSON";
    case SCAN_BAD_STRING:
        return "a string has a control character, a wrong escape, half a surrogate pair, or U+0000";
    case SCAN_NOT_UTF8:
        return "a string is not UTF-8";
    case SCAN_NUMBER_RANGE:
        return "a number is out of range";
    case SCAN_TOO_DEEP:
        return "objects and arrays are nested too deep";
    case SCAN_TOO_MANY:
        return "an object has too many members";
    case SCAN_DUPLICATE:
        return "a member occurs twice in one object";
    case SCAN_TRAILING:
        return "something follows the JSON document";
    case SCAN_TOO_LARGE:
        return "the document is too large";
    }
    return "the document is refused";
}

int scan_end_told(struct scan *scan, struct error *error) {
    const int r = scan_end(scan);
    if (r != 0)
        error_set(error, "byte %zu: %s", scan_offset(scan), scan_sentence((enum scan_result)r));
    return r;
}
