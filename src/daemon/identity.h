/* The user to run as if root starts the daemon by hand: "user" and "group" of the configuration.
 * Under systemd the unit sets it (User=).
 *
 * Files are opened as that user from the beginning, as after a reload. Only the first joining is
 * done as root: ports under 1024 and large buffers need it. After that, root's privileges are
 * dropped for good. */
#pragma once

#include "config/config.h"

/* Creates the directories of the group sockets, and switches to the user, so that identity_raise()
 * can still undo it. Does nothing if no user is configured, or if the daemon was not started by
 * root. Returns 0, or a negative errno with the reason in why. */
int identity_enter(const struct config *config, char why[static WHY_MAX]);

/* Switch to root and back, for the calling thread only; do nothing after identity_drop(). */
void identity_raise(void);
void identity_lower(void);

/* Drops root's privileges for good. Returns 0, or a negative errno: the daemon must not continue.
 */
int identity_drop(void);

/* Whether the calling thread has a capability (capabilities(7)), one of the first 32. */
bool identity_has(unsigned capability);

/* Drops CAP_NET_RAW for good, and for the programs that handlers start: from the effective, the
 * permitted and the inheritable set, and so from the ambient one; and from the bounding set where
 * that is permitted. Of root it drops nothing: identity_drop() does, and root without "user" stays
 * root. To be called before there are threads. Returns 0 or a negative errno. */
int identity_drop_net_raw(void);
