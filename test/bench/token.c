#include "token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/sentinel.h"

#define PREFIX SENTINEL_TOKEN "-"
static const char letters[N_TOKEN_KINDS] = {'g', 'r', 'x'};

/* prefix, kind, number in hexadecimal, iat, exp */
_Static_assert(sizeof(PREFIX) - 1 + 1 + 16 + 11 + 11 == TOKEN_BYTES, "TOKEN_BYTES");

void token_write(const struct token *token, char *text) {
    char whole[TOKEN_BYTES + 1];
    snprintf(whole, sizeof(whole), PREFIX "%c%016llx-%010lld-%010lld", letters[token->kind],
             (unsigned long long)token->number, (long long)token->issued_unix_s, (long long)token->exp_unix_s);
    memcpy(text, whole, TOKEN_BYTES);
}

bool token_read(const char *text, size_t n_bytes, struct token *ret_token) {
    char whole[TOKEN_BYTES + 1] = {0}, letter = 0;
    unsigned long long number = 0;
    long long issued = 0, exp = 0;
    int n_read = 0;
    if (n_bytes != TOKEN_BYTES)
        return false;
    memcpy(whole, text, n_bytes);
    if (sscanf(whole, PREFIX "%c%16llx-%10lld-%10lld%n", &letter, &number, &issued, &exp, &n_read) != 4 ||
        n_read != TOKEN_BYTES)
        return false;
    const char *kind = memchr(letters, letter, N_TOKEN_KINDS);
    if (kind == NULL)
        return false;
    *ret_token = (struct token){
        .kind = (enum token_kind)(kind - letters), .number = number, .issued_unix_s = issued, .exp_unix_s = exp};
    return true;
}

void token_user(const struct token *token, char ret_user[TOKEN_USER_BYTES + 1]) {
    snprintf(ret_user, TOKEN_USER_BYTES + 1, "user-%c%016llx", letters[token->kind], (unsigned long long)token->number);
}
