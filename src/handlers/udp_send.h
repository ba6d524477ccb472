/* Sending a batch on to one address. */
#pragma once

#include "base/log.h"
#include "data/account.h"
#include "data/datagram.h"
#include "net/udp_out.h"

struct udp_output {
	struct udp_out out;
	union endpoint to;
	socklen_t to_length;
	struct log_limit limit;
};

/* Sends datagrams; what is refused is counted, and the rest still sent. count is at most BATCH_MAX.
 */
void udp_output_send(struct udp_output *output, const struct datagram *datagrams, unsigned count,
	struct outcome *outcome);
