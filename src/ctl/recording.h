/* A pcapng file, or a stream of one, read from the front to the end: the UDP datagrams in it. Holds
 * one block at a time, whatever the size of the file. The end of a file is where it was when the
 * file was opened: a file that grows, perhaps by what is replayed from it, still has an end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "formats/dissect.h"
#include "formats/pcapng.h"

/* Why packets are skipped: what dissect() says, and packets without a timestamp. */
#define SKIP_UNTIMED DISSECT_RESULTS
#define SKIP_REASONS (DISSECT_RESULTS + 1)

/* What stands after the number, and the key in JSON. */
extern const struct skip_name {
	const char *words, *key;
} skip_names[SKIP_REASONS];

struct recorded {
	uint64_t timestamp_ns; /* since the epoch */
	struct payload payload; /* until the next call */
};

struct recording {
	int fd; /* owned */
	uint8_t *buffer;
	size_t start, end; /* the unread part of the buffer */
	uint64_t offset; /* of start, in the file */
	uint64_t size; /* of the file when it was opened; of a stream, UINT64_MAX */
	uint64_t to_discard; /* bytes left of a block that is skipped */
	bool ended;
	struct pcapng parser;
	uint64_t skipped[SKIP_REASONS];
	const char *why; /* after -EBADMSG: what is wrong at offset */
};

/* "-" is standard input. Returns 0, -ENOMEM, or a negative errno of open(2). Whether it is a pcapng
 * file shows in recording_next(). */
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
