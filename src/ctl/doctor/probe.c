#include "ctl/doctor/probe.h"

#include <string.h>

void probe_clear(struct probe *probe)
{
	own_sockets_clear(&probe->sockets);
	subjects_clear(&probe->subjects);
}

int probe_join(struct probe *probe, const struct subject_group *group,
	const struct interface_list *interfaces, const struct joined *joined)
{
	const struct target target = {
		.name = group->name, .address = group->address, .port = group->port};

	return own_sockets_join(&probe->sockets, &target, interfaces, joined, &probe->subjects);
}

static bool is_of(
	const struct probe *probe, const struct subject *subject, const struct subject_group *group)
{
	const struct subject_group *own = &probe->subjects.groups.items[subject->group];

	return own->port == group->port && address_equal(&own->address, &group->address) &&
	       subject->after.received;
}

const struct subject *probe_seen(
	const struct probe *probe, const struct subject_group *group, const char *interface)
{
	for (size_t i = 0; i < probe->subjects.count; i++) {
		const struct subject *subject = &probe->subjects.items[i];

		if (is_of(probe, subject, group) && !strcmp(subject->interface, interface))
			return subject;
	}
	return NULL;
}

const struct subject *probe_elsewhere(
	const struct probe *probe, const struct subject_group *group, const char *interface)
{
	const struct subject *best = NULL;

	for (size_t i = 0; i < probe->subjects.count; i++) {
		const struct subject *subject = &probe->subjects.items[i];

		if (is_of(probe, subject, group) && strcmp(subject->interface, interface) &&
			(!best || subject->after.received > best->after.received))
			best = subject;
	}
	return best;
}
