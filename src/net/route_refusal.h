/* Routes by which the kernel refuses to send: blackhole, prohibit and unreachable (ip-route(8)). */
#pragma once

#include "base/errors.h"
#include "net/address.h"

/* Whether r is an error that such a route causes; others may cause it, too. */
bool route_may_refuse(int r);

/* Explains an error of a send by the kernel's route, after asking for the route to the address now.
 * Returns r with the reason in why; or 0 where that is not the cause, and why stays as it is. */
int route_explain_refusal(const struct address *to, int r, char why[static WHY_MAX]);
