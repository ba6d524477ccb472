/* What all groups share: the surroundings that they live in. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "data/counters.h"
#include "groups/arena.h"
#include "groups/pause.h"
#include "groups/senders.h"
#include "net/interface.h"
#include "net/joined.h"

struct event_base;

/* Keeps sockets for the next run of the daemon, so that what arrives in between is not lost:
 * systemd's file descriptor store. All functions are NULL where there is none. */
struct socket_keeper {
	/* The socket that an earlier run has put by under this name, which is the caller's then; or
	 * -ENOENT. */
	int (*claim)(void *owner, const char *name);
	/* The next one whose name begins with prefix, or -ENOENT. */
	int (*claim_next)(void *owner, const char *prefix, char *ret_name, size_t size);
	/* Puts a copy by. Returns whether it did. */
	bool (*put)(void *owner, const char *name, int fd);
	/* Gives the copies of that name up. */
	void (*remove)(void *owner, const char *name);
	void *owner;
};

#define KEEPER_PREFIX "membership-"
#define KEEPER_NAME_MAX 48

static inline int keeper_claim(const struct socket_keeper *keeper, const char *name)
{
	return keeper->claim ? keeper->claim(keeper->owner, name) : -ENOENT;
}

static inline int keeper_claim_next(const struct socket_keeper *keeper, const char *prefix,
	char ret_name[static KEEPER_NAME_MAX])
{
	return keeper->claim_next
		       ? keeper->claim_next(keeper->owner, prefix, ret_name, KEEPER_NAME_MAX)
		       : -ENOENT;
}

static inline bool keeper_put(const struct socket_keeper *keeper, const char *name, int fd)
{
	return keeper->put && keeper->put(keeper->owner, name, fd);
}

static inline void keeper_remove(const struct socket_keeper *keeper, const char *name)
{
	if (keeper->remove)
		keeper->remove(keeper->owner, name);
}

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
	struct socket_keeper keeper;
	/* What the kernel has joined, and the interfaces, while memberships are compared with them.
	 */
	const struct joined *joined;
	const struct interface_list *interfaces;
	struct taken_back *taken_back;
	bool stopping; /* sockets that the keeper has are left as they are */
};
