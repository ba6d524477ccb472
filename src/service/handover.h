/* Descriptors that systemd hands over: sockets that it listens on for the daemon
 * (sd_listen_fds(3)). */
#pragma once

#include <stddef.h>

struct handover;

/* Takes all that was handed over; nothing outside of systemd. Returns 0 or a negative errno. */
int handover_take(struct handover **ret);

/* The descriptor of that name, which is the caller's then; -ENOENT when there is none. */
int handover_claim(struct handover *handover, const char *name);

/* The next descriptor that nobody has claimed and whose name begins with prefix, which is the
 * caller's then; -ENOENT when there is none. *ret_name is valid until handover_free(). */
int handover_claim_next(struct handover *handover, const char *prefix, const char **ret_name);

/* Closes what nobody claimed. Accepts NULL. */
void handover_free(struct handover *handover);
