/* What was handed to a broker and is not acknowledged yet: the datagrams with the numbers from low
 * to head, of which those below next were sent. Each keeps its place until it is acknowledged,
 * given up, or the window is emptied.
 *
 * The broker acknowledges in any order. After a reconnection, and when nothing is acknowledged for
 * the silence, all that is open is sent again from the oldest on (go-back-N), so that the order
 * holds. A refusal for now (no leader, no memory) stops sending for a pause of 50 ms, doubled up to
 * a second; then the oldest goes alone, as a probe, and its acknowledgement opens the window again.
 *
 * Pure: whoever uses it sends, and passes the time (CLOCK_MONOTONIC, ns). For one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct window_slot {
	uint8_t *data; /* the message, owned by the window; NULL where only the size is kept */
	uint32_t size; /* of the message */
	uint32_t payload; /* bytes of it that are the datagram's */
	uint32_t sends; /* how often it was sent */
	bool is_open; /* neither acknowledged nor given up */
	void *object; /* the user's */
};

struct window {
	struct window_slot *slots;
	unsigned capacity;
	uint64_t low, next, head; /* numbers of slots, since the beginning */
	uint64_t bytes; /* payload of all that is open */
	unsigned open;
	uint64_t resent; /* sends beyond the first one of each */
	bool is_connected;
	uint64_t silence_ns, heard_ns; /* heard: the last acknowledgement, or the first send after
					  a time with nothing open */
	uint64_t pause_ns, resume_ns; /* of refusals; 0: none */
	bool is_probing;
};

/* Returns 0 or -ENOMEM. Not connected yet. */
int window_init(struct window *window, unsigned capacity, uint64_t silence_ns);

/* Frees what it holds. Accepts a zeroed window. */
void window_clear(struct window *window);

/* How many datagrams it has room for. */
unsigned window_room(const struct window *window);

/* The slot of the next datagram, with room for size bytes of data (0: none is wanted), of which
 * payload are the datagram's. There must be room. Returns NULL without memory. */
struct window_slot *window_add(struct window *window, size_t size, size_t payload);

struct window_slot *window_slot(const struct window *window, uint64_t number);

/* Whether something may be sent now; *ret_number is what. Nothing may while it is not connected or
 * pauses; while it probes, only the probe. */
bool window_next(struct window *window, uint64_t now_ns, uint64_t *ret_number);

/* The library has taken it. */
void window_sent(struct window *window, uint64_t number, uint64_t now_ns);

/* The broker has it. Returns whether that is new. */
bool window_acknowledge(struct window *window, uint64_t number, uint64_t now_ns);

/* The broker does not take it now: all that is open is sent again after a pause. */
void window_refuse(struct window *window, uint64_t number, uint64_t now_ns);

/* The broker will never take it (size, permission). Returns whether it was open. */
bool window_give_up(struct window *window, uint64_t number);

/* A connection begins: all that is open is sent again. */
void window_connected(struct window *window, uint64_t now_ns);
void window_disconnected(struct window *window);

/* When window_next() may say something else without anything having happened; 0: never. */
uint64_t window_deadline(const struct window *window);

/* Empties it. Returns how many were open, and in *ret_sent how many of these had been sent. */
unsigned window_abandon(struct window *window, unsigned *ret_sent);
