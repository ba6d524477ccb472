#include "ctl/doctor/host.h"

#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

void host_clear(struct host *host)
{
	interface_list_clear(&host->interfaces);
	joined_clear(&host->joined);
	kernel_counters_clear(&host->before);
	kernel_counters_clear(&host->after);
	udp_sockets_clear(&host->sockets_before);
	udp_sockets_clear(&host->sockets);
	firewall_clear(&host->firewall_before);
	firewall_clear(&host->firewall);
	free(host->links.items);
	*host = (struct host){0};
}

const struct host_link *host_link(const struct host *host, const char *name)
{
	for (size_t i = 0; i < host->links.count; i++)
		if (!strcmp(host->links.items[i].name, name))
			return &host->links.items[i];
	return NULL;
}

int host_read_links(struct host *host, const struct subjects *subjects)
{
	for (size_t i = 0; i < subjects->count; i++) {
		const char *name = subjects->items[i].interface;
		struct host_link link = {0};
		int r;

		if (host_link(host, name))
			continue;
		r = link_read(name, &host->interfaces, &link.before);
		if (r == 0) {
			snprintf(link.name, sizeof(link.name), "%s", name);
			link.after = link.before;
			link.rp_filter_all = interface_sysctl("ipv4", "all", "rp_filter");
			r = array_add(&host->links, link);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int host_read_before(struct host *host)
{
	int r = interface_list_read(&host->interfaces);

	r = r < 0 ? r : joined_read(&host->joined);
	r = r < 0 ? r : udp_sockets_read(&host->sockets_before);
	r = r < 0 ? r : kernel_counters_read(&host->before);
	firewall_read(&host->firewall_before);
	return r;
}

int host_read_after(struct host *host)
{
	int r = kernel_counters_read(&host->after);

	if (r == 0)
		r = udp_sockets_read(&host->sockets);
	for (size_t i = 0; i < host->links.count && r == 0; i++) {
		struct host_link *link = &host->links.items[i];

		if (link->before.exists)
			r = link_read(link->before.name, &host->interfaces, &link->after);
	}
	firewall_read(&host->firewall);
	return r;
}

const struct udp_socket *host_socket_before(const struct host *host, uint64_t inode)
{
	const struct udp_sockets *sockets = &host->sockets_before;

	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->items[i].inode == inode)
			return &sockets->items[i];
	return NULL;
}

uint64_t host_other_drops(const struct host *host, const struct address *address, uint16_t port)
{
	uint64_t drops = 0;

	for (size_t i = 0; i < host->sockets.count; i++) {
		const struct udp_socket *socket = &host->sockets.items[i], *before;

		if (!socket->drops ||
			(socket->port == port && address_equal(&socket->address, address)))
			continue;
		before = host_socket_before(host, socket->inode);
		drops += (uint32_t)(socket->drops - (before ? before->drops : 0));
	}
	return drops;
}
