#include "groups/stream_frames.h"

#include <arpa/inet.h>
#include <string.h>

enum stream_next stream_next(const uint8_t *bytes, size_t size, uint32_t max, uint32_t *ret_length)
{
	uint32_t length;

	if (size < STREAM_HEADER)
		return STREAM_PARTIAL;
	memcpy(&length, bytes, sizeof(length));
	*ret_length = length = ntohl(length);
	if (length > max)
		return STREAM_WRONG;
	return size - STREAM_HEADER < length ? STREAM_PARTIAL : STREAM_WHOLE;
}

size_t stream_pick(const uint8_t *bytes, size_t size, uint32_t max, struct iovec *vectors,
	unsigned room, unsigned *ret_count)
{
	uint32_t length;
	size_t used = 0;
	unsigned count;

	for (count = 0; count < room; count++) {
		if (stream_next(bytes + used, size - used, max, &length) != STREAM_WHOLE)
			break;
		vectors[count] = (struct iovec){(void *)(bytes + used + STREAM_HEADER), length};
		used += STREAM_HEADER + length;
	}
	*ret_count = count;
	return used;
}

unsigned stream_count(const uint8_t *bytes, size_t size, uint32_t max)
{
	unsigned count = 0;
	uint32_t length;
	size_t used = 0;

	while (stream_next(bytes + used, size - used, max, &length) == STREAM_WHOLE) {
		used += STREAM_HEADER + length;
		count++;
	}
	return count + (used < size);
}
