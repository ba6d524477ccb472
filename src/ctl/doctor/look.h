/* The look itself: what was there before, some seconds of listening on the wire, at our own sockets
 * and to the daemon's counters, and what is there afterwards. */
#pragma once

#include "ctl/doctor/doctor.h"
#include "ctl/doctor/daemon.h"
#include "ctl/doctor/host.h"
#include "ctl/doctor/probe.h"
#include "ctl/doctor/sending.h"
#include "ctl/doctor/wire.h"

struct look {
	struct session *session;
	const struct doctor_options *options;
	int interrupt_fd;
	struct subjects subjects;
	struct daemon daemon;
	struct own_sockets sockets;
	struct probe probe;
	struct host host;
	struct wire *wire; /* NULL: we may not look */
	struct handler_counts handlers_before, handlers;
	uint64_t listened_ns;
	struct sending sending; /* of the one group that is meant */
};

/* host was read before; then subjects and daemon, where it is of the daemon; or target is given.
 * Returns an exit code. */
int look_run(struct look *look, const struct target *target);
void look_clear(struct look *look);

#define AUTO_LOOK CLEANUP(look_clear)
