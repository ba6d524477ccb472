/* What groups.c and plan.c share, and nobody else. */
#pragma once

#include "groups/groups.h"
#include "groups/set.h"

struct groups {
	struct group_context context;
	struct group_set set;
	struct taken_back taken_back;
	bool is_settled; /* what an earlier run has left is taken back or given up */
	struct tap *taps;
	size_t short_buffers; /* memberships that got a smaller buffer than they want, when last
				 counted */
};

/* Attaches the taps that want a group to it. */
void groups_attach_taps(struct groups *groups, struct group *group);
