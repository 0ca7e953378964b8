#include "base/error.h"

#include <criterion/criterion.h>
#include <string.h>

Test(error, says_what_it_was_told) {
    struct error error;
    error_set(&error, "%s:%d:%d: %s", "config.yaml", 14, 7, "at least one audience is needed");
    cr_assert_str_eq(error.text, "config.yaml:14:7: at least one audience is needed");
}

Test(error, set_replaces_and_may_take_the_old_text_as_an_argument) {
    struct error error;
    error_set(&error, "no such file");
    error_set(&error, "a.pem: %s", error.text);
    cr_assert_str_eq(error.text, "a.pem: no such file");
}

Test(error, prefix_goes_before_the_text) {
    struct error error;
    error_set(&error, "no such file");
    error_prefix(&error, "issuers[%d].certificateAuthorityFile", 0);
    cr_assert_str_eq(error.text, "issuers[0].certificateAuthorityFile: no such file");
}

Test(error, a_long_text_ends_in_dots) {
    struct error error;
    error_set(&error, "%0*d", LIMIT_ERROR_BYTES * 2, 0);
    cr_assert_eq(strlen(error.text), LIMIT_ERROR_BYTES - 1);
    cr_assert_str_eq(error.text + LIMIT_ERROR_BYTES - 5, "0...");
}

Test(error, a_text_of_the_whole_room_is_not_cut) {
    struct error error;
    error_set(&error, "%0*d", LIMIT_ERROR_BYTES - 1, 0);
    cr_assert_eq(strlen(error.text), LIMIT_ERROR_BYTES - 1);
    cr_assert_eq(error.text[LIMIT_ERROR_BYTES - 2], '0');
}

Test(error, a_prefix_that_does_not_fit_cuts_the_end) {
    struct error error;
    error_set(&error, "%0*d", LIMIT_ERROR_BYTES - 1, 0);
    error_prefix(&error, "place");
    cr_assert_eq(strncmp(error.text, "place: 000", 10), 0);
    cr_assert_eq(strlen(error.text), LIMIT_ERROR_BYTES - 1);
    cr_assert_str_eq(error.text + LIMIT_ERROR_BYTES - 4, "...");
}

Test(error, is_cut_between_characters) {
    for (int before = 0; before < 4; before++) {
        struct error error;
        char text[LIMIT_ERROR_BYTES + 64] = "";
        memset(text, 'x', (size_t)before);
        for (size_t n = (size_t)before; n < LIMIT_ERROR_BYTES + 32; n += 3)
            memcpy(text + n, "\xe2\x82\xac", 4);
        error_set(&error, "%s", text);
        const size_t n_bytes = strlen(error.text) - 3;
        cr_assert_eq((n_bytes - (size_t)before) % 3, 0, "half a character is left");
        cr_assert_geq(n_bytes, LIMIT_ERROR_BYTES - 7);
        cr_assert_str_eq(error.text + n_bytes, "...");
    }
}

Test(error, null_is_told_nothing) {
    error_set(NULL, "%s", "nobody listens");
    error_prefix(NULL, "%s", "nobody listens");
}
