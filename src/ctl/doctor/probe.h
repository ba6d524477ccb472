/* Where nothing comes as it is asked for: sockets of our own that take the group from any sender,
 * on every interface, for a moment. They show, also without the privilege to look at the wire, that
 * it comes in elsewhere or from others. */
#pragma once

#include "ctl/doctor/own_sockets.h"

struct probe {
	struct own_sockets sockets;
	struct subjects subjects; /* what they receive */
};

void probe_clear(struct probe *probe);

/* Joins a group. Returns 0 or -ENOMEM; where it cannot be joined, nothing is seen. */
int probe_join(struct probe *probe, const struct subject_group *group,
	const struct interface_list *interfaces, const struct joined *joined);

/* What came for a group on an interface; NULL: nothing. */
const struct subject *probe_seen(
	const struct probe *probe, const struct subject_group *group, const char *interface);

/* The same on the interface, other than this one, on which most came. */
const struct subject *probe_elsewhere(
	const struct probe *probe, const struct subject_group *group, const char *interface);
