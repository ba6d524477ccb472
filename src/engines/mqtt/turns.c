#include "engines/mqtt/turns.h"

#include <errno.h>
#include <stdlib.h>

int turns_init(struct turns *turns, const struct string_list *urls, uint16_t port)
{
	turns->servers = calloc(urls->count, sizeof(*turns->servers));
	if (!turns->servers)
		return -ENOMEM;
	for (size_t i = 0; i < urls->count; i++) {
		struct server *at = &turns->servers[i];

		at->url = urls->items[i];
		if (engine_split_server(at->url, port, at->host, &at->port) < 0)
			return -EINVAL;
	}
	turns->count = urls->count;
	return 0;
}

void turns_clear(struct turns *turns)
{
	free(turns->servers);
	*turns = (struct turns){0};
}

struct server *turns_server(const struct turns *turns)
{
	return &turns->servers[turns->at];
}

uint64_t turns_fail(struct turns *turns)
{
	turns->at = (turns->at + 1) % turns->count;
	if (++turns->failed < turns->count)
		return 0;
	turns->failed = 0;
	turns->pause_ns = turns->pause_ns ? 2 * turns->pause_ns : PAUSE_MIN_NS;
	if (turns->pause_ns > PAUSE_MAX_NS)
		turns->pause_ns = PAUSE_MAX_NS;
	return turns->pause_ns;
}

void turns_succeed(struct turns *turns)
{
	turns->failed = 0;
}

uint64_t turns_lose(struct turns *turns, bool was_stable)
{
	uint64_t pause_ns = was_stable || !turns->pause_ns ? PAUSE_MIN_NS : turns->pause_ns;

	if (was_stable)
		turns->pause_ns = 0;
	else if (turns->pause_ns < PAUSE_MAX_NS)
		turns->pause_ns = turns->pause_ns ? 2 * turns->pause_ns : PAUSE_MIN_NS;
	return pause_ns;
}
