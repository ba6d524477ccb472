/* A pcapng file, or a stream of one, read from the front to the end: the UDP datagrams in it. Holds
 * one block at a time, whatever the size of the file. The end of a file is where it was when it was
 * opened: one that still grows, maybe by what is replayed from it, has an end all the same. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "formats/dissect.h"
#include "formats/pcapng_read.h"

/* Why a packet is none of the datagrams. */
enum skip_reason {
	SKIP_NOT_UDP,
	SKIP_FRAGMENT,
	SKIP_CUT,
	SKIP_BROKEN,
	SKIP_LINK,
	SKIP_UNTIMED,
	SKIP_REASONS,
};

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
	size_t start, end; /* what of the buffer is not looked at yet */
	uint64_t offset; /* where start lies in the file */
	uint64_t size; /* of the file when it was opened; of a stream, UINT64_MAX */
	uint64_t to_discard; /* bytes of a block that is passed over */
	bool ended;
	struct pcapng parser;
	uint64_t skipped[SKIP_REASONS];
	const char *why; /* after -EBADMSG: what is wrong at offset */
};

/* "-" is standard input. Returns 0, -ENOMEM, or a negative errno of open(2). What is not a pcapng
 * file shows in recording_next(). */
int recording_open(struct recording *ret, const char *path);

void recording_clear(struct recording *recording);

/* The next datagram. Returns 1; 0 at the end; -EAGAIN when recording_fill() is to be called, which
 * may wait; -EBADMSG when the file is malformed or cut short; -ENOMEM. */
int recording_next(struct recording *recording, struct recorded *ret);

/* Reads on. Returns 0 or a negative errno of read(2). */
int recording_fill(struct recording *recording);

/* To the start again; what was skipped stays counted. Returns 0, or -ESPIPE when it is a stream. */
int recording_rewind(struct recording *recording);

#define AUTO_RECORDING CLEANUP(recording_clear)
