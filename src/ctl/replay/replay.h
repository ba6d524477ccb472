/* mcastctl replay: sends what a capture has, at the distances at which it was captured. */
#pragma once

#include "ctl/command.h"

struct replay_settings {
	const char *path; /* "-": standard input */
	const char *word; /* the group or TARGET; NULL: each datagram has its own */
	const char *speed; /* NULL: that of the recording */
	bool loop, progress;
	const struct option_value *ttl, *only, *source, *from, *to, *map;
};

/* Returns an exit code. */
int replay_run(struct session *session, const struct replay_settings *settings);
