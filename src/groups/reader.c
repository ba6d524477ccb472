#include "groups/reader.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* Counts datagrams that the program missed. */
static void miss(struct reader *reader, unsigned count)
{
	*reader->unread += count;
	reader->channel->gap += count;
}

/* The same, because it does not read. */
static void miss_unread(struct reader *reader, unsigned count)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE);

	miss(reader, count);
	if (!reader->full_since_ns)
		reader->full_since_ns = now;
	if (reader->is_stalled || now - reader->full_since_ns < READER_STALL_S * NS_PER_S)
		return;
	reader->is_stalled = true;
	reader->stalled(reader);
}

/* Whether a program that has missed something is to miss more, until it has read half of what is
 * queued: otherwise nearly every datagram would come with a gap of its own. */
static bool is_behind(const struct reader *reader)
{
	int waiting = 0;

	return ioctl(reader->channel->fd, SIOCOUTQ, &waiting) == 0 && waiting > READER_BUFFER;
}

/* Picks what is to be written. Returns how many datagrams. */
static unsigned fill(const struct reader *reader, const struct batch *batch, struct iovec *payloads)
{
	unsigned count = 0;

	for (unsigned i = 0; i < batch->count; i++) {
		const struct datagram *datagram = &batch->datagrams[i];

		if (!datagram->size && reader->empty_skipped)
			++*reader->empty_skipped;
		else
			payloads[count++] = (struct iovec){
				(void *)datagram->payload, datagram->size};
	}
	return count;
}

/* A program that does not read only loses its own datagrams. The reading side of its connection
 * notices when it has closed the socket. One that has only shut down its reading half misses
 * nothing. */
static void deliver(struct outlet *outlet, const struct batch *batch)
{
	struct reader *reader = container_of(outlet, struct reader, outlet);
	struct channel *channel = reader->channel;
	struct iovec payloads[BATCH_MAX];
	unsigned count = fill(reader, batch, payloads), sent;

	if (!count || channel->reads_no_more)
		return;
	if (!user_may_deliver(reader->user)) {
		miss(reader, count);
		return;
	}
	if (channel->gap && is_behind(reader)) {
		miss_unread(reader, count);
		return;
	}
	sent = channel->kind->write(channel, payloads, count);
	if (sent)
		reader->full_since_ns = 0;
	if (sent < count && !channel->reads_no_more)
		miss_unread(reader, count - sent);
	if (channel->out.size)
		reader->unfinished(reader);
	user_delivered(reader->user);
}

void reader_init(struct reader *reader, struct channel *channel)
{
	reader->outlet.deliver = deliver;
	reader->outlet.needs = NEED_PROMPT;
	reader->channel = channel;
}
