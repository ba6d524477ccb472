/* Why this process cannot use a path, and what to write instead. In a unit of systemd, its sandbox
 * is what is in the way most often, whatever errno says: a /tmp of its own lacks what is in the
 * host's (ENOENT), nobody enters a protected home directory (EACCES), and a directory that is
 * missing would be read-only if it were there. */
#pragma once

#include "base/errors.h"

/* What a path is for. */
enum path_use {
	PATH_RECORDING, /* a file that the daemon writes */
	PATH_LISTENING, /* a socket that it makes, or a directory of these */
	PATH_CONNECTING, /* a socket of another program's */
	PATH_SECRET, /* a file for a broker */
	PATH_PROGRAM,
	PATH_CONFIGURATION,
};

/* Room for a fix. */
#define PATH_FIX_MAX WHY_MAX

/* Writes "; WHAT TO DO" for a path with which a call has failed with this negative errno; "" where
 * there is nothing to say beyond the error. Reads files of /proc. Returns fix. */
const char *path_fix(int r, const char *path, enum path_use use, char fix[static PATH_FIX_MAX]);

/* The same where the unit's sandbox hides the path; else "". */
const char *path_covered_fix(
	int r, const char *path, enum path_use use, char fix[static PATH_FIX_MAX]);

/* Whether this process alone sees what is at the path: it has a /tmp or /var/tmp of its own
 * (PrivateTmp=). Then why has the reason and what to write instead. */
bool path_is_private(const char *path, enum path_use use, char why[static WHY_MAX]);
