#include "core/packing.h"

#include <dirent.h>
#include <stdio.h>

#include "unit/core/fixture.h"

/* Packs, unpacks, compares; returns how long the packed form is. */
static size_t round_trip(struct text text) {
    cr_assert(packing_is_possible(text));
    char *packed = malloc(text.n_bytes + 1);
    packed[text.n_bytes] = 'x';
    const size_t n_packed = packing_pack(text, packed);
    cr_assert_leq(n_packed, text.n_bytes);
    cr_assert_eq(packed[text.n_bytes], 'x');
    const struct text packed_text = {.data = packed, .n_bytes = n_packed};
    cr_assert_eq(packing_unpack(packed_text, NULL), text.n_bytes);
    char *again = malloc(text.n_bytes + 1);
    again[text.n_bytes] = 'x';
    cr_assert_eq(packing_unpack(packed_text, again), text.n_bytes);
    cr_assert_eq(again[text.n_bytes], 'x');
    assert_text(((struct text){.data = again, .n_bytes = text.n_bytes}), text);
    free(packed);
    free(again);
    return n_packed;
}

static size_t round_trip_claims(struct text reply) {
    struct introspection decoded;
    if (introspection_decode(reply, &decoded) != 0)
        return 0;
    const size_t n = round_trip(buffer_text(&decoded.claims));
    introspection_deinit(&decoded);
    return n;
}

static size_t round_trip_folder(const char *folder) {
    DIR *directory = opendir(folder);
    cr_assert_not_null(directory, "%s", folder);
    size_t n = 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        const size_t n_name = strlen(entry->d_name);
        if (n_name < 5 || strcmp(entry->d_name + n_name - 5, ".json") != 0)
            continue;
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        struct secret *bytes = fixture_file(path);
        n += round_trip_claims(secret_text(bytes)) > 0;
        secret_free(bytes);
    }
    closedir(directory);
    return n;
}

Test(packing, recorded_replies_come_back_byte_for_byte) {
    cr_expect_geq(round_trip_folder("test/data/providers/oidc-provider"), 10);
    cr_expect_geq(round_trip_folder("test/data/providers/keycloak"), 5);
}

Test(packing, halves_what_real_providers_say) {
    struct secret *reply = fixture_file("test/data/providers/oidc-provider/introspect.user.json");
    cr_expect_leq(round_trip_claims(secret_text(reply)), 120);
    secret_free(reply);
    reply = fixture_file("test/data/providers/keycloak/introspect.app-multi.json");
    cr_expect_leq(round_trip_claims(secret_text(reply)), 330);
    secret_free(reply);
}

Test(packing, what_looks_like_a_piece_but_is_cut_off_stays_as_it_is) {
    static const char *const texts[] = {
        "",
        "{",
        "\"",
        ",",
        "\",\"",
        "\",\"sub",
        "{\"sub\":\"",
        "{\"sub\":",
        "\",\"groups\":[",
        "offline_acces",
        "uma",
        "\xc3\xa4\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf",
        "\x7f",
        "\",\"\",\"\",\"",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        round_trip(text_of(texts[i]));
    cr_expect_eq(round_trip(TEXT("{\"sub\":\"")), 1);
}

Test(packing, any_text_of_the_pieces_letters_comes_back) {
    static const char *const parts[] = {
        "\"",     "{",   ",",     ":",      "[",        "]",       "}",      "\",\"",      "sub",
        "groups", "iss", "\":\"", "\":[\"", "https://", "openid ", "Bearer", "token_type", "client_id",
    };
    unsigned state = 1;
    for (size_t n = 0; n < 20000; n++) {
        struct buffer text;
        buffer_init(&text, 4096);
        for (size_t i = 0; i < n % 30; i++) {
            state = state * 1103515245 + 12345;
            buffer_append(&text, text_of(parts[(state >> 16) % (sizeof(parts) / sizeof(parts[0]))]));
        }
        round_trip(buffer_text(&text));
        buffer_deinit(&text);
    }
}

Test(packing, a_byte_that_stands_for_a_piece_cannot_be_packed) {
    size_t n_refused = 0;
    for (int c = 0; c < 256; c++) {
        const char text[] = {'a', (char)c, 'b'};
        const struct text whole = {.data = text, .n_bytes = sizeof(text)};
        /* printable ASCII and every byte that UTF-8 has can */
        if (c >= 0x20 && c < 0xF5)
            cr_expect(packing_is_possible(whole), "%d", c);
        if (packing_is_possible(whole))
            round_trip(whole);
        else
            n_refused++;
    }
    cr_expect_eq(n_refused, 43, "one for each piece");
}
