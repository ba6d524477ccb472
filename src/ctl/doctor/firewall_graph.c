#include "ctl/doctor/firewall_graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

struct jump {
	uint64_t from, to;
};

struct drop {
	uint64_t chain;
	bool is_counted;
	struct firewall_rule rule;
};

struct numbers {
	uint64_t *items;
	size_t count;
};

struct firewall_graph {
	struct numbers bases;
	struct {
		struct jump *items;
		size_t count;
	} jumps;
	struct {
		struct drop *items;
		size_t count;
	} drops;
};

/* One walk from a base chain. */
struct walk {
	const struct firewall_graph *graph;
	struct firewall *firewall;
	size_t base;
	struct numbers open; /* chains to look at */
	struct numbers seen; /* sorted */
};

struct firewall_graph *firewall_graph_new(void)
{
	return calloc(1, sizeof(struct firewall_graph));
}

void firewall_graph_free(struct firewall_graph *graph)
{
	if (!graph)
		return;
	free(graph->bases.items);
	free(graph->jumps.items);
	free(graph->drops.items);
	free(graph);
}

int firewall_graph_add_base(struct firewall_graph *graph, uint64_t chain)
{
	return array_add(&graph->bases, chain);
}

int firewall_graph_add_jump(struct firewall_graph *graph, uint64_t from, uint64_t to)
{
	return array_add(&graph->jumps, (struct jump){from, to});
}

int firewall_graph_add_drop(struct firewall_graph *graph, uint64_t chain, bool is_counted,
	const struct firewall_rule *rule)
{
	return array_add(&graph->drops, (struct drop){chain, is_counted, *rule});
}

/* Jumps and drops both begin with their chain. */
static int compare_chains(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

/* In the order in which they stand in the rule set. */
static int compare_drops(const void *a, const void *b)
{
	const struct drop *left = a, *right = b;
	int r = compare_chains(a, b);

	return r ? r
		 : (left->rule.handle > right->rule.handle) -
			       (left->rule.handle < right->rule.handle);
}

static int take_drops(struct walk *walk, uint64_t chain)
{
	const struct firewall_graph *graph = walk->graph;
	const struct drop *drops = graph->drops.items;
	size_t i = lower_bound(&chain, drops, graph->drops.count, sizeof(*drops), compare_chains);

	for (; i < graph->drops.count && drops[i].chain == chain; i++) {
		struct {
			struct firewall_rule *items;
			size_t count;
		} rules = {walk->firewall->rules, walk->firewall->rule_count};
		struct firewall_rule rule = drops[i].rule;
		int r;

		walk->firewall->chains[walk->base].dropping_rules++;
		if (!drops[i].is_counted)
			continue;
		rule.chain = walk->base;
		r = array_add(&rules, rule);
		if (r < 0)
			return r;
		walk->firewall->rules = rules.items;
		walk->firewall->rule_count = rules.count;
	}
	return 0;
}

static int follow_jumps(struct walk *walk, uint64_t chain)
{
	const struct firewall_graph *graph = walk->graph;
	const struct jump *jumps = graph->jumps.items;
	size_t i = lower_bound(&chain, jumps, graph->jumps.count, sizeof(*jumps), compare_chains);
	int r = 0;

	for (; r >= 0 && i < graph->jumps.count && jumps[i].from == chain; i++)
		r = array_add(&walk->open, jumps[i].to);
	return r;
}

/* Returns 1 when the chain is new, 0 when it was seen before, or -ENOMEM. */
static int see(struct walk *walk, uint64_t chain)
{
	size_t i = lower_bound(
		&chain, walk->seen.items, walk->seen.count, sizeof(chain), compare_chains);

	if (i < walk->seen.count && walk->seen.items[i] == chain)
		return 0;
	if (array_add(&walk->seen, chain) < 0)
		return -ENOMEM;
	memmove(&walk->seen.items[i + 1], &walk->seen.items[i],
		(walk->seen.count - 1 - i) * sizeof(chain));
	walk->seen.items[i] = chain;
	return 1;
}

/* Nothing jumps to a base chain, even if a verdict map may lead anywhere. */
static bool is_other_base(const struct walk *walk, uint64_t chain)
{
	const struct numbers *bases = &walk->graph->bases;

	for (size_t i = 0; i < bases->count; i++)
		if (bases->items[i] == chain)
			return i != walk->base;
	return false;
}

static int walk_from(struct walk *walk, uint64_t base)
{
	int r;

	walk->open.count = walk->seen.count = 0;
	r = array_add(&walk->open, base);
	while (r >= 0 && walk->open.count) {
		uint64_t chain = walk->open.items[--walk->open.count];

		r = is_other_base(walk, chain) ? 0 : see(walk, chain);
		if (r > 0)
			r = take_drops(walk, chain);
		else
			continue;
		if (r >= 0)
			r = follow_jumps(walk, chain);
	}
	return r < 0 ? r : 0;
}

int firewall_graph_resolve(struct firewall_graph *graph, struct firewall *firewall)
{
	struct walk walk = {.graph = graph, .firewall = firewall};
	int r = 0;

	if (graph->jumps.count)
		qsort(graph->jumps.items, graph->jumps.count, sizeof(*graph->jumps.items),
			compare_chains);
	if (graph->drops.count)
		qsort(graph->drops.items, graph->drops.count, sizeof(*graph->drops.items),
			compare_drops);
	for (; r >= 0 && walk.base < graph->bases.count; walk.base++)
		r = walk_from(&walk, graph->bases.items[walk.base]);
	free(walk.open.items);
	free(walk.seen.items);
	return r;
}
