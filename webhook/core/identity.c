#include "core/identity.h"

#include <errno.h>
#include <stdlib.h>

#include "core/explanation.h"
#include "core/footprint.h"
#include "core/groups.h"
#include "wire/scan_string.h"

/* ---- the user's JSON ---- */

/* How they begin, with the quote of their value: identity_names() finds them by it again. */
#define USERNAME_MEMBER TEXT("{\"username\":\"")
#define UID_MEMBER TEXT(",\"uid\":\"")

static struct text without_quote(struct text member) {
    return (struct text){.data = member.data, .n_bytes = member.n_bytes - 1};
}

static void append_username(const struct issuer_policy *issuer, const struct mapped_user *user, struct buffer *buffer) {
    buffer_append(buffer, without_quote(USERNAME_MEMBER));
    mapping_append_name(issuer->username_prefix, user->username, buffer);
}

static void append_uid(const struct mapped_user *user, struct buffer *buffer) {
    if (user->uid.n_bytes == 0)
        return;
    buffer_append(buffer, without_quote(UID_MEMBER));
    buffer_append_json_string(buffer, user->uid);
}

static void append_groups(const struct issuer_policy *issuer, const struct mapped_user *user, struct buffer *buffer) {
    for (size_t i = 0; i < user->n_groups; i++) {
        buffer_append(buffer, i == 0 ? TEXT(",\"groups\":[") : TEXT(","));
        mapping_append_name(issuer->groups_prefix, user->groups[i], buffer);
    }
    if (user->n_groups > 0)
        buffer_append_char(buffer, ']');
}

static void append_extra(struct text members, struct buffer *buffer) {
    if (members.n_bytes == 0)
        return;
    buffer_append(buffer, TEXT(",\"extra\":{"));
    buffer_append(buffer, members);
    buffer_append_char(buffer, '}');
}

/* Whether a writer's buffer took everything. Returns 0 with REASON_OK or REASON_IDENTITY_TOO_LARGE, or -ENOMEM. */
static int judge_size(const struct reading *reading, const struct buffer *buffer, enum reason *ret_reason) {
    if (buffer->error != 0 && buffer->error != -EMSGSIZE)
        return -ENOMEM;
    if (buffer->error == -EMSGSIZE)
        explanation_rule(reading->explanation, "size", false, "the user as JSON is over %zu bytes", LIMIT_IDENTITY_BYTES);
    *ret_reason = buffer->error == 0 ? REASON_OK : REASON_IDENTITY_TOO_LARGE;
    return 0;
}

static int encode_user(const struct reading *reading, const struct mapped_user *user, struct text extra,
                       struct buffer *buffer, enum reason *ret_reason) {
    append_username(reading->issuer, user, buffer);
    append_uid(user, buffer);
    append_groups(reading->issuer, user, buffer);
    append_extra(extra, buffer);
    buffer_append_char(buffer, '}');
    return judge_size(reading, buffer, ret_reason);
}

/* ---- rule after rule ---- */

/* What is known of the identity before it has its memory. */
struct draft {
    enum reason reason;
    int64_t ttl_ms;
    bool is_reduced;
    struct buffer user, audiences;
    uint16_t n_audiences;
};

static enum reason map_names(const struct reading *reading, struct mapped_user *user) {
    static enum reason (*const maps[])(const struct reading *, struct mapped_user *) = {
        mapping_username,
        groups_map,
        mapping_uid,
    };
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        const enum reason reason = maps[i](reading, user);
        if (reason != REASON_OK)
            return reason;
    }
    return REASON_OK;
}

/* Extra, userValidationRules, size: what is left once the names are there. Returns 0, or -ENOMEM. */
static int complete_user(const struct reading *reading, struct mapped_user *user, struct draft *draft) {
    __attribute__((cleanup(buffer_deinit))) struct buffer extra;
    buffer_init(&extra, LIMIT_IDENTITY_BYTES);
    draft->reason = mapping_extra(reading, &extra);
    if (draft->reason != REASON_OK)
        return 0;
    int r = judge_size(reading, &extra, &draft->reason);
    if (r < 0 || draft->reason != REASON_OK)
        return r;
    draft->reason = mapping_user_rules(reading, user);
    if (draft->reason != REASON_OK)
        return 0;
    draft->ttl_ms = groups_ttl_ms(reading, user);
    if (draft->is_reduced)
        groups_reduce(reading->issuer, user);
    return encode_user(reading, user, buffer_text(&extra), &draft->user, &draft->reason);
}

static bool is_first(const struct text_list *list, size_t index) {
    const struct text_list before = {.items = list->items, .n_items = index};
    return !text_list_contains(&before, list->items[index]);
}

/* Returns 0, or -ENOMEM. */
static int collect_audiences(const struct reading *reading, struct draft *draft) {
    const struct text_list *audiences = &reading->issuer->audiences;
    for (size_t i = 0; i < audiences->n_items && draft->n_audiences < LIMIT_CONFIG_LIST; i++) {
        const struct text audience = audiences->items[i];
        /* A zero byte ends an audience where they are kept. */
        const bool is_keepable = audience.n_bytes > 0 && memchr(audience.data, '\0', audience.n_bytes) == NULL;
        if (!is_keepable || !is_first(audiences, i) || !rules_has_audience(reading, audience))
            continue;
        buffer_append(&draft->audiences, audience);
        buffer_append_char(&draft->audiences, '\0');
        draft->n_audiences++;
    }
    return draft->audiences.error == 0 ? 0 : -ENOMEM;
}

/* Returns 0, or -ENOMEM. */
static int fill_draft(const struct reading *reading, struct draft *draft) {
    struct mapped_user user; /* 8 kB, of which only the groups that there are get touched */
    user.username = user.uid = TEXT("");
    user.n_groups = 0;
    draft->ttl_ms = reading->issuer->ttl_ms;
    draft->reason = rules_check(reading);
    if (draft->reason == REASON_OK)
        draft->reason = map_names(reading, &user);
    if (draft->reason != REASON_OK)
        return 0;
    const int r = complete_user(reading, &user, draft);
    if (r < 0 || draft->reason != REASON_OK)
        return r;
    return collect_audiences(reading, draft);
}

static uint32_t clamp_ttl(int64_t ttl_ms) {
    if (ttl_ms < 0)
        return 0;
    return ttl_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ttl_ms;
}

static int make_identity(const struct draft *draft, uint32_t generation, size_t issuer, struct identity **ret_identity) {
    const bool is_good = draft->reason == REASON_OK;
    const struct text user = is_good ? buffer_text(&draft->user) : TEXT("");
    const struct text audiences = is_good ? buffer_text(&draft->audiences) : TEXT("");
    struct identity *identity = malloc(sizeof(*identity) + user.n_bytes + audiences.n_bytes);
    if (identity == NULL)
        return -ENOMEM;
    *identity = (struct identity){
        .generation = generation,
        .issuer = (uint8_t)issuer,
        .reason = (uint8_t)draft->reason,
        .n_audiences = is_good ? draft->n_audiences : 0,
        .ttl_ms = clamp_ttl(draft->ttl_ms),
        .n_user_bytes = (uint32_t)user.n_bytes,
        .n_audience_bytes = (uint32_t)audiences.n_bytes,
    };
    atomic_init(&identity->n_refs, 1);
    memcpy(identity->bytes, user.data, user.n_bytes);
    if (audiences.n_bytes > 0)
        memcpy(identity->bytes + user.n_bytes, audiences.data, audiences.n_bytes);
    *ret_identity = identity;
    return 0;
}

static void draft_deinit(struct draft *draft) {
    buffer_deinit(&draft->user);
    buffer_deinit(&draft->audiences);
}

static void close_claims(struct claims **claims) {
    claims_close(*claims);
}

static int make(const struct fact *fact, const struct policy *policy, size_t issuer, struct explanation *explanation,
                bool is_reduced, struct identity **ret_identity) {
    __attribute__((cleanup(buffer_deinit))) struct buffer json = {0};
    int r = fact_claims(fact, &json);
    if (r < 0)
        return r;
    __attribute__((cleanup(close_claims))) struct claims *claims = NULL;
    r = claims_open(buffer_text(&json), &claims);
    if (r < 0)
        return r;
    __attribute__((cleanup(draft_deinit))) struct draft draft = {.reason = REASON_INTERNAL, .is_reduced = is_reduced};
    buffer_init(&draft.user, LIMIT_IDENTITY_BYTES);
    buffer_init(&draft.audiences, LIMIT_CONFIG_BYTES);
    const struct reading reading = {.claims = claims, .issuer = &policy->issuers[issuer], .explanation = explanation};
    r = fill_draft(&reading, &draft);
    return r < 0 ? r : make_identity(&draft, policy->generation, issuer, ret_identity);
}

int identity_new(const struct fact *fact, const struct policy *policy, size_t issuer, struct explanation *explanation,
                 struct identity **ret_identity) {
    return make(fact, policy, issuer, explanation, false, ret_identity);
}

int identity_new_reduced(const struct fact *fact, const struct policy *policy, size_t issuer,
                         struct identity **ret_identity) {
    return make(fact, policy, issuer, NULL, true, ret_identity);
}

/* ---- life ---- */

struct identity *identity_ref(struct identity *identity) {
    atomic_fetch_add_explicit(&identity->n_refs, 1, memory_order_relaxed);
    return identity;
}

void identity_unref(struct identity *identity) {
    if (identity != NULL && atomic_fetch_sub_explicit(&identity->n_refs, 1, memory_order_acq_rel) == 1)
        free(identity);
}

struct text identity_user(const struct identity *identity) {
    return (struct text){.data = identity->bytes, .n_bytes = identity->n_user_bytes};
}

/* A string that encode_user() wrote, from behind its quote. Returns what is behind the closing one. */
static const char *read_name(const char *at, const char *end, char *room, struct text *ret_name) {
    struct scan_string string;
    if (!scan_string_read(&at, end, &string))
        return end;
    *ret_name = string.raw;
    if (string.has_escapes)
        *ret_name = (struct text){.data = room, .n_bytes = scan_string_unescape(string, room)};
    return at;
}

void identity_names(const struct identity *identity, struct identity_names *ret_names) {
    ret_names->username = ret_names->uid = TEXT("");
    const struct text user = identity_user(identity);
    if (user.n_bytes == 0)
        return;
    const char *const end = user.data + user.n_bytes;
    const char *const at = read_name(user.data + USERNAME_MEMBER.n_bytes, end, ret_names->room, &ret_names->username);
    const struct text rest = {.data = at, .n_bytes = (size_t)(end - at)};
    if (text_starts_with(rest, UID_MEMBER))
        read_name(at + UID_MEMBER.n_bytes, end, ret_names->room + LIMIT_USERNAME_BYTES, &ret_names->uid);
}

size_t identity_audiences(const struct identity *identity, struct text *ret_audiences, size_t max) {
    const char *next = identity->bytes + identity->n_user_bytes;
    size_t n = 0;
    for (; n < identity->n_audiences && n < max; n++) {
        ret_audiences[n] = text_of(next);
        next += ret_audiences[n].n_bytes + 1;
    }
    return n;
}

size_t identity_bytes(const struct identity *identity) {
    return footprint(sizeof(*identity) + identity->n_user_bytes + identity->n_audience_bytes);
}
