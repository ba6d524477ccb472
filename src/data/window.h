/* What was handed to a broker and is not acknowledged yet: the datagrams with the numbers from low
 * to head, of which those below next were sent. Each keeps its place until it is acknowledged,
 * released, or the window is emptied; then the place is free again once all older ones are.
 *
 * The broker acknowledges in any order. After a reconnection, and when nothing is acknowledged for
 * the silence, or later ones only, all that is open is sent again from the oldest on (go-back-N),
 * so that the order holds. A refusal for now (no leader, no memory) stops sending for a pause of 50
 * ms, doubled up to a second; then the oldest goes alone, as a probe, and its acknowledgement opens
 * the window again.
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
	uint32_t room; /* of data */
	uint64_t sent_ns; /* when it was sent for the first time */
	bool is_open; /* neither acknowledged nor released */
	void *object; /* the user's; NULL at first */
	uint64_t since_ns; /* the user's: that of its batch */
};

struct window {
	struct window_slot *slots;
	unsigned capacity;
	size_t mask; /* the slot of a number is number & mask */
	uint64_t low, next, head; /* numbers of slots, since the beginning */
	uint64_t bytes; /* payload of all that is open */
	unsigned open;
	uint64_t resent; /* sends beyond the first one of each */
	bool is_connected;
	uint64_t silence_ns, heard_ns; /* heard: the last acknowledgement, or the first send after
					  a time with nothing open */
	bool has_answered; /* since window_next(), at a time that it will tell */
	uint64_t answered; /* all acknowledged ones since it went back last are below */
	uint64_t overtaken_ns; /* since when the oldest waits while later ones are acknowledged */
	uint64_t pause_ns, resume_ns; /* of refusals; 0: none */
	bool is_probing;
};

/* For capacity datagrams, at least 1. A silence of 0: never. Returns 0 or -ENOMEM. Not connected
 * yet. */
int window_init(struct window *window, unsigned capacity, uint64_t silence_ns);

/* Frees what it holds. Accepts a zeroed window. */
void window_clear(struct window *window);

/* How many datagrams it has room for. */
unsigned window_room(const struct window *window);

/* The slot of the next datagram, with room for size bytes of data (0: none is wanted), of which
 * payload are the datagram's. There must be room. Returns NULL without memory. */
struct window_slot *window_add(struct window *window, size_t size, size_t payload);

/* The slot of a number from low to head; NULL for others. */
struct window_slot *window_slot(const struct window *window, uint64_t number);

/* Whether something may be sent now; *ret_number is what. Nothing may while it is not connected or
 * pauses; while it probes, only the probe. */
bool window_next(struct window *window, uint64_t now_ns, uint64_t *ret_number);

/* The library has taken it. */
void window_sent(struct window *window, uint64_t number, uint64_t now_ns);

/* The broker has it. Returns whether that is new, and how long after the first sending that is:
 * false for old and for unknown numbers. The slot keeps its object; its data may be gone. */
bool window_acknowledge(
	struct window *window, uint64_t number, uint64_t now_ns, uint64_t *ret_took_ns);

/* The broker does not take it now: all that is open is sent again after a pause. Nothing more
 * happens for the others that were sent before that, and are refused as well. */
void window_refuse(struct window *window, uint64_t number, uint64_t now_ns);

/* The broker will never take it (size, permission), or it cannot be sent. Returns whether it was
 * open. */
bool window_release(struct window *window, uint64_t number);

/* It has waited for too long, and nobody has answered. Returns whether it was open. */
bool window_expire(struct window *window, uint64_t number);

/* A connection begins: all that is open is sent again. */
void window_connected(struct window *window, uint64_t now_ns);
void window_disconnected(struct window *window);

/* When window_next() may say something else (CLOCK_MONOTONIC) without anything having happened; 0:
 * never. It is not later than that. */
uint64_t window_deadline(const struct window *window);

/* Empties it, and gives its buffers back. Returns how many were open, and in *ret_sent how many of
 * these had been sent. */
unsigned window_abandon(struct window *window, unsigned *ret_sent);
