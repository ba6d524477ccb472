/* Which rules the base chains of nf_tables lead to. Pure. Chains are known by a hash of their
 * family, table and name. */
#pragma once

#include <stdint.h>

#include "ctl/doctor/firewall.h"

struct firewall_graph *firewall_graph_new(void);
void firewall_graph_free(struct firewall_graph *graph);

/* A base chain: the next of firewall->chains. Return 0 or -ENOMEM. */
int firewall_graph_add_base(struct firewall_graph *graph, uint64_t chain);

/* A rule that goes on in another chain. */
int firewall_graph_add_jump(struct firewall_graph *graph, uint64_t from, uint64_t to);

/* A rule that drops, in a chain. Its base chain is not known yet. */
int firewall_graph_add_drop(struct firewall_graph *graph, uint64_t chain, bool is_counted,
	const struct firewall_rule *rule);

/* Adds to the firewall what each of its base chains leads to. */
int firewall_graph_resolve(struct firewall_graph *graph, struct firewall *firewall);
