#include "ctl/doctor/own_sockets.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/clock.h"
#include "ctl/doctor/sending.h"
#include "data/twins.h"
#include "groups/arena.h"
#include "net/multicast.h"
#include "net/report_sockets.h"

/* As the default of a group's receive_buffer. */
#define RECEIVE_BUFFER (4 << 20)

#define NEEDS (NEED_DATAGRAMS | NEED_PAYLOAD | NEED_SOURCE | NEED_TTL)

/* ---- Joining ---- */

static int refuse(struct subject *subject, int error, const char *why)
{
	subject->state = SUBJECT_FAILED;
	subject->error_number = error;
	subject->error = strdup(why);
	return subject->error ? 0 : -ENOMEM;
}

static uint64_t inode_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) < 0 ? 0 : (uint64_t)status.st_ino;
}

static int join_on(struct own_sockets *sockets, const struct target *target,
	const struct interface *interface, const struct joined *joined, struct subjects *subjects)
{
	struct multicast_membership wanted = {
		.group = target->address,
		.reach = multicast_reach(&target->address),
		.port = target->port,
		.interface = interface->name,
		.ifindex = interface->index,
		.sources = target->sources.items,
		.source_count = target->sources.count,
	};
	struct own_socket socket = {.subject = subjects->count};
	struct subject *subject;
	char why[WHY_MAX];
	int r = subjects_add(subjects, interface->name, &subject);

	if (r < 0)
		return r;
	socket.fd = multicast_open_receiver(&wanted, why);
	if (socket.fd < 0)
		return refuse(subject, socket.fd, why);
	subject->is_ours_alone = !joined_contains(joined, &target->address, interface->index);
	subject->receive_buffer = socket_set_receive_buffer(socket.fd, RECEIVE_BUFFER);
	socket.inode = inode_of(socket.fd);
	r = arena_want(socket.fd, target->address.family, NEEDS, false);
	if (r == 0)
		r = array_add(sockets, socket);
	if (r < 0)
		close(socket.fd);
	return r;
}

static int join_all(struct own_sockets *sockets, const struct target *target,
	const struct interface_list *interfaces, const struct joined *joined,
	struct subjects *subjects)
{
	const char *pattern = target->interface ? target->interface : "*";
	const struct interface *named = interface_find(interfaces, pattern);
	size_t before = subjects->count;
	struct subject *subject;
	int r = 0;

	if (named && !interface_is_glob(pattern))
		return join_on(sockets, target, named, joined, subjects);
	for (size_t i = 0; i < interfaces->count && r == 0; i++)
		if (interface_is_glob(pattern) &&
			interface_matches(interfaces, &interfaces->items[i], pattern))
			r = join_on(sockets, target, &interfaces->items[i], joined, subjects);
	if (r < 0 || subjects->count > before)
		return r;
	r = subjects_add(subjects, pattern, &subject);
	return r < 0 ? r
		     : refuse(subject, -ENODEV,
			       interface_is_glob(pattern) ? "no interface that can do multicast "
							    "matches"
							  : "there is no such interface");
}

int own_sockets_join(struct own_sockets *sockets, const struct target *target,
	const struct interface_list *interfaces, const struct joined *joined,
	struct subjects *subjects)
{
	struct subject_group *group;
	int r;

	if (!sockets->arena)
		sockets->arena = arena_new(NULL);
	if (!sockets->twins)
		sockets->twins = twins_new(TWINS_SETS, TWINS_WINDOW_MS);
	if (!sockets->arena || !sockets->twins)
		return -ENOMEM;
	r = subjects_add_group(subjects, target->name, &target->address, target->port, &group);
	for (size_t i = 0; i < target->sources.count && r == 0; i++)
		r = array_add(&group->sources, target->sources.items[i]);
	return r < 0 ? r : join_all(sockets, target, interfaces, joined, subjects);
}

void own_sockets_clear(struct own_sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		closep(&sockets->items[i].fd);
	free(sockets->items);
	free(sockets->twins);
	if (sockets->arena)
		arena_free(sockets->arena);
	*sockets = (struct own_sockets){0};
}

/* ---- Receiving ---- */

/* Where another socket has had the same datagram. */
static void find_twin(struct own_sockets *sockets, size_t i, const struct datagram *datagram,
	const struct subjects *subjects)
{
	const struct subject *subject = &subjects->items[sockets->items[i].subject];
	unsigned other;

	if (!twins_take(sockets->twins, &subjects->groups.items[subject->group], datagram,
		    subject->ifindex, coarse_ms(), &other))
		return;
	for (size_t j = 0; j < sockets->count; j++) {
		if (j == i || subjects->items[sockets->items[j].subject].ifindex != other)
			continue;
		sockets->items[i].twice++;
		sockets->items[i].twin = sockets->items[j].subject;
		sockets->items[j].twice++;
		sockets->items[j].twin = sockets->items[i].subject;
	}
}

/* What a doctor sends, here or elsewhere, is no traffic. */
static bool is_of_doctor(const struct datagram *datagram)
{
	return datagram->size == sizeof(SENDING_PAYLOAD) - 1 &&
	       !memcmp(datagram->payload, SENDING_PAYLOAD, datagram->size);
}

/* Returns whether there may be more. */
static bool read_batch(struct own_sockets *sockets, size_t i, struct subjects *subjects)
{
	struct subject *subject = &subjects->items[sockets->items[i].subject];
	struct arena_received received;

	if (arena_receive(sockets->arena, sockets->items[i].fd, NEEDS, false, &received) < 0)
		return false;
	for (unsigned j = 0; j < received.count; j++) {
		const struct datagram *datagram = &sockets->arena->datagrams[j];
		struct address sender = endpoint_address(&datagram->source);

		if (is_of_doctor(datagram)) {
			sockets->heard_doctor = true;
			sockets->doctor_ttl = datagram->ttl;
			continue;
		}
		subject->after.received++;
		subject_add_sender(subject, &sender, 1, datagram->ttl);
		find_twin(sockets, i, datagram, subjects);
	}
	return received.count == BATCH_MAX;
}

void own_sockets_read(struct own_sockets *sockets, size_t i, struct subjects *subjects)
{
	read_batch(sockets, i, subjects);
}

void own_sockets_finish(struct own_sockets *sockets, struct subjects *subjects)
{
	for (size_t i = 0; i < sockets->count; i++) {
		struct subject *subject = &subjects->items[sockets->items[i].subject];
		uint32_t drops;

		/* What comes while we read is not waited for. */
		for (int batches = 0; batches < 64 && read_batch(sockets, i, subjects); batches++)
			;
		if (socket_drops(sockets->items[i].fd, &drops) == 0)
			subject->after.dropped = drops;
	}
}

/* ---- Refresh ---- */

static int refresh(int fd, const struct subject_group *group, struct subject *subject,
	const struct joined *joined)
{
	enum joined_reports reports = joined_reports(joined, &group->address, subject->ifindex);
	struct multicast_membership membership = {
		.group = group->address,
		.reach = REACH_MULTICAST,
		.port = group->port,
		.interface = subject->interface,
		.ifindex = subject->ifindex,
		.sources = group->sources.items,
		.source_count = group->sources.count,
	};

	if (joined_users(joined, &group->address, subject->ifindex) > 1)
		return -EBUSY;
	if (reports == JOINED_REPORTS_ANSWERS)
		return -EAGAIN;
	return report_now(fd, &membership, reports == JOINED_REPORTS_JOINS, NULL, 0);
}

void own_sockets_refresh(struct own_sockets *sockets, struct subjects *subjects)
{
	CLEANUP(joined_clear) struct joined joined = {0};

	joined_read(&joined);
	for (size_t i = 0; i < sockets->count; i++) {
		struct subject *subject = &subjects->items[sockets->items[i].subject];
		int r = refresh(sockets->items[i].fd, &subjects->groups.items[subject->group],
			subject, &joined);

		subject->was_refreshed = r == 0;
		if (r == -EBUSY)
			subject->refresh_impossible = strdup(
				"another program has joined it there, too");
	}
}
