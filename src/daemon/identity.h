/* The user to run as if root starts the daemon by hand: "user" and "group" of the configuration.
 * Under systemd the unit sets it (User=).
 *
 * The daemon becomes that user before it makes or opens a file. Only two things are done with
 * privileges of root after that: the first joining, which needs some capabilities for ports under
 * 1024 and large buffers; and the control socket and run_directory, where the user may not write to
 * the directory that they are in, and nobody but root can change it (only_root.h). After the first
 * joining, root's privileges are dropped for good. */
#pragma once

#include "config/config.h"

/* Becomes the configured user, so that the functions below can still use root's privileges, and
 * makes run_directory. Does nothing if no user is configured, or if the daemon was not started by
 * root. To be called before there are threads. Returns 0, or a negative errno with a line in
 * errors, with the place of the key that decides it. */
int identity_enter(const struct config *config, struct errors *errors);

/* Says in the log that the daemon stays root, where it does, and what to write into the file of its
 * configuration for another user. */
void identity_tell_root(const struct config *config, const char *path);

/* Gives the calling thread the capabilities that joining needs; does nothing after identity_drop().
 */
void identity_raise(void);

/* Becomes root, where the user may not write to the directory of a path, for making the file there.
 * Does nothing after identity_drop(). To be called before there are threads. Returns 0, or a
 * negative errno with the reason in why: somebody else could change that directory. */
int identity_raise_for(const char *path, char why[static WHY_MAX]);

/* Undoes identity_raise() and identity_raise_for(). */
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
