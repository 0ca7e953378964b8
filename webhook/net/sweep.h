/*
 * Patience and memory have an end: the look over all connections of a loop that h2o 2.2 does not take by itself. It has no
 * limit for a request that drips in or an answer that is not read, its timers follow the wall clock, and what all
 * connections hold together it does not count.
 *
 * Time is the loop's own: it passes while the loop turns. A process that was stopped, or a machine that slept, has kept its
 * callers waiting and not the other way round.
 */
#pragma once

#include "net/connection.h"

/* Ends whoever has been at one thing for too long, and counts anew what all of them hold. Loop's thread, now and then. */
void sweep(struct loop *loop);

/*
 * Ends the oldest strangers where there are more than the loop has room for. Loop's thread, after each turn: whoever had
 * sent its certificate before has been heard by then, however many came in the same moment.
 */
void sweep_strangers(struct loop *loop);

/*
 * Where the loop holds more than its role may: ends connections that are in the midst of a request larger than usual, and if
 * that does not do, in the midst of any. Requests that wait for a provider are not touched: loop_park() has bounded what
 * they hold. Loop's thread, after each turn: what one turn reads is bounded by the sockets' buffers.
 */
void sweep_make_room(struct loop *loop);
