/* Who the daemon runs as, when it was started as root by hand: "user" and "group" of the
 * configuration. Under systemd that is the unit's business (User=).
 *
 * Files are opened as that user from the beginning, as they will have to be later, too. Only the
 * first joining is done as root: ports under 1024 and large buffers need it. After that there is no
 * way back. */
#pragma once

#include "config/config.h"

/* Becomes the user, but so that identity_raise() can undo it; makes the directories of the group
 * sockets before. Does nothing where no user is configured, or where the daemon was not started by
 * root. Returns 0, or a negative errno with the reason in why. */
int identity_enter(const struct config *config, char why[static WHY_MAX]);

/* Root again and the user again, for the calling thread alone. Do nothing but between
 * identity_enter() and identity_drop(). */
void identity_raise(void);
void identity_lower(void);

/* The user for good. Returns 0 or a negative errno, with which the daemon must not go on. */
int identity_drop(void);
