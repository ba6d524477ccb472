/* A unit of systemd, and running a program as systemd would start it for that unit: as its user,
 * with its directories, limits and capabilities, in its sandbox. systemd itself prepares all of it,
 * for a unit of its own that has the [Service] sections of the unit and of its drop-ins, and
 * another program. It is asked by systemctl(1). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/errors.h"
#include "base/text.h"

#define UNIT_NAME_MAX 255 /* systemd.unit(5) */

struct unit {
	char name[UNIT_NAME_MAX + 1];
	char *load_state; /* "loaded", "masked" and so on, see systemctl(1) */
	char *fragment; /* the path of its file */
	char *drop_ins; /* their paths, with spaces between them */
	char *program; /* the path of what it starts */
	char *command; /* its words, with spaces between them */
	char *user; /* "" for root */
	char *listen; /* of a socket unit: "/run/mcastd.sock (Stream)"; else "" */
	pid_t main_pid; /* 0: it does not run */
	bool is_active; /* started, or, of a socket unit, listening */
	bool needs_reload; /* systemd has not read the files as they are now */
};

/* Whether systemd runs here (sd_booted(3)). */
bool systemd_runs(void);

/* Whether it has started this process as that of a unit (systemd.exec(5), $SYSTEMD_EXEC_PID). */
bool systemd_started_this(void);

/* Returns 0; -ENOENT when systemd does not run here or there is no such unit; or another negative
 * errno. */
int unit_read(const char *name, struct unit *ret);
void unit_clear(struct unit *unit);

/* Appends what LoadCredential= of the unit names and is not there, as the end of a sentence:
 * without one of these files systemd does not start it. Those of a relative path may be missing. */
void unit_append_missing(const struct unit *unit, struct text *text);

/* Appends "NAME=VALUE" as a word for a unit file, whatever is in value, and a space. */
void unit_append_variable(struct text *text, const char *name, const char *value);

/* Runs the unit's program with other arguments, words for a unit file (systemd.service(5)), and
 * variables added to its environment, such words as well. What it writes is appended to output
 * and errors. Needs root. The unit's runtime, state, cache and log directories are made, as for a
 * start. SIGINT, SIGTERM and SIGQUIT end this process when all that it made is removed, but those
 * directories. Returns 0 with its exit status, or a negative errno with the reason in why: what
 * systemd says. */
int sandbox_run(const struct unit *unit, const char *arguments, const char *variables,
	struct text *output, struct text *errors, int *ret_status, char why[static WHY_MAX]);

#define AUTO_UNIT CLEANUP(unit_clear)
