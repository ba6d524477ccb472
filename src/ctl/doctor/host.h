/* What this host tells of itself, before and after the look: its counters, interfaces, sockets,
 * memberships and firewall. Read once, whatever the number of groups. */
#pragma once

#include "ctl/doctor/firewall.h"
#include "ctl/doctor/kernel_counters.h"
#include "ctl/doctor/link.h"
#include "ctl/doctor/subject.h"
#include "ctl/doctor/udp_sockets.h"
#include "net/interface.h"
#include "net/joined.h"

struct host_link {
	char name[SUBJECT_INTERFACE_MAX]; /* as the subject has it, also where there is none */
	struct link before, after;
	int rp_filter_all;
};

/* By how much a socket's drops grew. */
struct host {
	struct interface_list interfaces;
	struct joined joined; /* before */
	struct kernel_counters before, after;
	struct udp_sockets sockets_before, sockets;
	struct firewall firewall_before, firewall;
	struct {
		struct host_link *items; /* of the subjects, each once */
		size_t count;
	} links;
};

void host_clear(struct host *host);

/* All return 0 or a negative errno. host_read_before() is to be called before the daemon's counters
 * are read, and host_read_after() after that: what a membership has lost is then in the host's
 * counters, too. The interfaces of the subjects are read in between. */
int host_read_before(struct host *host);
int host_read_links(struct host *host, const struct subjects *subjects);
int host_read_after(struct host *host);

/* NULL: it was not there. */
const struct host_link *host_link(const struct host *host, const char *name);

/* A socket as it was before; NULL: it was not there. */
const struct udp_socket *host_socket_before(const struct host *host, uint64_t inode);

/* The drops at all sockets since before, but at those of an address and port. */
uint64_t host_other_drops(const struct host *host, const struct address *address, uint16_t port);

#define AUTO_HOST CLEANUP(host_clear)
