/* What the words of send, replay and tail mean. A word that begins with an IP address, or has a
 * port behind a colon, is a TARGET (net/target.h), which needs no daemon, unless the daemon has a
 * group of exactly that name, as those of Join have. Any other word is the name of a group. */
#pragma once

#include "ctl/command.h"
#include "net/target.h"

struct targets {
	struct target *items;
	size_t count; /* 0: the words are groups of the daemon */
};

/* Reads the words, which are all of one kind. A daemon that does not run has no groups, but one
 * whose socket is given with -s must run. Returns an exit code. */
int targets_read(
	struct session *session, const char *const *words, size_t count, struct targets *ret);
void targets_clear(struct targets *targets);

/* Reads one TARGET. Returns an exit code; only EXIT_DONE writes *ret. */
int target_read(const struct session *session, const char *word, struct target *ret);

/* Gives a target that names no interface the one of the option --interface, a list. Returns an exit
 * code. */
int target_take_interface(
	const struct session *session, struct target *target, const struct option_value *option);

/* Adds the sources that options name. Returns an exit code. */
int target_take_sources(const struct session *session, struct target *target,
	const char *const *sources, size_t count);

/* The words of a command line, and in them the names that commas separate. */
struct names {
	char **items;
	size_t count;
};

/* Splits words such as "news,alerts". No name has a comma; behind a TARGET, what is none itself
 * belongs to it, as ",source=ADDRESS" does. Returns an exit code; *ret must be empty before, and be
 * cleared after, also on failure. */
int names_split(
	const struct session *session, const char *const *words, size_t count, struct names *ret);
void names_clear(struct names *names);

#define AUTO_NAMES CLEANUP(names_clear)
#define AUTO_TARGETS CLEANUP(targets_clear)
