/* What the kernel has dropped for its source address: no way leads back there by the interface that
 * it came in by (rp_filter, ip-sysctl; RFC 3704). It counts for all of the network namespace. */
#pragma once

#include <stdint.h>

/* IPReversePathFilter in a text of /proc/net/netstat: a line of names for each protocol, and one of
 * values. Returns 0, or -ENODATA when it is not there. */
int rp_filter_parse(const char *text, uint64_t *ret);

/* The number of packets until now. Takes much less than a millisecond. Returns 0 or a negative
 * errno. */
int rp_filter_dropped(uint64_t *ret);
