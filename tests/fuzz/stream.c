/* What a program writes to a group's stream: the datagrams are the same in whatever pieces the
 * bytes arrive, none is larger than the maximum, and all bytes up to a wrong length belong to one.
 */
#include "base/text.h"
#include "fuzz.h"
#include "groups/stream_frames.h"

/* Small, so that wrong lengths are common. */
#define MAX 300

/* Appends the datagrams that bytes begin with, each with its length. Returns what they take. */
static size_t pick(const uint8_t *bytes, size_t size, unsigned room, struct text *datagrams)
{
	struct iovec vectors[64];
	unsigned count;
	size_t used = stream_pick(bytes, size, MAX, vectors, room, &count);

	CHECK(used <= size && count <= room);
	for (unsigned i = 0; i < count; i++) {
		CHECK(vectors[i].iov_len <= MAX);
		CHECK((const uint8_t *)vectors[i].iov_base + vectors[i].iov_len <= bytes + used);
		text_append(datagrams, &vectors[i].iov_len, sizeof(vectors[i].iov_len));
		text_append(datagrams, vectors[i].iov_base, vectors[i].iov_len);
	}
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text whole = {0}, pieces = {0};
	size_t used = 0, last, taken = 0;
	uint32_t length = 0;

	do
		used += last = pick(data + used, size - used, 64, &whole);
	while (last);
	CHECK(stream_next(data + used, size - used, MAX, &length) != STREAM_WHOLE);
	for (size_t end = 0; end <= size; end++)
		while ((last = pick(data + taken, end - taken, 1, &pieces)))
			taken += last;
	CHECK(taken == used);
	CHECK(whole.length == pieces.length);
	CHECK(!whole.length || !memcmp(whole.data, pieces.data, whole.length));
	text_free(&whole);
	text_free(&pieces);
	return 0;
}
