#include "base/arena.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdalign.h>
#include <stdint.h>

#include "lib/memory.h"

Test(arena, gives_zeroed_and_aligned_memory_that_does_not_overlap) {
    struct arena *arena;
    cr_assert_eq(arena_new(1 << 20, &arena), 0);
    unsigned char *pieces[300];
    for (size_t i = 0; i < 300; i++) {
        pieces[i] = arena_alloc(arena, i);
        cr_assert_not_null(pieces[i]);
        cr_assert_eq((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < i; k++)
            cr_assert_eq(pieces[i][k], 0);
        memset(pieces[i], (int)(i & 255), i);
    }
    for (size_t i = 0; i < 300; i++) {
        for (size_t k = 0; k < i; k++)
            cr_assert_eq(pieces[i][k], i & 255);
    }
    arena_free(arena);
}

Test(arena, gives_pieces_larger_than_its_chunks) {
    struct arena *arena;
    cr_assert_eq(arena_new(1 << 20, &arena), 0);
    memset(arena_alloc(arena, 100), 1, 100);
    memset(arena_alloc(arena, 100000), 2, 100000);
    memset(arena_alloc(arena, 100), 3, 100);
    arena_free(arena);
}

Test(arena, stops_at_its_maximum) {
    struct arena *arena;
    cr_assert_eq(arena_new(256, &arena), 0);
    for (int i = 0; i < 16; i++)
        cr_assert_not_null(arena_alloc(arena, 1), "piece %d", i);
    cr_assert_null(arena_alloc(arena, 1));
    cr_assert_null(arena_alloc(arena, 0));
    cr_assert_null(arena_alloc(arena, SIZE_MAX));
    arena_free(arena);
}

Test(arena, a_product_that_wraps_round_is_too_much) {
    struct arena *arena;
    cr_assert_eq(arena_new(1 << 20, &arena), 0);
    cr_assert_null(arena_array(arena, SIZE_MAX / 2, 4));
    cr_assert_not_null(arena_array(arena, 10, 4));
    arena_free(arena);
}

Test(arena, copies_texts) {
    struct arena *arena;
    cr_assert_eq(arena_new(1 << 20, &arena), 0);
    char source[] = "text";
    struct text copy;
    cr_assert_eq(arena_text(arena, text_of(source), &copy), 0);
    const char *string = arena_string(arena, text_of(source));
    source[0] = '!';
    cr_assert(text_equal(copy, TEXT("text")));
    cr_assert_str_eq(string, "text");
    cr_assert_str_eq(arena_string(arena, (struct text){0}), "");
    arena_free(arena);
}

Test(arena, survives_each_allocation_that_fails) {
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct arena *arena = NULL;
        memory_fail_at(n);
        const int r = arena_new(1 << 20, &arena);
        struct text first = {0}, second = {0};
        const int r_first = r == 0 ? arena_text(arena, TEXT("first"), &first) : -ENOMEM;
        char *large = r == 0 ? arena_alloc(arena, 100000) : NULL;
        const int r_second = r == 0 ? arena_text(arena, TEXT("second"), &second) : -ENOMEM;
        failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert_eq(failed, r != 0 || r_first != 0 || large == NULL || r_second != 0);
        if (r_first == 0)
            cr_assert(text_equal(first, TEXT("first")));
        else
            cr_assert_null(first.data);
        arena_free(arena);
        cr_assert(n < 10);
    }
}

Test(arena, free_takes_null) {
    arena_free(NULL);
}
