/* /status.json: what the status page reads once a second.
 *
 * A document is made at most once a second, and whoever asks meanwhile reads the same one. It is
 * made in pieces, when the first of its readers needs the next: nobody waits for a slow one, and
 * no timer is needed. A document lives until its last reader is done, so there are no more of them
 * than connections. */
#pragma once

struct status;

/* Returns NULL without memory. */
struct status *status_new(void);

/* When there are no readers any more. Accepts NULL. */
void status_free(struct status *status);

/* Frees what was made for later readers: the server listens nowhere. */
void status_forget(struct status *status);
