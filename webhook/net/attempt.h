/*
 * The attempts of a flight: it takes a place among the provider's calls, asks, maybe asks again (over a fresh connection
 * where the pooled one was closed, with the other line of the secret file where the first was rejected, after a pause where
 * the failure may pass), and lands or fails.
 */
#pragma once

#include "net/lane.h"

/* Begins as many waiting flights as there are places, once the endpoint is known. While the breaker is open they fail. */
void attempt_start_waiting(struct lane *lane);

/* The flight's pause is over: it waits for a place again. */
void attempt_resume(struct lane *lane, struct flight *flight);

/* Gives a call up, since nobody waits for its flight any more; frees the flight. */
void attempt_abandon(struct lane *lane, struct flight *flight);

/* Takes a flight that waits, calls or pauses out of its lane and the table, delivers the reason, frees it. */
void attempt_fail(struct lane *lane, struct flight *flight, enum reason reason);
