/* Who sends to a group: the last KNOWN_SENDERS_MAX that it heard, and how much each has sent. Pure:
 * the caller says what came in, and when. A sender is an address and a port, by one interface, and
 * in a group whose datagrams are numbered one of its streams. The one that was silent for longest
 * gives way to a new one, and what is known of it is forgotten. */
#pragma once

#include <net/if.h>

#include "data/datagram.h"

#define KNOWN_SENDERS_MAX 64

struct known_senders;

struct known_sender {
	struct address address;
	uint16_t port;
	char interface[IF_NAMESIZE]; /* that it came in by, as it was called then */
	uint64_t received; /* datagrams, since it was last new */
	uint64_t last_received_ns; /* by the caller's clock */
	uint64_t longest_pause_ns; /* between two datagrams */
	uint64_t stream[2]; /* zero without */
	const void *more; /* what the caller keeps of it; NULL: nothing */
};

/* What the caller keeps of each sender. */
struct known_senders_more {
	size_t size; /* bytes; 0: nothing */
	/* One is forgotten, for another sender or with all of them. It is not zeroed any more. */
	void (*forget)(void *more, void *argument);
	void *argument;
};

/* Nobody is known. Takes more memory as there are more senders. more is copied; NULL: nothing.
 * Returns NULL without memory. */
struct known_senders *known_senders_new(const struct known_senders_more *more);

/* Accepts NULL. */
void known_senders_free(struct known_senders *senders);

/* Datagrams with their sources came in by the origin's interface. Takes constant time for each,
 * and next to none for those after one of the same sender. Without memory a new sender is not kept,
 * and counts as forgotten. */
void known_senders_note(struct known_senders *senders, const struct origin *origin,
	const struct datagram *datagrams, unsigned count, uint64_t now_ns);

/* The same for one datagram, and for this stream of its sender. Returns what the caller keeps of
 * it, zeroed at first, or NULL without memory; valid until the next one is noted. */
void *known_senders_note_stream(struct known_senders *senders, const struct origin *origin,
	const union endpoint *source, const uint64_t stream[static 2], uint64_t now_ns);

/* The same for one more datagram of the sender and the stream that were noted last, for which there
 * was memory. */
void known_senders_note_again(struct known_senders *senders, uint64_t now_ns);

/* How many are known. Accepts NULL. */
unsigned known_senders_count(const struct known_senders *senders);

/* The next one, those heard last first. The cursor is 0 at first; nothing may be noted in
 * between. Returns false after the last.
 * Accepts NULL, for none. */
bool known_senders_next(
	const struct known_senders *senders, unsigned *cursor, struct known_sender *ret);

/* How often a sender was forgotten for another one. Accepts NULL. */
uint64_t known_senders_forgotten(const struct known_senders *senders);
