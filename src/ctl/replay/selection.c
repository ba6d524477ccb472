#include "ctl/replay/selection.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/units.h"

/* Longer than any prefix. */
#define PREFIX_STRING_MAX (INET6_ADDRSTRLEN + 8)

/* ":5004", or nothing. */
static int parse_port(const char *string, uint16_t *ret)
{
	uint64_t port = 0;

	if (*string && (*string != ':' || parse_number(string + 1, UINT16_MAX, &port) < 0 || !port))
		return -EINVAL;
	*ret = (uint16_t)port;
	return 0;
}

int end_pattern_parse(const char *string, size_t size, struct end_pattern *ret)
{
	char copy[PREFIX_STRING_MAX + sizeof("[]:65535")], *prefix = copy, *end;
	struct end_pattern pattern;
	uint16_t port;

	if (size >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, string, size);
	copy[size] = '\0';
	if (*copy == '[') {
		prefix++;
		end = strchr(copy, ']');
		if (!end || parse_port(end + 1, &port) < 0)
			return -EINVAL;
	} else {
		end = strchr(copy, ':');
		if (!end || strchr(end + 1, ':')) /* no port; perhaps IPv6 without brackets */
			end = copy + size;
		if (parse_port(end, &port) < 0)
			return -EINVAL;
	}
	*end = '\0';
	pattern.port = port;
	if (prefix_parse(prefix, &pattern.prefix) < 0)
		return -EINVAL;
	*ret = pattern;
	return 0;
}

bool end_pattern_matches(
	const struct end_pattern *pattern, const struct address *address, uint16_t port)
{
	return (!pattern->port || pattern->port == port) &&
	       prefix_contains(&pattern->prefix, address);
}

static int read_patterns(struct end_patterns *patterns, const struct session *session,
	const char *name, const struct option_value *option)
{
	for (size_t i = 0; i < option->count; i++) {
		const char *string = option->items[i];
		struct end_pattern pattern;

		if (end_pattern_parse(string, strlen(string), &pattern) < 0)
			return session_fail(session, EXIT_MISUSED,
				"--%s: '%s' is not an address, as 233.252.0.1, with a port, as "
				"233.252.0.1:5004 or [ff15::1]:5004, or a network, as "
				"233.252.0.0/24",
				name, string);
		if (array_add(patterns, pattern) < 0)
			return session_fail(session, EXIT_REFUSED, "%s", strerror(ENOMEM));
	}
	return EXIT_DONE;
}

static int read_time(bool *has, struct when *when, const struct session *session, const char *name,
	const struct option_value *option)
{
	int r = option->given ? when_parse(option->string, when) : 0;

	*has = option->given;
	if (r == -EDOM)
		return session_fail(session, EXIT_MISUSED, "--%s: '%s': that month has no such day",
			name, option->string);
	if (r == -ERANGE)
		return session_fail(session, EXIT_MISUSED,
			"--%s: '%s': there is no such time in this time zone, as the clocks were "
			"set forward; with Z behind it, it is in UTC",
			name, option->string);
	if (r < 0)
		return session_fail(session, EXIT_MISUSED,
			"--%s: '%s' is not a time, as 2026-11-24T20:15:00Z, '2026-11-24 20:15', "
			"20:15:30, or after the capture's begin +5m",
			name, option->string);
	return EXIT_DONE;
}

/* One of times of day may go over midnight. */
static bool is_empty_span(const struct when *from, const struct when *to)
{
	return from->kind == to->kind &&
	       (from->kind == WHEN_OF_DAY ? from->ns == to->ns : from->ns >= to->ns);
}

int selection_read(struct selection *selection, const struct session *session,
	const struct option_value *only, const struct option_value *source,
	const struct option_value *from, const struct option_value *to)
{
	int code = read_patterns(&selection->destinations, session, "only", only);

	if (!code)
		code = read_patterns(&selection->sources, session, "source", source);
	if (!code)
		code = read_time(&selection->has_from, &selection->from, session, "from", from);
	if (!code)
		code = read_time(&selection->has_to, &selection->to, session, "to", to);
	if (!code && from->given && to->given && is_empty_span(&selection->from, &selection->to))
		code = session_fail(session, EXIT_MISUSED, "--from %s is not before --to %s",
			from->string, to->string);
	return code;
}

static bool has_end(
	const struct end_patterns *patterns, const struct address *address, uint16_t port)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (end_pattern_matches(&patterns->items[i], address, port))
			return true;
	return !patterns->count;
}

static void resolve(struct selection *selection, uint64_t begin_ns)
{
	selection->is_resolved = true;
	if (selection->has_from && selection->has_to) {
		when_resolve_span(&selection->from, &selection->to, begin_ns, &selection->from_ns,
			&selection->to_ns);
		return;
	}
	selection->from_ns = when_resolve(&selection->from, begin_ns);
	selection->to_ns = when_resolve(&selection->to, begin_ns);
}

bool selection_begins_before(const struct selection *selection, const struct recording *recording)
{
	return selection->is_resolved && selection->has_from && !selection->has_to &&
	       selection->from.kind == WHEN_OF_DAY && selection->from_ns < recording->begin_ns;
}

static bool has_time(struct selection *selection, const struct recording *recording,
	const struct recorded *recorded)
{
	if (!recorded->is_timed) /* it is before all that have a time */
		return !selection->has_from;
	if (!selection->is_resolved)
		resolve(selection, recording->begin_ns);
	return (!selection->has_from || recorded->timestamp_ns >= selection->from_ns) &&
	       (!selection->has_to || recorded->timestamp_ns < selection->to_ns);
}

enum selected selection_has(struct selection *selection, const struct recording *recording,
	const struct recorded *recorded)
{
	const struct dissected *datagram = &recorded->datagram;

	if (!has_end(
		    &selection->destinations, &datagram->destination, datagram->destination_port) ||
		!has_end(&selection->sources, &datagram->source, datagram->source_port))
		return UNSELECTED_ADDRESS;
	return has_time(selection, recording, recorded) ? SELECTED : UNSELECTED_TIME;
}

void selection_clear(struct selection *selection)
{
	free(selection->destinations.items);
	free(selection->sources.items);
	*selection = (struct selection){0};
}
