#include "ctl/doctor/subject.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

static void clear_subject(struct subject *subject)
{
	free(subject->error);
	free(subject->sending_error);
	free(subject->last_received);
	free(subject->refresh_impossible);
	free(subject->senders);
}

static void clear_group(struct subject_group *group)
{
	free(group->name);
	free(group->sources.items);
	free(group->blocked.items);
	free(group->same_network[0]);
	free(group->same_network[1]);
	for (size_t i = 0; i < group->handlers.count; i++)
		free(group->handlers.items[i]);
	free(group->handlers.items);
	free(group->sending_error);
	free(group->sending_interface);
}

void subjects_clear(struct subjects *subjects)
{
	for (size_t i = 0; i < subjects->count; i++)
		clear_subject(&subjects->items[i]);
	for (size_t i = 0; i < subjects->groups.count; i++)
		clear_group(&subjects->groups.items[i]);
	free(subjects->items);
	free(subjects->groups.items);
	text_free(&subjects->made_here);
	*subjects = (struct subjects){0};
}

int subjects_add_group(struct subjects *subjects, const char *name, const struct address *address,
	uint16_t port, struct subject_group **ret)
{
	struct subject_group group = {
		.name = strdup(name), .address = *address, .port = port, .first = subjects->count};

	if (subjects->groups.count == SUBJECTS_MAX) {
		free(group.name);
		return -E2BIG;
	}
	if (!group.name || array_add(&subjects->groups, group) < 0) {
		free(group.name);
		return -ENOMEM;
	}
	*ret = &subjects->groups.items[subjects->groups.count - 1];
	return 0;
}

int subjects_add(struct subjects *subjects, const char *interface, struct subject **ret)
{
	struct subject subject = {.group = subjects->groups.count - 1};

	if (subjects->count == SUBJECTS_MAX)
		return -E2BIG;
	strncpy(subject.interface, interface, sizeof(subject.interface) - 1);
	subject.ifindex = if_nametoindex(interface);
	if (array_add(subjects, subject) < 0)
		return -ENOMEM;
	subjects->groups.items[subject.group].count++;
	*ret = &subjects->items[subjects->count - 1];
	return 0;
}

/* The bits of the address that are in the MAC address (RFC 1112, 6.4; RFC 2464, 7). */
static uint64_t mac_of(const struct address *address)
{
	uint32_t low;

	if (address->family == AF_INET)
		return ntohl(address->v4.s_addr) & 0x7fffff;
	memcpy(&low, address->v6.s6_addr + 12, sizeof(low));
	return 1ull << 32 | low;
}

struct mac_row {
	uint64_t mac;
	struct subject_group *group;
};

static int compare_rows(const void *a, const void *b)
{
	const struct mac_row *left = a, *right = b;

	if (left->mac != right->mac)
		return left->mac < right->mac ? -1 : 1;
	return address_compare(&left->group->address, &right->group->address);
}

static void find_other(struct mac_row *rows, size_t i, size_t j)
{
	if (rows[i].mac == rows[j].mac &&
		!address_equal(&rows[i].group->address, &rows[j].group->address)) {
		rows[i].group->same_mac = rows[j].group->name;
		if (!rows[j].group->same_mac)
			rows[j].group->same_mac = rows[i].group->name;
	}
}

void subjects_find_same_mac(struct subjects *subjects)
{
	size_t count = subjects->groups.count;
	AUTO_FREE struct mac_row *rows = calloc(count + 1, sizeof(*rows));

	if (!rows)
		return;
	for (size_t i = 0; i < count; i++) {
		struct subject_group *group = &subjects->groups.items[i];

		rows[i] = (struct mac_row){mac_of(&group->address), group};
	}
	qsort(rows, count, sizeof(*rows), compare_rows);
	for (size_t i = 0; i + 1 < count; i++)
		find_other(rows, i, i + 1);
	/* Several groups of one address have the same neighbour. */
	for (size_t i = 1; i < count; i++)
		if (!rows[i].group->same_mac &&
			address_equal(&rows[i].group->address, &rows[i - 1].group->address))
			rows[i].group->same_mac = rows[i - 1].group->same_mac;
	for (size_t i = count; i-- > 1;)
		if (!rows[i - 1].group->same_mac &&
			address_equal(&rows[i].group->address, &rows[i - 1].group->address))
			rows[i - 1].group->same_mac = rows[i].group->same_mac;
}

void subject_add_sender(
	struct subject *subject, const struct address *address, uint64_t datagrams, uint8_t ttl)
{
	size_t size = sizeof(*subject->senders);

	for (size_t i = 0; i < subject->sender_count; i++)
		if (address_equal(&subject->senders[i].address, address)) {
			subject->senders[i].datagrams += datagrams;
			return;
		}
	if (subject->sender_count == SUBJECT_SENDERS_MAX)
		return;
	if (!subject->sender_count) {
		free(subject->senders);
		subject->senders = malloc(SUBJECT_SENDERS_MAX * size);
	}
	if (subject->senders)
		subject->senders[subject->sender_count++] = (struct subject_sender){
			*address, datagrams, ttl};
}
