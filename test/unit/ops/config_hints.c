#include "ops/config_hints.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "config_fixture.h"

Test(config_hints, misspelt_fields_are_told_the_nearest_one) {
    static const struct {
        const char *key, *hint;
    } cases[] = {{"thread", "did you mean threads?"},
                 {"Threads", "did you mean threads?"},
                 {"thraeds", "did you mean threads?"},
                 {"threds", "did you mean threads?"},
                 {"apiAudience", "did you mean apiAudiences?"},
                 {"lgo", "did you mean log?"},
                 {"auditing", "docs/configuration.md"},
                 {"colour", "docs/configuration.md"},
                 {"claimMappings", "its place is issuers[].claimMappings"},
                 {"clientIDs", "its place is issuers[].tokens.clientIDs"},
                 {"opaquePrefix", "its place is issuers[].tokens.opaquePrefix"},
                 {"name", "docs/configuration.md"},
                 {"prefix", "docs/configuration.md"},
                 {"\"\"", "docs/configuration.md"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];
        struct config *config;
        struct error error;
        snprintf(text, sizeof(text), "%s: 1\n", cases[i].key);
        cr_expect_eq(parse_with(NULL, text, &config, &error), CONFIG_INVALID, "%s", cases[i].key);
        cr_expect_not_null(strstr(error.text, cases[i].hint), "%s: %s", cases[i].key, error.text);
    }
}
