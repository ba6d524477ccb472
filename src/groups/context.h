/* What all groups share: the surroundings that they live in. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "data/counters.h"
#include "groups/arena.h"
#include "groups/pause.h"
#include "groups/senders.h"
#include "net/interface.h"
#include "net/joined.h"
#include "service/store.h"

struct event_base;

#define STORED_PREFIX "membership-"

/* What was found of an earlier run. */
struct taken_back {
	unsigned sockets;
	uint64_t kernel_dropped; /* datagrams since somebody last looked */
	uint64_t lost; /* datagrams at sockets that nobody wants any more */
};

struct group_context {
	struct event_base *base;
	struct arena *arena;
	struct senders *senders;
	struct pause *pause;
	struct counters *counters;
	struct store *store; /* where sockets wait for the next run of the daemon */
	/* What the kernel has joined, and the interfaces, while memberships are compared with them.
	 */
	const struct joined *joined;
	const struct interface_list *interfaces;
	struct taken_back *taken_back;
	bool stopping; /* sockets that are stored stay joined */
};
