#include "handlers/udp_send.h"

#include <errno.h>
#include <string.h>

static enum drop_reason reason(int r)
{
	return r == -EAGAIN || r == -ENOBUFS ? DROP_BUSY : r == -EMSGSIZE ? DROP_SIZE : DROP_IO;
}

/* Returns how many datagrams the error is about: where the network is busy, all that are left. */
static unsigned count_refused(
	struct udp_output *output, int r, unsigned left, struct outcome *outcome)
{
	unsigned count = reason(r) == DROP_BUSY ? left : 1;

	outcome->dropped[reason(r)] += count;
	if (reason(r) == DROP_IO && log_limit_pass(&output->limit))
		log_warning("udp handler: sending: %s", strerror(-r));
	return count;
}

void udp_output_send(struct udp_output *output, const struct datagram *datagrams, unsigned count,
	struct outcome *outcome)
{
	struct iovec vectors[BATCH_MAX];

	for (unsigned i = 0; i < count; i++)
		vectors[i] = (struct iovec){(void *)datagrams[i].payload, datagrams[i].size};
	for (unsigned i = 0; i < count;) {
		int r = udp_out_send(
			&output->out, &output->to, output->to_length, vectors + i, count - i);

		if (r > 0)
			outcome->delivered += (unsigned)r;
		i += r > 0 ? (unsigned)r : count_refused(output, r, count - i, outcome);
	}
}
