/* Datagrams in a stream of bytes: before each comes its length, 32 bits in network byte order.
 * Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define STREAM_HEADER 4 /* bytes */

/* What bytes begin with. */
enum stream_next {
	STREAM_WHOLE,
	STREAM_PARTIAL, /* or nothing */
	STREAM_WRONG, /* the length is over the maximum */
};

/* *ret_length is the length that the bytes begin with, as far as there is one. */
enum stream_next stream_next(const uint8_t *bytes, size_t size, uint32_t max, uint32_t *ret_length);

/* Picks whole datagrams from the beginning, room at most, none of which is longer than max.
 * *ret_count is how many. Returns the number of bytes that they take. */
size_t stream_pick(const uint8_t *bytes, size_t size, uint32_t max, struct iovec *vectors,
	unsigned room, unsigned *ret_count);

/* How many datagrams there are, with one that is not whole or wrong, at which they end. */
unsigned stream_count(const uint8_t *bytes, size_t size, uint32_t max);
