/* Checks of filters: what no datagram passes, and what each passes, is a mistake. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/text.h"
#include "base/words.h"
#include "config/config.h"
#include "config/match.h"

int config_filter_prefix(const char *prefix, struct text *bytes)
{
	if (strncmp(prefix, "0x", 2)) {
		text_append_string(bytes, prefix);
		return 0;
	}
	return text_append_hex_decoded(bytes, prefix + 2, strlen(prefix + 2));
}

/* A test that is being checked. */
struct test_check {
	const struct config_test *test;
	const char *block; /* that it stands in, with a dot */
	void (*report)(void *argument, const char *key, const char *why);
	void *argument;
	struct match matches[MATCHES_MAX + 1]; /* that were understood, the prefix as one of them */
	size_t count;
};

static void PRINTF_LIKE(3, 4)
	report_test(struct test_check *check, const char *key, const char *format, ...)
{
	char name[32], why[WHY_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	snprintf(name, sizeof(name), "%s%s", check->block, key);
	check->report(check->argument, name, why);
}

/* Adds what must hold with the others. */
static void add_match(
	struct test_check *check, const struct match *match, const char *key, const char *text)
{
	int64_t size = (int64_t)match_size(match);
	char buffer[SHOWN_MAX];

	if (size > check->test->max_size && check->test->min_size <= check->test->max_size) {
		report_test(check, key,
			"'%s' needs a payload of %" PRId64 " bytes, more than max_size: no "
			"datagram is like that",
			shown(text, buffer), size);
		return;
	}
	for (size_t i = 0; i < check->count; i++) {
		if (!match_contradicts(match, &check->matches[i]))
			continue;
		report_test(check, key,
			"'%s' contradicts what else the filter asks of these bytes: no datagram "
			"is like that",
			shown(text, buffer));
		return;
	}
	check->matches[check->count++] = *match;
}

static void check_prefix(struct test_check *check)
{
	struct match match = {.kind = MATCH_BYTES, .order = MATCH_EQUAL};
	const char *prefix = check->test->prefix;
	AUTO_TEXT struct text bytes = {0};

	if (!prefix)
		return;
	if (config_filter_prefix(prefix, &bytes) < 0) {
		report_test(check, "prefix",
			"is not hexadecimal, write two digits for each byte after the 0x");
	} else if (!bytes.length) {
		report_test(check, "prefix",
			"has no bytes after the 0x, and every datagram is like that: write two "
			"digits for each, or leave the key out");
	} else if (bytes.length <= MATCH_BYTES_MAX && !text_failed(&bytes)) {
		match.length = bytes.length;
		memcpy(match.bytes, bytes.data, bytes.length);
		memset(match.mask_bytes, 0xff, sizeof(match.mask_bytes));
		add_match(check, &match, "prefix", prefix);
	}
}

/* Whether each of these senders is one of those. */
static bool are_all_in(const struct prefix_list *list, const struct prefix_list *others)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct prefix *prefix = &list->items[i];
		bool is_in = false;

		for (size_t j = 0; j < others->count && !is_in; j++)
			is_in = others->items[j].length <= prefix->length &&
				prefix_contains(&others->items[j], &prefix->address);
		if (!is_in)
			return false;
	}
	return true;
}

static void check_test(const struct config_test *test, const char *block,
	void (*report)(void *argument, const char *key, const char *why), void *argument)
{
	struct test_check check = {
		.test = test, .block = block, .report = report, .argument = argument};
	char why[WHY_MAX];
	struct match match;

	if (test->min_size > test->max_size)
		report_test(&check, "min_size",
			"%" PRId64 " is more than max_size, no datagram is like that",
			test->min_size);
	if (test->sources.count && are_all_in(&test->sources, &test->block_sources))
		report_test(&check, "block_sources",
			"leaves out all of sources, no datagram is like that");
	check_prefix(&check);
	for (size_t i = 0; i < test->match.count; i++)
		if (match_parse(test->match.items[i], &match, why) < 0)
			report_test(&check, "match", "%s", why);
		else if (check.count < ARRAY_SIZE(check.matches))
			add_match(&check, &match, "match", test->match.items[i]);
}

void config_filter_check(const struct config_filter *filter,
	void (*report)(void *argument, const char *key, const char *why), void *argument)
{
	check_test(&filter->is, "filter.", report, argument);
	check_test(&filter->is_not, "filter.not.", report, argument);
	if (filter->burst && !filter->rate_interval_ns)
		report(argument, "burst",
			"has no effect without rate, add one: rate = \"1000/s\";");
}
