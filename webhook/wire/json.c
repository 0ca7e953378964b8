#include "wire/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * jansson 2.14 does not look whether the buffer that it collects a string or number in could grow (lex_save() in its
 * load.c). After a failed allocation it goes on with a value that lacks bytes, or copies past the end of the buffer because
 * the closing quote is not in it. So an allocation that fails while a document is parsed must never return to jansson: it
 * leaves the parse by longjmp(), and whatever jansson had allocated since the parse began is released from a ring of
 * blocks.
 */
struct block {
    alignas(max_align_t) struct block *previous, *next;
};

struct parse {
    struct block ring;
    jmp_buf out_of_memory;
};

/* jansson's allocator takes no context, so the parse under way is the thread's. */
static _Thread_local struct parse *parse_under_way;

static void ring_init(struct block *ring) {
    ring->previous = ring->next = ring;
}

static void ring_insert(struct block *ring, struct block *block) {
    block->previous = ring;
    block->next = ring->next;
    ring->next->previous = block;
    ring->next = block;
}

/* The others stay a ring of their own: nothing in it points to a stack that is gone. */
static void ring_remove(struct block *block) {
    block->previous->next = block->next;
    block->next->previous = block->previous;
}

static void ring_free(struct block *ring) {
    while (ring->next != ring) {
        struct block *const block = ring->next;
        ring_remove(block);
        free(block);
    }
}

static void *allocate(size_t n_bytes) {
    struct block *const block = n_bytes > SIZE_MAX - sizeof(*block) ? NULL : malloc(sizeof(*block) + n_bytes);
    if (block == NULL) {
        if (parse_under_way != NULL)
            longjmp(parse_under_way->out_of_memory, 1);
        return NULL;
    }
    ring_init(block);
    if (parse_under_way != NULL)
        ring_insert(&parse_under_way->ring, block);
    return block + 1;
}

static void release(void *memory) {
    if (memory == NULL)
        return;
    struct block *const block = (struct block *)memory - 1;
    ring_remove(block);
    free(block);
}

/* Before main(): jansson must never free with one allocator what another one gave. */
__attribute__((constructor)) static void install_allocator(void) {
    json_set_alloc_funcs(allocate, release);
}

/* jansson follows 2,000 levels by itself, on the stack. */
static bool is_within_depth(struct text bytes, unsigned max_depth) {
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < bytes.n_bytes; i++) {
        const char c = bytes.data[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > max_depth)
                return false;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

static int load(struct text bytes, json_t **ret_root, json_error_t *error) {
    struct parse parse;
    ring_init(&parse.ring);
    if (setjmp(parse.out_of_memory) != 0) {
        parse_under_way = NULL;
        ring_free(&parse.ring);
        return -ENOMEM;
    }
    parse_under_way = &parse;
    json_t *const root = json_loadb(bytes.data, bytes.n_bytes, JSON_REJECT_DUPLICATES, error);
    parse_under_way = NULL;
    ring_remove(&parse.ring);
    if (root == NULL)
        return JSON_MALFORMED;
    *ret_root = root;
    return 0;
}

int json_object_load_at(struct text bytes, unsigned max_depth, json_t **ret_object, unsigned *ret_line) {
    json_error_t error = {.line = 0};
    *ret_line = 0;
    if (bytes.n_bytes == 0 || !is_within_depth(bytes, max_depth))
        return JSON_MALFORMED;
    /* jansson loses a zero byte that stands behind a number, and so accepts what is no JSON. */
    if (memchr(bytes.data, '\0', bytes.n_bytes) != NULL)
        return JSON_MALFORMED;
    json_t *root;
    const int result = load(bytes, &root, &error);
    if (result == JSON_MALFORMED && error.line > 0)
        *ret_line = (unsigned)error.line;
    if (result != 0)
        return result;
    if (!json_is_object(root)) {
        json_decref(root);
        return JSON_MALFORMED;
    }
    *ret_object = root;
    return 0;
}

int json_object_load(struct text bytes, unsigned max_depth, json_t **ret_object) {
    unsigned line;
    return json_object_load_at(bytes, max_depth, ret_object, &line);
}
