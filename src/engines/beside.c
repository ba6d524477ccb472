#include "engines/beside.h"

#include <string.h>

#include "engines/servers.h"
#include "engines/settings.h"

/* Where the address does not say. */
static uint16_t default_port(const char *server)
{
	return !strncmp(server, "mqtt://", 7)    ? 1883
	       : !strncmp(server, "mqtts://", 8) ? 8883
						 : 4222;
}

static bool is_same_server(const char *server, const char *other)
{
	char host[HOST_MAX + 1], other_host[HOST_MAX + 1];
	uint16_t port, other_port;

	return !engine_split_server(server, default_port(server), host, &port) &&
	       !engine_split_server(other, default_port(other), other_host, &other_port) &&
	       port == other_port && !strcasecmp(host, other_host);
}

static bool share_server(
	const struct engine_settings *settings, const struct engine_settings *other)
{
	for (size_t i = 0; i < settings->servers.count; i++)
		for (size_t j = 0; j < other->servers.count; j++)
			if (is_same_server(settings->servers.items[i], other->servers.items[j]))
				return true;
	return false;
}

static bool is_same(const char *one, const char *other)
{
	return one && other ? !strcmp(one, other) : one == other;
}

/* Another login may be of another account, whose messages are others. */
static bool share_login(const struct nats_settings *settings, const struct nats_settings *other)
{
	return is_same(settings->common.username, other->common.username) &&
	       is_same(settings->common.certificate, other->common.certificate) &&
	       is_same(settings->credentials, other->credentials) &&
	       is_same(settings->nkey, other->nkey);
}

/* An empty list has all. */
static bool share_site(const struct string_list *sites, const struct string_list *others)
{
	if (!sites->count || !others->count)
		return true;
	for (size_t i = 0; i < sites->count; i++)
		if (string_list_has(others, sites->items[i]))
			return true;
	return false;
}

static bool share_address(const char *pattern, const char *other, const char *group)
{
	char address[ENGINE_ADDRESS_MAX], other_address[ENGINE_ADDRESS_MAX];

	return !engine_address(address, sizeof(address), pattern, group) &&
	       !engine_address(other_address, sizeof(other_address), other, group) &&
	       !strcmp(address, other_address);
}

bool mqtt_is_same_client(const void *settings, const void *other)
{
	const struct mqtt_settings *one = settings, *two = other;

	return one->client_id && two->client_id && !strcmp(one->client_id, two->client_id) &&
	       share_server(&one->common, &two->common);
}

bool nats_takes_in_same(const void *settings, const void *other, const char *group)
{
	const struct nats_settings *one = settings, *two = other;

	return share_site(&one->sites, &two->sites) &&
	       share_address(one->subject, two->subject, group) && share_login(one, two) &&
	       share_server(&one->common, &two->common);
}

bool mqtt_takes_in_same(const void *settings, const void *other, const char *group)
{
	const struct mqtt_settings *one = settings, *two = other;

	return share_site(&one->sites, &two->sites) &&
	       share_address(one->topic, two->topic, group) &&
	       share_server(&one->common, &two->common);
}
