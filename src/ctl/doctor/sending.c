#include "ctl/doctor/sending.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "ctl/doctor/kernel_counters.h"
#include "ctl/doctor/own_sockets.h"
#include "ctl/doctor/route.h"
#include "ctl/doctor/subject.h"
#include "ctl/doctor/wire.h"
#include "net/interface.h"
#include "net/udp_way.h"

/* How long what was sent is waited for on the wire. */
#define WATCH_NS (200 * NS_PER_MS)

#define AUTO_INTERFACES CLEANUP(interface_list_clear)
#define AUTO_COUNTERS CLEANUP(kernel_counters_clear)

struct attempt {
	struct wire *wire; /* NULL: we may not look */
	struct own_sockets sockets; /* one that hears what is sent, where it is looped */
	struct subjects subjects;
	struct kernel_counters before;
	sa_family_t family;
};

static void clear_attempt(struct attempt *attempt)
{
	wire_close(attempt->wire);
	own_sockets_clear(&attempt->sockets);
	subjects_clear(&attempt->subjects);
	kernel_counters_clear(&attempt->before);
}

/* Where it leaves, it is heard, too, as far as that can be joined. */
static int begin(const struct address *to, uint16_t port, const struct sending *sending,
	struct attempt *attempt)
{
	AUTO_INTERFACES struct interface_list interfaces = {0};
	CLEANUP(joined_clear) struct joined joined = {0};
	const struct wire_group group = {*to, port};
	const struct target target = {.name = (char *)"",
		.address = *to,
		.port = port,
		.interface = (char *)sending->interface};
	int r = wire_open(&group, 1, &attempt->wire);

	attempt->family = to->family;
	if (r < 0 && r != -EPERM && r != -EACCES)
		return r;
	r = interface_list_read(&interfaces);
	r = r < 0 ? r : joined_read(&joined);
	if (r == 0 && *sending->interface && address_is_multicast(to))
		r = own_sockets_join(
			&attempt->sockets, &target, &interfaces, &joined, &attempt->subjects);
	return r < 0 ? r : kernel_counters_read(&attempt->before);
}

/* The interface that it leaves on, and whether that has an address to send from. */
static int find_way(const struct address *to, const char *interface, struct sending *ret)
{
	AUTO_INTERFACES struct interface_list interfaces = {0};
	const struct interface *found;
	struct route route;
	int r = interface_list_read(&interfaces);

	ret->is_meant = true;
	ret->names_interface = interface != NULL;
	route_find(to, 0, &route);
	ret->has_route = route.exists;
	if (!interface) {
		memcpy(ret->refusing, route.refusing, sizeof(ret->refusing));
		ret->route_error = route.error;
	}
	found = r < 0 ? NULL
		      : interface_find(&interfaces, interface	  ? interface
						    : route.exists ? route.interface
								   : "");
	if (!found)
		return r;
	memcpy(ret->interface, found->name, sizeof(ret->interface));
	ret->has_address = interface_address(&interfaces, found, to->family);
	return 0;
}

/* Until it was seen and heard, or for a moment. */
static void watch(struct attempt *attempt, struct sending *ret)
{
	struct own_sockets *sockets = &attempt->sockets;
	uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + WATCH_NS;
	unsigned ifindex = if_nametoindex(ret->interface);
	struct pollfd fds[] = {{attempt->wire ? wire_fd(attempt->wire) : -1, POLLIN, 0},
		{sockets->count ? sockets->items[0].fd : -1, POLLIN, 0}};

	while (!ret->error && (!ret->on_wire || !sockets->heard_doctor) &&
		clock_ns(CLOCK_MONOTONIC) < deadline_ns) {
		if (poll_until(fds, ARRAY_SIZE(fds), deadline_ns) <= 0)
			continue;
		if (fds[1].revents)
			own_sockets_read(sockets, 0, &attempt->subjects);
		if (!fds[0].revents)
			continue;
		wire_read(attempt->wire);
		ret->on_wire = wire_seen(attempt->wire, 0, ifindex)->from_here;
	}
	ret->saw_wire = attempt->wire && ifindex && !wire_missed(attempt->wire);
	if (sockets->heard_doctor)
		ret->ttl = sockets->doctor_ttl;
}

static int end(struct attempt *attempt, struct sending *ret)
{
	AUTO_COUNTERS struct kernel_counters after = {0};
	bool is_v4 = attempt->family == AF_INET;
	int r;

	watch(attempt, ret);
	r = kernel_counters_read(&after);
	ret->out_dropped = kernel_counters_growth(
		&attempt->before, &after, is_v4 ? "Ip.OutDiscards" : "Ip6OutDiscards");
	ret->ipsec = kernel_counters_growth_of(&attempt->before, &after, "XfrmOut");
	ret->send_buffer = kernel_counters_growth(
		&attempt->before, &after, is_v4 ? "Udp.SndbufErrors" : "Udp6SndbufErrors");
	return r;
}

static void send_to(const struct udp_way *way, struct sending *ret)
{
	const struct iovec payload = {(void *)SENDING_PAYLOAD, sizeof(SENDING_PAYLOAD) - 1};
	struct udp_socket socket = {.out.fd = -1};
	char why[WHY_MAX];
	int r = udp_way_open(way, NULL, &socket, why);

	ret->was_tried = true;
	if (r < 0) {
		ret->error = r;
		snprintf(ret->why, sizeof(ret->why), "%s", why);
		return;
	}
	r = udp_out_send(&socket.out, &socket.to, socket.to_length, &payload, 1);
	ret->error = r < 0 ? r : 0;
	ret->stayed_here = socket.has_no_carrier;
	closep(&socket.out.fd);
}

int sending_try_target(
	const struct session *session, const struct target *target, struct sending *ret)
{
	CLEANUP(clear_attempt) struct attempt attempt = {0};
	const char *name =
		target->interface && !interface_is_glob(target->interface) ? target->interface : NULL;
	const struct udp_way way = {.to = target->address, .port = target->port, .interface = name};
	int r = find_way(&target->address, name, ret);

	ret->ttl = 1; /* the kernel's default */
	if (r == 0)
		r = begin(&target->address, target->port, ret, &attempt);
	if (r < 0)
		return session_fail(session, EXIT_REFUSED, "sending: %s", strerror(-r));
	send_to(&way, ret);
	r = end(&attempt, ret);
	return r < 0 ? session_fail(session, EXIT_REFUSED, "sending: %s", strerror(-r)) : EXIT_DONE;
}

/* What Send answers. Returns an exit code. */
static int send_by_daemon(struct session *session, const char *name, struct sending *ret)
{
	AUTO_REPLY struct reply reply = {0};
	const char *message;
	int code, r;

	session_put_name(session, "group", name);
	json_put_string(&session->parameters, "text", SENDING_PAYLOAD);
	code = session_request(session, "Send", false);
	if (code)
		return code;
	r = client_receive(session->client, &reply);
	if (r < 0)
		return session_lost(session, r);
	ret->was_tried = true;
	ret->stayed_here = json_is_true(json_object_get(reply.parameters, "stayedHere"));
	if (!reply.error)
		return EXIT_DONE;
	message = json_string_value(json_object_get(reply.parameters, "message"));
	r = (int)json_integer_value(json_object_get(reply.parameters, "errno"));
	ret->error = r > 0 ? -r : -EOPNOTSUPP;
	ret->is_forbidden = !strcmp(reply.error, "io.mcastd.NotPermitted");
	if (!name_user(getuid(), ret->user))
		snprintf(ret->user, sizeof(ret->user), "%u", (unsigned)getuid());
	snprintf(ret->why, sizeof(ret->why), "%s", message ? message : reply.error);
	return EXIT_DONE;
}

int sending_try_group(struct session *session, const struct subjects *subjects, struct sending *ret)
{
	CLEANUP(clear_attempt) struct attempt attempt = {0};
	const struct subject_group *group = &subjects->groups.items[0];
	int r = find_way(&group->address, group->sending_interface, ret), code;

	ret->ttl = -1;
	if (r == 0)
		r = begin(&group->address, group->port, ret, &attempt);
	if (r < 0)
		return session_fail(session, EXIT_REFUSED, "sending: %s", strerror(-r));
	code = send_by_daemon(session, group->name, ret);
	if (!code)
		r = end(&attempt, ret);
	return r < 0 ? session_fail(session, EXIT_REFUSED, "sending: %s", strerror(-r)) : code;
}
