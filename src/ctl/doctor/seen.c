#include "ctl/doctor/seen.h"

#include <stdlib.h>
#include <string.h>

void seen_add_port(struct wire_seen *seen, uint16_t port)
{
	size_t i = 0;

	while (i < seen->other_port_count && seen->other_ports[i] < port)
		i++;
	if ((i < seen->other_port_count && seen->other_ports[i] == port) ||
		seen->other_port_count == WIRE_PORTS_MAX)
		return;
	memmove(&seen->other_ports[i + 1], &seen->other_ports[i],
		(seen->other_port_count - i) * sizeof(*seen->other_ports));
	seen->other_ports[i] = port;
	seen->other_port_count++;
}

/* Returns a new one; or NULL where there are as many as are kept, or no memory. */
static struct wire_sender *new_sender(struct wire_seen *seen)
{
	size_t count = seen->sender_count;
	bool is_full = !(count & (count - 1)); /* the room is a power of two */
	struct wire_sender *senders = seen->senders;

	if (count == WIRE_SENDERS_MAX)
		return NULL;
	if (is_full)
		senders = realloc(senders, (count ? 2 * count : 1) * sizeof(*senders));
	if (!senders)
		return NULL;
	seen->senders = senders;
	seen->sender_count++;
	return &senders[count];
}

void seen_add_sender(struct wire_seen *seen, const struct frame *frame)
{
	struct wire_sender *sender = NULL;

	for (size_t i = 0; i < seen->sender_count && !sender; i++)
		if (seen->senders[i].port == frame->source_port &&
			address_equal(&seen->senders[i].address, &frame->source))
			sender = &seen->senders[i];
	if (!sender) {
		sender = new_sender(seen);
		if (!sender)
			return;
		*sender = (struct wire_sender){
			.address = frame->source, .port = frame->source_port, .ttl = frame->ttl};
	}
	sender->datagrams++;
	if (frame->ttl < sender->ttl)
		sender->ttl = frame->ttl;
}

void seen_add_ttl(struct wire_seen *seen, uint8_t ttl)
{
	if (!seen->ttl_max || ttl < seen->ttl_min)
		seen->ttl_min = ttl;
	if (ttl > seen->ttl_max)
		seen->ttl_max = ttl;
}
