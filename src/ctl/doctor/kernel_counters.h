/* The kernel's counters of this network namespace, as /proc/net/snmp, /proc/net/netstat and
 * /proc/net/snmp6 have them. They are of the whole host: alone, none of them proves what became of
 * one group. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct kernel_counter {
	char name[48]; /* "Udp.RcvbufErrors", "TcpExt.IPReversePathFilter", "Udp6InErrors" */
	uint64_t value;
};

struct kernel_counters {
	struct kernel_counter *items; /* sorted by name */
	size_t count;
};

/* Adds what a text of two lines for each protocol has ("Udp: InDatagrams ...\nUdp: 12 ..."), as in
 * snmp and netstat; what a text of "name value" lines has, as in snmp6. Lines that are neither are
 * left out. Return 0 or -ENOMEM. */
int kernel_counters_parse(struct kernel_counters *counters, const char *text);
int kernel_counters_parse6(struct kernel_counters *counters, const char *text);

/* Reads all three files, which may be missing. To be freed with kernel_counters_clear(). Returns 0
 * or a negative errno. */
int kernel_counters_read(struct kernel_counters *ret);
void kernel_counters_clear(struct kernel_counters *counters);

/* By how much a counter has grown; 0 where one of them does not have it, or it has shrunk.
 * kernel_counters_growth_of() sums up all whose names begin so. */
uint64_t kernel_counters_growth_of(const struct kernel_counters *before,
	const struct kernel_counters *after, const char *prefix);
uint64_t kernel_counters_growth(const struct kernel_counters *before,
	const struct kernel_counters *after, const char *name);
