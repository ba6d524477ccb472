/* Sending a batch on to one address, in as few system calls as the network device allows. */
#pragma once

#include "base/log.h"
#include "data/account.h"
#include "data/datagram.h"

struct udp_output {
	int fd;
	union endpoint to;
	socklen_t to_length;
	bool unsegmented; /* UDP_SEGMENT was refused: it is not tried again */
	struct log_limit limit;
};

/* Sends datagrams; what is refused is counted, and the rest still sent. count is at most BATCH_MAX. */
void udp_output_send(struct udp_output *output, const struct datagram *datagrams, unsigned count,
	struct outcome *outcome);
