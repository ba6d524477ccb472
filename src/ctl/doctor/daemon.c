#include "ctl/doctor/daemon.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "ctl/human.h"

/* Nobody waits for who is silent for a day; and of fewer datagrams there is no mean. */
#define PAUSE_MAX_S 86400
#define PAUSES_MIN 2

/* ---- JSON ---- */

static const char *get_string(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static uint64_t get_number(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));

	return number > 0 ? (uint64_t)number : 0;
}

static char *copy_string(const json_t *object, const char *key)
{
	const char *string = get_string(object, key);

	return string ? strdup(string) : NULL;
}

/* ---- The daemon ---- */

void daemon_clear(struct daemon *daemon)
{
	free(take(daemon->configuration));
}

/* By the number that stat(2) tells of a namespace (namespaces(7)). An older daemon tells none. */
static bool is_elsewhere(const json_t *status)
{
	uint64_t theirs = get_number(status, "networkNamespace");
	struct stat ours;

	return theirs && stat("/proc/self/ns/net", &ours) == 0 && theirs != (uint64_t)ours.st_ino;
}

int daemon_ask(struct session *session, struct daemon *ret)
{
	AUTO_REPLY struct reply reply = {0};
	int code = session_call(session, "GetStatus", &reply);

	if (code)
		return code;
	*ret = (struct daemon){
		.pid = (unsigned)get_number(reply.parameters, "pid"),
		.configuration = copy_string(reply.parameters, "configuration"),
		.is_elsewhere = is_elsewhere(reply.parameters),
	};
	return EXIT_DONE;
}

/* ---- Groups ---- */

static int take_addresses(const json_t *sources, struct subject_addresses *addresses)
{
	for (size_t i = 0; i < json_array_size(sources); i++) {
		const char *string = json_string_value(json_array_get(sources, i));
		struct address address;

		if (string && address_parse(string, &address) == 0 &&
			array_add(addresses, address) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int take_handlers(const json_t *handlers, struct subject_group *group)
{
	for (size_t i = 0; i < json_array_size(handlers); i++) {
		const char *string = json_string_value(json_array_get(handlers, i));
		char *name = string ? strdup(string) : NULL;

		if (!name || array_add(&group->handlers, name) < 0) {
			free(name);
			return -ENOMEM;
		}
	}
	return 0;
}

static enum subject_state parse_state(const char *state)
{
	if (state && !strcmp(state, "joined"))
		return SUBJECT_JOINED;
	return state && !strcmp(state, "failed") ? SUBJECT_FAILED : SUBJECT_WAITING;
}

static uint64_t count_others(const json_t *group)
{
	return get_number(group, "duplicates") + get_number(group, "echoed") +
	       get_number(group, "refused");
}

/* An older daemon counts what was received by group only. */
static struct subject_count count_membership(const json_t *group, const json_t *membership)
{
	bool is_own = json_object_get(membership, "received");

	return (struct subject_count){
		.received = get_number(is_own ? membership : group, "received"),
		.dropped = get_number(membership, "kernelDropped"),
	};
}

static void replace(char **string, const json_t *object, const char *key)
{
	free(*string);
	*string = copy_string(object, key);
}

static uint64_t get_time(const json_t *object, const char *key)
{
	const char *string = get_string(object, key);
	uint64_t ns;

	return string && parse_timestamp(string, &ns) == 0 ? ns : 0;
}

static uint64_t get_seconds(const json_t *object, const char *key)
{
	double seconds = json_number_value(json_object_get(object, key));

	return seconds > 0 && seconds < PAUSE_MAX_S ? (uint64_t)(seconds * NS_PER_S) : 0;
}

/* Without expect_within, by the mean of what came since the join. */
static void take_pause(const json_t *group, const json_t *membership, struct subject *subject)
{
	uint64_t since_ns = get_time(membership, "since"), received = subject->after.received;

	subject->heard_ns = get_time(membership, "lastReceived");
	subject->pause_ns = get_seconds(group, "expectWithin");
	if (!subject->pause_ns && received >= PAUSES_MIN && subject->heard_ns > since_ns)
		subject->pause_ns = 2 * ((subject->heard_ns - since_ns) / received);
}

static void take_membership(const json_t *group, const json_t *membership, struct subject *subject)
{
	subject->state = parse_state(get_string(membership, "state"));
	subject->receive_buffer = get_number(membership, "receiveBuffer");
	subject->after = count_membership(group, membership);
	replace(&subject->error, membership, "error");
	replace(&subject->last_received, membership, "lastReceived");
	replace(&subject->refresh_impossible, membership, "refreshImpossible");
	take_pause(group, membership, subject);
}

static struct subject *find_subject(
	struct subjects *subjects, const struct subject_group *group, const char *interface)
{
	for (size_t i = group->first; interface && i < group->first + group->count; i++)
		if (!strcmp(subjects->items[i].interface, interface))
			return &subjects->items[i];
	return NULL;
}

static void take_outgoing(
	const json_t *outgoing, struct subjects *subjects, struct subject_group *group)
{
	for (size_t i = 0; i < json_array_size(outgoing); i++) {
		const json_t *way = json_array_get(outgoing, i);
		const char *interface = get_string(way, "interface");
		struct subject *subject = find_subject(subjects, group, interface);

		if (!i || (subject && !group->sends_where_joined))
			replace(&group->sending_interface, way, "interface");
		group->sends_where_joined |= subject != NULL;
		if (subject)
			replace(&subject->sending_error, way, "error");
		else if (!interface || !group->sending_error)
			replace(&group->sending_error, way, "error");
	}
}

static void take_senders(
	const json_t *object, struct subjects *subjects, struct subject_group *group)
{
	const json_t *senders = json_object_get(object, "senders");

	for (size_t i = 0; i < json_array_size(senders); i++) {
		const json_t *sender = json_array_get(senders, i);
		const char *source = get_string(sender, "source");
		struct subject *subject = find_subject(
			subjects, group, get_string(sender, "interface"));
		struct address address;

		if (subject && source && address_parse(source, &address) == 0)
			subject_add_sender(subject, &address, 0, 0);
		if (subject && !json_is_number(json_object_get(object, "expectWithin")))
			subject->pause_ns = 2 * get_seconds(sender, "longestPause");
	}
}

static void take_same_network(const json_t *pair, struct subject_group *group)
{
	for (size_t i = 0; i < ARRAY_SIZE(group->same_network); i++) {
		const char *name = json_string_value(json_array_get(pair, i));

		free(group->same_network[i]);
		group->same_network[i] = name ? strdup(name) : NULL;
	}
}

/* What may change while we look. */
static void take_changes(
	const json_t *object, struct subjects *subjects, struct subject_group *group)
{
	group->others = count_others(object);
	group->duplicates = get_number(object, "duplicates");
	take_outgoing(json_object_get(object, "outgoing"), subjects, group);
	take_senders(object, subjects, group);
	take_same_network(json_object_get(object, "sameNetworkTwice"), group);
}

/* Why a group without an address cannot be examined: it is made of others, or is "events". */
static void tell_made_here(struct subjects *subjects, const char *name, const json_t *object)
{
	const json_t *legs = json_object_get(object, "merge");
	struct text *text = &subjects->made_here;

	text_clear(text);
	text_printf(text, "group %s is joined nowhere: ", name);
	if (!json_array_size(legs))
		text_append_string(text, "mcastd itself makes its datagrams");
	else
		text_append_string(text, "it is made of others, which tell more");
	for (size_t i = 0; i < json_array_size(legs); i++) {
		const char *leg = get_string(json_array_get(legs, i), "group");

		text_printf(text, "%s mcastctl doctor %s", i ? "," : ":", leg ? leg : "");
	}
}

/* A group that has no address is left out. Returns 0 or a negative errno. */
static int add_group(struct subjects *subjects, const json_t *object)
{
	const char *name = get_string(object, "name"), *string = get_string(object, "address");
	const json_t *memberships = json_object_get(object, "memberships");
	struct subject_group *group;
	struct address address;
	int r;

	if (!name || !string)
		return 0;
	if (address_parse(string, &address) < 0) {
		tell_made_here(subjects, name, object);
		return 0;
	}
	r = subjects_add_group(
		subjects, name, &address, (uint16_t)get_number(object, "port"), &group);
	if (r == 0)
		r = take_addresses(json_object_get(object, "sources"), &group->sources);
	if (r == 0)
		r = take_addresses(json_object_get(object, "blockSources"), &group->blocked);
	if (r == 0)
		group->hides_sources = json_is_null(json_object_get(object, "sources"));
	if (r == 0)
		r = take_handlers(json_object_get(object, "handlers"), group);
	for (size_t i = 0; i < json_array_size(memberships) && r == 0; i++) {
		const json_t *membership = json_array_get(memberships, i);
		const char *interface = get_string(membership, "interface");
		struct subject *subject;

		r = subjects_add(subjects, interface ? interface : "", &subject);
		if (r < 0)
			break;
		take_membership(object, membership, subject);
		subject->before = subject->after;
	}
	if (r < 0)
		return r;
	take_changes(object, subjects, group);
	group->others_before = group->others;
	group->duplicates_before = group->duplicates;
	return 0;
}

static int compare_name(const void *name, const void *group)
{
	return strcmp(name, ((const struct subject_group *)group)->name);
}

/* Not since a reload: what was seen meanwhile is of the other one. */
static bool is_same(const struct subject_group *group, const json_t *object)
{
	const char *string = get_string(object, "address");
	struct address address;

	return string && address_parse(string, &address) == 0 &&
	       address_equal(&address, &group->address) &&
	       get_number(object, "port") == group->port;
}

/* Groups and memberships that were not there before are left out. */
static int update_group(struct subjects *subjects, const json_t *object)
{
	const char *name = get_string(object, "name");
	const json_t *memberships = json_object_get(object, "memberships");
	struct subject_group *group = name && subjects->groups.count
					      ? bsearch(name, subjects->groups.items,
							subjects->groups.count, sizeof(*group),
							compare_name)
					      : NULL;

	if (!group)
		return 0;
	for (size_t i = 0; i < json_array_size(memberships); i++) {
		const json_t *membership = json_array_get(memberships, i);
		struct subject *subject = find_subject(
			subjects, group, get_string(membership, "interface"));

		if (!subject)
			continue;
		take_membership(object, membership, subject);
		subject->is_counted_again = is_same(group, object);
	}
	take_changes(object, subjects, group);
	return 0;
}

typedef int take_group(struct subjects *subjects, const json_t *object);

/* One answer, which has up to 64 groups. */
static int take_answer(
	const json_t *answer, const char *name, struct subjects *subjects, take_group *take_one)
{
	const json_t *groups = json_object_get(answer, "groups");
	int r = 0;

	for (size_t i = 0; i < json_array_size(groups) && r == 0; i++) {
		const json_t *group = json_array_get(groups, i);
		const char *other = get_string(group, "name");

		if (!name || (other && !strcmp(other, name)))
			r = take_one(subjects, group);
	}
	return r;
}

static int read_groups(
	struct session *session, const char *name, struct subjects *subjects, take_group *take_one)
{
	bool continues = true;
	int code;

	if (name)
		session_put_names(session, "groups", &name, 1);
	if (name)
		json_put_true(&session->parameters, "senders");
	code = session_request(session, "ListGroups", true);
	while (!code && continues) {
		AUTO_REPLY struct reply reply = {0};
		int r = client_receive(session->client, &reply);

		if (r < 0)
			return session_lost(session, r);
		if (reply.error)
			return session_refused(session, &reply, "");
		continues = reply.continues;
		r = take_answer(reply.parameters, name, subjects, take_one);
		if (r < 0)
			return session_fail(session, EXIT_REFUSED, "the groups of %s: %s",
				session->socket, strerror(-r));
	}
	return code;
}

int daemon_list(struct session *session, const char *name, struct subjects *subjects)
{
	int code = read_groups(session, name, subjects, add_group);

	subjects->is_daemon = true;
	subjects_find_same_mac(subjects);
	if (!code && name && !subjects->groups.count && subjects->made_here.length)
		return session_fail(session, EXIT_REFUSED, "%s", text_string(&subjects->made_here));
	if (!code && name && !subjects->groups.count)
		return session_fail(session, EXIT_REFUSED,
			"mcastd has no group '%s': mcastctl groups lists them", name);
	return code;
}

int daemon_count(struct session *session, const char *name, struct subjects *subjects)
{
	for (size_t i = 0; i < subjects->count; i++)
		subjects->items[i].is_counted_again = false;
	return read_groups(session, name, subjects, update_group);
}

/* ---- Refresh ---- */

int daemon_refresh(struct session *session, struct subjects *subjects, struct subject_group *group)
{
	AUTO_REPLY struct reply reply = {0};
	const json_t *impossible;
	int code, r;

	session_put_name(session, "group", group->name);
	code = session_request(session, "Refresh", false);
	if (code)
		return code;
	r = client_receive(session->client, &reply);
	if (r < 0)
		return session_lost(session, r);
	if (reply.error) /* not permitted, or a daemon that cannot: nothing was done */
		return EXIT_DONE;
	for (size_t i = group->first; i < group->first + group->count; i++)
		subjects->items[i].was_refreshed = true;
	impossible = json_object_get(reply.parameters, "impossible");
	for (size_t i = 0; i < json_array_size(impossible); i++) {
		const json_t *item = json_array_get(impossible, i);
		struct subject *subject = find_subject(
			subjects, group, get_string(item, "interface"));

		if (!subject)
			continue;
		subject->was_refreshed = false;
		replace(&subject->refresh_impossible, item, "why");
	}
	return EXIT_DONE;
}

/* ---- Handlers ---- */

static void clear_handler(struct handler_count *handler)
{
	free(handler->name);
	free(handler->error);
	json_decref(handler->dropped);
	json_decref(handler->lost);
}

void handler_counts_clear(struct handler_counts *counts)
{
	for (size_t i = 0; i < counts->count; i++)
		clear_handler(&counts->items[i]);
	free(counts->items);
	*counts = (struct handler_counts){0};
}

static int compare_handler(const void *name, const void *item)
{
	return strcmp(name, ((const struct handler_count *)item)->name);
}

const struct handler_count *handler_counts_find(
	const struct handler_counts *counts, const char *name)
{
	return counts->count ? bsearch(name, counts->items, counts->count, sizeof(*counts->items),
				       compare_handler)
			     : NULL;
}

static int add_handler(struct handler_counts *counts, const json_t *handler)
{
	struct handler_count count = {
		.name = copy_string(handler, "name"),
		.error = copy_string(handler, "error"),
		.is_shared = json_array_size(json_object_get(handler, "groups")) > 1,
		.received = get_number(handler, "received"),
		.filtered = get_number(handler, "filtered"),
		.delivered = get_number(handler, "delivered"),
		.dropped = json_incref(json_object_get(handler, "dropped")),
		.lost = json_incref(json_object_get(handler, "lost")),
	};

	if (!count.name || array_add(counts, count) < 0) {
		clear_handler(&count);
		return -ENOMEM;
	}
	return 0;
}

int daemon_count_handlers(struct session *session, struct handler_counts *ret)
{
	AUTO_REPLY struct reply reply = {0};
	int code = session_call(session, "ListHandlers", &reply);
	const json_t *handlers = json_object_get(reply.parameters, "handlers");

	handler_counts_clear(ret);
	for (size_t i = 0; i < json_array_size(handlers) && !code; i++)
		if (add_handler(ret, json_array_get(handlers, i)) < 0)
			code = session_fail(session, EXIT_REFUSED, "%s", strerror(ENOMEM));
	return code;
}
