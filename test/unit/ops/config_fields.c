#include "ops/config_fields.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "config_fixture.h"

Test(config_fields, durations) {
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {{"0", 0},
                 {"0s", 0},
                 {"0h0m0s0ms", 0},
                 {"1ms", 1},
                 {"500ms", 500},
                 {"30s", 30000},
                 {"\"30s\"", 30000},
                 {"5m", 300000},
                 {"1m30s", 90000},
                 {"1m500ms", 60500},
                 {"600s", 600000},
                 {"600000ms", 600000},
                 {"0h10m", 600000},
                 {"600001ms", -1},
                 {"1h", -1},
                 {"9999999999h", -1},
                 {"99999999999s", -1},
                 {"", -1},
                 {"s", -1},
                 {"30", -1},
                 {"30 s", -1},
                 {"30S", -1},
                 {"30sec", -1},
                 {"30s5m", -1},
                 {"1s1s", -1},
                 {"1.5s", -1},
                 {"-1s", -1},
                 {"+1s", -1},
                 {"01s", -1},
                 {"1us", -1},
                 {"1m30", -1},
                 {"[30s]", -1},
                 {"1e3s", -1},
                 {"00", -1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];
        struct config *config;
        struct error error = {};
        snprintf(text, sizeof(text), "  cache: {ttl: %s}\n", cases[i].text);
        const int r = parse_with(NULL, text, &config, &error);
        cr_expect_eq(r, cases[i].ms < 0 ? CONFIG_INVALID : 0, "%s: %s", cases[i].text, error.text);
        if (r != 0)
            continue;
        cr_expect_eq(config->policy.issuers[0].ttl_ms, cases[i].ms, "%s", cases[i].text);
        config_free(config);
    }
}

Test(config_fields, numbers) {
    static const struct {
        const char *text;
        uint32_t number; /* 0: refused */
    } cases[] = {{"1", 1},   {"16", 16}, {"0", 0},   {"17", 0},  {"4294967297", 0}, {"18446744073709551617", 0},
                 {"01", 0},  {"0x1", 0}, {"1_0", 0}, {"+1", 0},  {"-1", 0},         {"1.0", 0},
                 {"1e0", 0}, {"'1'", 0}, {"one", 0}, {"[1]", 0}, {"", 0},           {"~", 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];
        struct config *config;
        struct error error = {};
        snprintf(text, sizeof(text), "threads: %s\n", cases[i].text);
        const int r = parse_with(NULL, text, &config, &error);
        cr_expect_eq(r, cases[i].number == 0 ? CONFIG_INVALID : 0, "%s: %s", cases[i].text, error.text);
        if (r != 0)
            continue;
        cr_expect_eq(config->n_threads, cases[i].number, "%s", cases[i].text);
        config_free(config);
    }
}

Test(config_fields, fractions) {
    static const struct {
        const char *text;
        uint32_t permille; /* 0: refused */
    } cases[] = {{"0.5", 500}, {"0.05", 50}, {"0.125", 125}, {"1", 1000}, {"1.0", 1000}, {"1.000", 1000}, {"0.01", 10},
                 {"0", 0},     {"0.009", 0}, {"1.001", 0},   {"2", 0},    {"0.1234", 0}, {".5", 0},       {"0.", 0},
                 {"-0.5", 0},  {"5e-1", 0},  {"50%", 0},     {"00.5", 0}, {"0,5", 0},    {"'0.5'", 0},    {"0.5x", 0},
                 {"0x.5", 0},  {"2.5", 0},   {"[0.5]", 0},   {"~", 0},    {"", 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[128];
        struct config *config;
        struct error error = {};
        snprintf(text, sizeof(text), "breaker: {failureRatio: %s}\n    client:", cases[i].text);
        const int r = parse_with("client:", text, &config, &error);
        cr_expect_eq(r, cases[i].permille == 0 ? CONFIG_INVALID : 0, "%s: %s", cases[i].text, error.text);
        if (r != 0)
            continue;
        cr_expect_eq(config->introspection[0].breaker.failure_permille, cases[i].permille, "%s", cases[i].text);
        config_free(config);
    }
}

Test(config_fields, booleans_are_true_and_false_and_nothing_else) {
    static const char *const others[] = {"yes", "on", "True", "TRUE", "y", "1", "\"true\"", "'true'", "[true]", "~", ""};
    struct config *config;
    struct error error;
    cr_assert_eq(parse_with("opaque: true", "opaque: false, jwt: true", &config, &error), 0, "%s", error.text);
    cr_expect_not(config->policy.issuers[0].takes_opaque);
    cr_expect(config->policy.issuers[0].takes_jwt);
    config_free(config);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "opaque: true, jwt: %s", others[i]);
        cr_expect_eq(parse_with("opaque: true", text, &config, &error), CONFIG_INVALID, "%s", others[i]);
        cr_expect_not_null(strstr(error.text, "issuers[0].tokens.jwt: "), "%s", error.text);
    }
}

Test(config_fields, text_is_taken_as_it_is_written) {
    static const struct {
        const char *text, *value;
    } cases[] = {{"123", "123"},   {"true", "true"},   {"0x1F", "0x1F"},
                 {"1.50", "1.50"}, {"\"a b\"", "a b"}, {"'null'", "null"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];
        struct config *config;
        struct error error;
        snprintf(text, sizeof(text), "audiences: [%s]", cases[i].text);
        cr_assert_eq(parse_with("audiences: [kubernetes]", text, &config, &error), 0, "%s", error.text);
        expect_text(config->policy.issuers[0].audiences.items[0], cases[i].value);
        config_free(config);
    }
}

Test(config_fields, text_with_control_characters_is_refused) {
    static const char *const texts[] = {"\"a\\nb\"",  "\"\\t\"",      "\"a\\x1b[31m\"",
                                        "\"a\\x7f\"", "\"a\\u0085\"", "\"\\u009f\""};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char text[64];
        struct config *config;
        struct error error;
        snprintf(text, sizeof(text), "audiences: [%s]", texts[i]);
        cr_expect_eq(parse_with("audiences: [kubernetes]", text, &config, &error), CONFIG_INVALID, "%s", texts[i]);
        cr_expect_not_null(strstr(error.text, "control character"), "%s: %s", texts[i], error.text);
    }
}
