/* Sockets that the kernel does not let the daemon read, as a seccomp filter or a security module
 * forbids it: they stay readable, and the loop would try again and again. */
#pragma once

#include <stdbool.h>

#include "base/errors.h"

/* After a read that failed with r, a negative errno: whether others fail, too. The error of a
 * datagram, or of the interface, is cleared by the call that returns it. */
bool read_is_refused(int fd, int r);

/* Why nothing is read, and what repairs it. */
void read_refusal_explain(int r, char why[static WHY_MAX]);
