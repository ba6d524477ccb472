#include "data/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

static int test_init(struct filter_test *test, const struct config_test *config)
{
	struct text prefix = {0};
	char why[WHY_MAX];

	test->is_given = config_test_is_given(config);
	if (config->prefix)
		config_filter_prefix(config->prefix, &prefix);
	test->prefix = (uint8_t *)prefix.data;
	test->prefix_size = prefix.length;
	test->matches = calloc(config->match.count + 1, sizeof(*test->matches));
	if (text_failed(&prefix) || !test->matches)
		return -ENOMEM;
	for (size_t i = 0; i < config->match.count; i++)
		if (match_parse(config->match.items[i], &test->matches[i], why) >= 0)
			test->match_count = i + 1;
	return 0;
}

static void test_clear(struct filter_test *test)
{
	free(test->prefix);
	free(test->matches);
}

int filter_init(struct filter *filter, const struct config_filter *config)
{
	*filter = (struct filter){0};
	if (schema_copy(&filter_schema, &filter->wanted, config) < 0 ||
		test_init(&filter->is, &config->is) < 0 ||
		test_init(&filter->is_not, &config->is_not) < 0) {
		filter_clear(filter);
		return -ENOMEM;
	}
	filter->is_open = !filter->is.is_given && !filter->is_not.is_given &&
			  !config->rate_interval_ns && config->sample <= 1;
	return 0;
}

void filter_clear(struct filter *filter)
{
	schema_clear(&filter_schema, &filter->wanted);
	test_clear(&filter->is);
	test_clear(&filter->is_not);
	*filter = (struct filter){0};
}

static bool reads_sources(const struct config_test *test)
{
	return test->sources.count || test->block_sources.count;
}

unsigned filter_needs(const struct filter *filter)
{
	return reads_sources(&filter->wanted.is) || reads_sources(&filter->wanted.is_not)
		       ? NEED_SOURCE
		       : 0;
}

static bool any_contains(const struct prefix_list *list, const struct address *address)
{
	for (size_t i = 0; i < list->count; i++)
		if (prefix_contains(&list->items[i], address))
			return true;
	return false;
}

static bool source_holds(const struct config_test *wanted, const struct datagram *datagram)
{
	struct address source;

	if (!reads_sources(wanted))
		return true;
	source = endpoint_address(&datagram->source);
	if (wanted->sources.count && !any_contains(&wanted->sources, &source))
		return false;
	return !any_contains(&wanted->block_sources, &source);
}

static bool matches_hold(const struct filter_test *test, const struct datagram *datagram)
{
	for (size_t i = 0; i < test->match_count; i++)
		if (!match_holds(&test->matches[i], datagram->payload, datagram->size))
			return false;
	return true;
}

static bool test_holds(const struct filter_test *test, const struct config_test *wanted,
	const struct datagram *datagram)
{
	return datagram->size >= wanted->min_size && datagram->size <= wanted->max_size &&
	       datagram->size >= test->prefix_size &&
	       (!test->prefix_size ||
		       !memcmp(datagram->payload, test->prefix, test->prefix_size)) &&
	       source_holds(wanted, datagram) && matches_hold(test, datagram);
}

static bool datagram_passes(const struct filter *filter, const struct datagram *datagram)
{
	return test_holds(&filter->is, &filter->wanted.is, datagram) &&
	       (!filter->is_not.is_given ||
		       !test_holds(&filter->is_not, &filter->wanted.is_not, datagram));
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
