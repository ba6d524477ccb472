/* Conditions of filters, and payloads that they are asked about: no byte behind the end is read,
 * and
 * == and !=, < and >=, <= and > are never both true, nor both false where the payload is long
 * enough. What is no condition may be a key of a filter with its value, as in a command line.
 *
 * The first line is the condition, the rest the payload. */
#include "config/match.h"
#include "config/where.h"
#include "fuzz.h"

/* Longer than the longest condition. */
#define CONDITION_MAX 1200

static const enum match_order opposites[] = {[MATCH_EQUAL] = MATCH_UNEQUAL,
	[MATCH_UNEQUAL] = MATCH_EQUAL,
	[MATCH_BELOW] = MATCH_FROM,
	[MATCH_FROM] = MATCH_BELOW,
	[MATCH_UP_TO] = MATCH_ABOVE,
	[MATCH_ABOVE] = MATCH_UP_TO};

static void check(const struct match *match, const uint8_t *payload, size_t size)
{
	struct match opposite = *match;
	bool holds = match_holds(match, payload, size);
	size_t end = match->offset + (match->kind == MATCH_INTEGER ? match->size : match->length);

	if (match->kind == MATCH_CONTAINS) {
		CHECK(!holds || size >= match->length);
		return;
	}
	opposite.order = opposites[match->order];
	CHECK(holds + match_holds(&opposite, payload, size) == (size >= end));
}

static void try_where(const char *word)
{
	struct config_filter filter;
	char why[WHY_MAX] = "";

	if (where_read(&word, 1, &filter, why) < 0)
		CHECK(*why && !has_controls(why, strlen(why)));
	schema_clear(&filter_schema, &filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t length = end ? (size_t)(end - data) : size;
	char condition[CONDITION_MAX] = "", why[WHY_MAX] = "";
	struct match match;

	if (!size || length >= sizeof(condition))
		return 0;
	memcpy(condition, data, length);
	try_where(condition);
	if (match_parse(condition, &match, why) < 0) {
		CHECK(*why);
		return 0;
	}
	CHECK(match.length <= MATCH_BYTES_MAX);
	length += end != NULL;
	check(&match, data + length, size - length);
	return 0;
}
