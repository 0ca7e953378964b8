/*
 * Tokens in which the truth is written: the scripted provider reads there what to say of one, and the load generator what
 * the webhook may say. So neither needs a table, of however many tokens, and whatever the webhook says can be judged at
 * once.
 *
 * Each begins with the sentinel's word (test/lib/sentinel.h), so that any part of one that leaked is found.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_kind {
    TOKEN_GOOD,    /* active */
    TOKEN_REVOKED, /* active until the provider is told to revoke */
    TOKEN_GARBAGE, /* never active */
    N_TOKEN_KINDS
};

struct token {
    enum token_kind kind;
    uint64_t number;
    int64_t issued_unix_s, exp_unix_s;
};

#define TOKEN_BYTES 83
#define TOKEN_USER_BYTES 22

/* Writes TOKEN_BYTES characters, without an end. */
void token_write(const struct token *token, char *text);

/* Reads one. Returns whether it is one. */
bool token_read(const char *text, size_t n_bytes, struct token *ret_token);

/* The name of its user: "user-", kind and number; with an end. */
void token_user(const struct token *token, char ret_user[TOKEN_USER_BYTES + 1]);
