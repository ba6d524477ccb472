#include "data/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

static bool passes_all(const struct config_filter *wanted)
{
	return !wanted->sources.count && !wanted->block_sources.count && wanted->min_size == 0 &&
	       wanted->max_size >= DATAGRAM_MAX && !wanted->prefix && !wanted->rate_interval_ns &&
	       wanted->sample <= 1;
}

int filter_init(struct filter *filter, const struct config_filter *config)
{
	struct text prefix = {0};

	*filter = (struct filter){0};
	if (schema_copy(&filter_schema, &filter->wanted, config) < 0) {
		filter_clear(filter);
		return -ENOMEM;
	}
	if (config->prefix)
		config_filter_prefix(config->prefix, &prefix);
	filter->prefix = (uint8_t *)prefix.data;
	filter->prefix_size = prefix.length;
	filter->is_open = passes_all(config);
	return text_failed(&prefix) ? -ENOMEM : 0;
}

void filter_clear(struct filter *filter)
{
	schema_clear(&filter_schema, &filter->wanted);
	free(filter->prefix);
	*filter = (struct filter){0};
}

unsigned filter_needs(const struct filter *filter)
{
	return filter->wanted.sources.count || filter->wanted.block_sources.count ? NEED_SOURCE : 0;
}

static bool any_contains(const struct prefix_list *list, const struct address *address)
{
	for (size_t i = 0; i < list->count; i++)
		if (prefix_contains(&list->items[i], address))
			return true;
	return false;
}

static bool source_passes(const struct config_filter *wanted, const struct datagram *datagram)
{
	struct address source;

	if (!wanted->sources.count && !wanted->block_sources.count)
		return true;
	source = endpoint_address(&datagram->source);
	if (wanted->sources.count && !any_contains(&wanted->sources, &source))
		return false;
	return !any_contains(&wanted->block_sources, &source);
}

static bool datagram_passes(const struct filter *filter, const struct datagram *datagram)
{
	const struct config_filter *wanted = &filter->wanted;

	return datagram->size >= wanted->min_size && datagram->size <= wanted->max_size &&
	       datagram->size >= filter->prefix_size &&
	       (!filter->prefix_size ||
		       !memcmp(datagram->payload, filter->prefix, filter->prefix_size)) &&
	       source_passes(wanted, datagram);
}

/* The first of every n datagrams. */
static bool is_sample(struct filter *filter)
{
	return filter->wanted.sample <= 1 ||
	       filter->counted++ % (uint64_t)filter->wanted.sample == 0;
}

/* Some centuries: adding a time to it does not overflow. */
#define TOLERANCE_MAX_NS (1ull << 62)

/* The generic cell rate algorithm (ITU-T I.371). */
static bool is_within_rate(struct filter *filter, uint64_t now_ns)
{
	uint64_t interval = filter->wanted.rate_interval_ns, tolerance;

	if (!interval)
		return true;
	if (!filter->wanted.burst)
		tolerance = interval > NS_PER_S ? interval : NS_PER_S;
	else if (__builtin_mul_overflow((uint64_t)filter->wanted.burst, interval, &tolerance) ||
		 tolerance > TOLERANCE_MAX_NS)
		tolerance = TOLERANCE_MAX_NS;
	if (filter->ahead_ns < now_ns)
		filter->ahead_ns = now_ns;
	if (filter->ahead_ns + interval > now_ns + tolerance)
		return false;
	filter->ahead_ns += interval;
	return true;
}

unsigned filter_apply(struct filter *filter, const struct batch *batch, uint64_t now_ns,
	struct datagram *passed, struct filtered *ret_rejected)
{
	struct filtered rejected = {0};
	unsigned count = 0;

	for (unsigned i = 0; i < batch->count; i++) {
		const struct datagram *datagram = &batch->datagrams[i];

		if (!datagram_passes(filter, datagram) || !is_sample(filter))
			rejected.filtered++;
		else if (!is_within_rate(filter, now_ns))
			rejected.over_rate++;
		else
			passed[count++] = *datagram;
	}
	*ret_rejected = rejected;
	return count;
}
