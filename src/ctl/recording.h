/* A capture in a file or a stream, read from the front to the end: the UDP datagrams in it. Holds
 * one record at a time, whatever the size of the file, and what reassembly holds. The end of a file
 * is where it was when the file was opened: a file that grows, perhaps by what is replayed from it,
 * still has an end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "formats/capture.h"
#include "formats/reassembly.h"

/* A datagram that was captured. */
struct recorded {
	/* Since the epoch; where it was put together, of the last fragment; where the packet has
	 * none, of the packet before. */
	uint64_t timestamp_ns;
	bool is_timed; /* false: there is none, as no packet before has one */
	struct dissected datagram; /* its payload is there until the next call */
};

#define UNKNOWN_LINKS_MAX 8

struct recording {
	int fd; /* owned */
	uint8_t *buffer;
	size_t start, end; /* the unread part of the buffer */
	uint64_t offset; /* of start, in the file */
	uint64_t size; /* of the file when it was opened; of a stream, UINT64_MAX */
	uint64_t to_discard; /* bytes left of a record that is skipped */
	bool ended;
	bool has_begun; /* a packet with a timestamp was read */
	bool can_rewind; /* it is no stream */
	struct capture parser;
	struct reassembly reassembly;
	uint64_t begin_ns; /* the timestamp of the first packet, of whatever protocol */
	uint64_t last_ns; /* that of the packet that was read last; 0: none yet */
	uint64_t earliest_ns, latest_ns; /* of all timestamps, where has_begun */
	uint64_t packets; /* read */
	uint64_t skipped[DISSECT_RESULTS]; /* packets; at DISSECT_FRAGMENT datagrams that did not
					      become whole, which is known at the end */
	uint16_t unknown_links[UNKNOWN_LINKS_MAX]; /* which link types were not supported */
	size_t unknown_link_count;
	const char *why; /* after -EBADMSG: what is wrong at offset */
};

/* "-" is standard input. Returns 0, -ENOMEM, or a negative errno of open(2). Whether it is a
 * capture shows in recording_next(). */
int recording_open(struct recording *ret, const char *path);

void recording_clear(struct recording *recording);

/* The next datagram. Returns 1; 0 at the end; -EAGAIN: call recording_fill(), which may wait;
 * -EBADMSG when the file is malformed or cut short; -ENOMEM. */
int recording_next(struct recording *recording, struct recorded *ret);

/* Reads more. Returns 0 or a negative errno of read(2). */
int recording_fill(struct recording *recording);

/* Back to the start; skipped keeps its counts. Returns 0, or -ESPIPE when it is a stream. */
int recording_rewind(struct recording *recording);

#define AUTO_RECORDING CLEANUP(recording_clear)
