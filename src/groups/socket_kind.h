/* How datagrams are told apart on a connection to a group's socket: as packets (groups/packets), or
 * in a stream (groups/stream). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "data/datagram.h"

struct arena;
struct socket_kind;

/* Bytes that wait: what was read and not taken yet, or the rest of what was partly written. */
struct rest {
	uint8_t *data; /* NULL: none */
	size_t start, size; /* the bytes begin at data + start */
};

/* Replaces it by what two pieces of memory have from the byte at begin on. Returns 0; or -ENOMEM,
 * and there is none. */
int rest_set(struct rest *rest, const struct iovec pieces[static 2], size_t begin);
void rest_clear(struct rest *rest);

/* A connection, as the kind of its socket sees it. */
struct channel {
	const struct socket_kind *kind;
	int fd;
	uint32_t max; /* bytes of a datagram that can be sent */
	uint64_t gap; /* datagrams that the program has missed since it last got one */
	bool reads_no_more; /* the program has shut down that half, a write said (EPIPE) */
	int gap_fd; /* of packets: the file that will tell the gap; -1: none */
	struct rest in; /* of a stream: what was read and not returned yet */
	struct rest out; /* of a stream: the rest of a datagram that was partly written */
};

/* What a program has written. */
struct written {
	struct iovec vectors[BATCH_MAX]; /* the datagrams; valid until the next read */
	unsigned count;
	unsigned unsent; /* more datagrams that cannot be sent: too large, or not whole */
	uint32_t wrong; /* with -EBADMSG: the length that it gave */
	size_t torn; /* bytes of a datagram of which the rest did not come; 0: none */
	bool end; /* it writes no more */
	bool more; /* more of what was read waits in the channel: no event will tell */
};

struct socket_kind {
	int type; /* of the socket */
	const char *suffix; /* of its file, after the name of the group */
	bool empty_is_end; /* a read of 0 bytes may be an empty datagram, and the end: credentials
			      tell the daemon which (SO_PASSCRED), and a program is told nothing */

	/* Reads up to BATCH_MAX datagrams. Returns 0; or a negative errno, -EBADMSG for a wrong
	 * length, and then all that is in *ret cannot be sent. */
	int (*read)(struct channel *channel, struct arena *arena, struct written *ret);

	/* Writes datagrams, BATCH_MAX at most, as long as there is room. Returns how many, with one
	 * whose rest is left in channel->out. */
	unsigned (*write)(struct channel *channel, const struct iovec *payloads, unsigned count);

	/* Writes what is left in channel->out, as far as there is room. */
	void (*finish)(struct channel *channel);

	/* The number of datagrams that were read and not returned, with one that is not whole. */
	unsigned (*waiting)(const struct channel *channel);
};

extern const struct socket_kind packets_kind, stream_kind;

static inline void channel_init(struct channel *channel, const struct socket_kind *kind, int fd)
{
	*channel = (struct channel){.kind = kind, .fd = fd, .gap_fd = -1};
}

void channel_clear(struct channel *channel);

/* Appends to a file, for the next run, what is known of a connection beside its descriptor. Returns
 * 0 or a negative errno. */
int channel_save(const struct channel *channel, int file);

/* Finds that in the file again, by the socket; nothing where nothing was to be known. Returns 0; or
 * a negative errno, and the connection cannot go on. */
int channel_load(struct channel *channel, int file);
