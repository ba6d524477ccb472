/* Processes that programs leave behind, in whatever session: when their parent ends they become
 * children of the daemon (PR_SET_CHILD_SUBREAPER of prctl(2)), which reaps them, and ends them when
 * it stops. Under systemd, all that is left in the control group ends as well. */
#pragma once

#include <stdbool.h>

/* Becomes the parent of orphans. Where the process was started with children, they and what they
 * leave are not the daemon's to end: then it does nothing, and returns false. */
bool orphans_adopt(void);

/* Reaps those that have ended, of the main thread's children: programs are children of the threads
 * of their handlers. To be called by the main thread, after each SIGCHLD. */
void orphans_reap(void);

/* Ends all children of the process, for the stop of a daemon that has adopted: SIGTERM to their
 * process groups, and SIGKILL after CHILD_GRACE_NS. Waits for their end, but not much longer than
 * that. Returns how many are left. */
unsigned orphans_end(void);
