#include "engines/nats/link.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "engines/nats/attempt.h"
#include "engines/nats/contact.h"
#include "engines/nats/login.h"

#define BACKOFF_MIN_NS (50 * NS_PER_MS)
#define BACKOFF_MAX_NS (1000 * NS_PER_MS)

/* For all that a server has to answer until it is connected. Another one may be there, so it is
 * short at first; on a slow way, TCP, TLS and the login take some round trips. */
#define PATIENCE_MIN_NS (2 * NS_PER_S)
#define PATIENCE_MAX_NS (16 * NS_PER_S)

/* What is beyond libnats' timeout: a name that does not resolve, a handshake of TLS that stops in
 * the middle, and finding out why it failed. */
#define STUCK_NS (8 * NS_PER_S)
#define STUCK_MAX 4 /* attempts that are abandoned, and not over */
#define STUCK_LOOK_NS NS_PER_S

/* A connection that ends sooner was none. After some of them in a row nothing more is said. */
#define BRIEF_NS (5 * NS_PER_S)
#define BRIEF_MANY 3

/* Bytes that the kernel has not taken: with more, nothing is read, as reading makes answers. */
#define CLOGGED_MAX (4 * 1024 * 1024)

struct nats_link {
	struct login *login;
	struct string_list servers;
	unsigned server; /* the one that is tried, or connected */
	int epoll, wake;
	struct attempt *attempt; /* NULL: none */
	uint64_t attempt_ns; /* when the attempt began, or the next one begins; 0: none does */
	uint64_t backoff_ns;
	uint64_t patience_ns;
	uint64_t look_ns; /* at an attempt that could not be left: not before */
	bool was_late; /* an attempt of this round: it took all of the patience */
	uint64_t attempts; /* that have failed, or led to a brief connection, in a row */
	uint64_t up_ns; /* when the connection began */
	unsigned brief; /* connections in a row */
	natsConnection *connection, *old;
	struct contact *contact;
	uint32_t events; /* that the socket is watched for */
	bool is_watched, is_paused;
	char error[WHY_MAX + HOST_MAX + 64]; /* "": none */
	char address[HOST_MAX + 16];
};

static uint64_t patience_for(uint64_t ns)
{
	return ns < PATIENCE_MIN_NS ? PATIENCE_MIN_NS : ns > PATIENCE_MAX_NS ? PATIENCE_MAX_NS : ns;
}

/* The next attempt after a pause that grows with each round of all servers. */
static void plan_attempt(struct nats_link *link, uint64_t now_ns)
{
	link->server = (link->server + 1) % (unsigned)link->servers.count;
	link->attempt_ns = now_ns;
	if (++link->attempts % link->servers.count)
		return;
	link->backoff_ns = link->backoff_ns ? link->backoff_ns * 2 : BACKOFF_MIN_NS;
	if (link->backoff_ns > BACKOFF_MAX_NS)
		link->backoff_ns = BACKOFF_MAX_NS;
	/* Many sites lose the same server at the same time. */
	link->attempt_ns += link->backoff_ns + now_ns % (link->backoff_ns / 2);
}

/* After a round in which no server could be connected, and one had too little time, each gets more.
 */
static void fail_attempt(struct nats_link *link, uint64_t took_ns, uint64_t now_ns)
{
	link->was_late |= attempt_is_late(took_ns, link->patience_ns);
	plan_attempt(link, now_ns);
	if (link->attempts % link->servers.count)
		return;
	if (link->was_late)
		link->patience_ns = patience_for(2 * link->patience_ns);
	link->was_late = false;
}

static void begin_attempt(struct nats_link *link, uint64_t now_ns)
{
	int r;

	snprintf(link->address, sizeof(link->address), "%s", link->servers.items[link->server]);
	r = attempt_start(link->login, link->servers.items[link->server], link->patience_ns,
		link->wake, link->old, &link->attempt);
	if (r >= 0) {
		link->old = NULL; /* the attempt closes it */
		link->attempt_ns = now_ns;
		return;
	}
	snprintf(link->error, sizeof(link->error), "connecting to %s: %s", link->address,
		strerror(-r));
	plan_attempt(link, now_ns);
}

/* What the socket is watched for, as far as it has changed. */
static void watch_socket(struct nats_link *link)
{
	bool is_clogged = link->contact->wants_to_write && nats_link_unwritten(link) > CLOGGED_MAX;
	uint32_t wanted = (link->is_paused || is_clogged ? 0 : EPOLLIN) |
			  (link->contact->wants_to_write ? EPOLLOUT : 0);
	struct epoll_event event = {.events = wanted, .data.fd = link->contact->fd};
	int operation = link->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (link->contact->fd < 0 || (link->is_watched && wanted == link->events))
		return;
	link->is_watched = epoll_ctl(link->epoll, operation, link->contact->fd, &event) == 0;
	link->events = wanted;
}

/* When the attempt takes too long. */
static uint64_t attempt_deadline(const struct nats_link *link)
{
	uint64_t end_ns = link->attempt_ns + attempt_lookups_ns(link->attempt) + link->patience_ns +
			  STUCK_NS;

	return end_ns > link->look_ns ? end_ns : link->look_ns;
}

/* So far, without looking up the name. */
static uint64_t attempt_took(const struct nats_link *link, uint64_t now_ns)
{
	uint64_t took_ns = now_ns - link->attempt_ns,
		 lookups_ns = attempt_lookups_ns(link->attempt);

	return took_ns > lookups_ns ? took_ns - lookups_ns : 0;
}

/* Of one that takes too long. Without bound only as many may be left behind. */
static void leave_attempt(struct nats_link *link, uint64_t now_ns)
{
	uint64_t took_ns;

	if (now_ns < attempt_deadline(link))
		return;
	if (atomic_load(&link->login->stuck) >= STUCK_MAX) {
		link->look_ns = now_ns + STUCK_LOOK_NS;
		return;
	}
	snprintf(link->error, sizeof(link->error), "connecting to %s: %s", link->address,
		attempt_is_looking_up(link->attempt) ? "the name does not resolve: no answer"
						     : "no answer in the middle of it");
	took_ns = attempt_took(link, now_ns);
	attempt_abandon(take(link->attempt));
	fail_attempt(link, took_ns, now_ns);
}

/* The result of the attempt, if there is one. */
static enum nats_change end_attempt(struct nats_link *link, uint64_t now_ns)
{
	char why[WHY_MAX];
	uint64_t took_ns;

	if (!attempt_is_over(link->attempt)) {
		leave_attempt(link, now_ns);
		return NATS_SAME;
	}
	took_ns = attempt_took(link, now_ns);
	link->connection = attempt_end(take(link->attempt), &link->contact, why);
	if (link->connection) {
		link->error[0] = '\0';
		link->patience_ns = patience_for(3 * took_ns);
		link->was_late = false;
		link->attempt_ns = 0;
		link->up_ns = now_ns;
		link->is_watched = false;
		watch_socket(link);
	} else {
		snprintf(link->error, sizeof(link->error), "connecting to %s: %s", link->address,
			why);
		fail_attempt(link, took_ns, now_ns);
	}
	return link->connection ? NATS_UP : NATS_SAME;
}

void nats_link_drop(struct nats_link *link, const char *why)
{
	uint64_t now_ns;

	if (!link->connection)
		return;
	snprintf(link->error, sizeof(link->error), "%s: %s", link->address, why);
	if (link->contact->fd >= 0 && link->is_watched)
		epoll_ctl(link->epoll, EPOLL_CTL_DEL, link->contact->fd, NULL);
	link->is_watched = false;
	/* Closing may wait for the server: the thread of the next attempt does it. */
	link->old = take(link->connection);
	contact_unref(take(link->contact));
	now_ns = clock_ns(CLOCK_MONOTONIC);
	if (now_ns - link->up_ns >= BRIEF_NS)
		link->attempts = link->backoff_ns = link->brief = 0;
	else
		link->brief++;
	plan_attempt(link, now_ns);
}

/* libnats has closed it. */
static void lose(struct nats_link *link)
{
	const char *text = NULL;
	natsStatus status = natsConnection_GetLastError(link->connection, &text);

	if (status == NATS_OK || status == NATS_CONNECTION_CLOSED || !text || !*text)
		text = "the server closed the connection";
	else if (status == NATS_IO_ERROR)
		text = "the connection was lost";
	nats_link_drop(link, text);
}

bool nats_link_flush(struct nats_link *link)
{
	if (!link->connection)
		return false;
	if (!link->contact->wants_to_write)
		return true;
	natsConnection_ProcessWriteEvent(link->connection);
	if (link->contact->fd < 0)
		return false;
	watch_socket(link);
	return !link->contact->wants_to_write;
}

/* Reads until the socket is empty, but not for long. */
static void read_socket(struct nats_link *link)
{
	int left = 1;

	for (int i = 0; i < 4 && left > 0 && link->contact->fd >= 0; i++) {
		natsConnection_ProcessReadEvent(link->connection);
		if (link->contact->fd < 0 || ioctl(link->contact->fd, FIONREAD, &left) < 0)
			break;
	}
}

enum nats_change nats_link_step(struct nats_link *link, uint64_t now_ns)
{
	struct epoll_event events[4];
	int count = epoll_wait(link->epoll, events, ARRAY_SIZE(events), 0);
	enum nats_change change = NATS_SAME;
	eventfd_t ignored;

	for (int i = 0; i < count; i++) {
		if (events[i].data.fd == link->wake)
			eventfd_read(link->wake, &ignored);
		else if (link->connection && events[i].data.fd == link->contact->fd &&
			 (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
			read_socket(link);
	}
	if (link->attempt)
		change = end_attempt(link, now_ns);
	else if (!link->connection && link->attempt_ns && now_ns >= link->attempt_ns)
		begin_attempt(link, now_ns);
	if (link->connection) {
		nats_link_flush(link);
		if (link->contact->fd < 0) {
			lose(link);
			change = NATS_DOWN;
		}
	}
	return change;
}

uint64_t nats_link_deadline(const struct nats_link *link)
{
	if (link->attempt)
		return attempt_deadline(link);
	return link->connection ? 0 : link->attempt_ns;
}

void nats_link_pause_reading(struct nats_link *link, bool is_paused)
{
	link->is_paused = is_paused;
	if (link->connection)
		watch_socket(link);
}

bool nats_link_is_paused(const struct nats_link *link)
{
	return link->is_paused;
}

natsConnection *nats_link_connection(const struct nats_link *link)
{
	return link->connection;
}

const char *nats_link_server(const struct nats_link *link)
{
	return link->address;
}

uint64_t nats_link_unwritten(const struct nats_link *link)
{
	int bytes = link->connection ? natsConnection_Buffered(link->connection) : 0;

	return bytes > 0 ? (uint64_t)bytes : 0;
}

bool nats_link_is_unsteady(const struct nats_link *link)
{
	return link->brief >= BRIEF_MANY;
}

const char *nats_link_error(const struct nats_link *link)
{
	if (link->connection)
		return NULL;
	return link->error[0] ? link->error : "connecting";
}

bool nats_link_objection(struct nats_link *link, char ret[static NATS_WHY_MAX])
{
	AUTO_FREE char *text = link->contact ? contact_objection(link->contact) : NULL;

	if (!text)
		return false;
	snprintf(ret, NATS_WHY_MAX, "%s", text);
	return true;
}

int nats_link_descriptor(const struct nats_link *link)
{
	return link->epoll;
}

int nats_link_watch(struct nats_link *link, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(link->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void nats_link_begin(struct nats_link *link)
{
	begin_attempt(link, clock_ns(CLOCK_MONOTONIC));
}

/* ---- Beginning and end ---- */

static int set_up(struct nats_link *link, const struct nats_settings *settings, const char *handler,
	char why[static WHY_MAX])
{
	const struct string_list *servers = &settings->common.servers;
	int r = login_new(settings, handler, &link->login);
	unsigned random;

	for (size_t i = 0; i < servers->count && r >= 0; i++)
		r = string_list_add(&link->servers, servers->items[i]);
	if (r < 0)
		return r;
	r = login_check_files(link->login, why);
	if (r < 0)
		return r;
	/* Not all sites to the same one. */
	if (getrandom(&random, sizeof(random), 0) < 0)
		return because(why, -errno, "a random number: %s", strerror(errno));
	link->server = random % (unsigned)servers->count;
	link->epoll = epoll_create1(EPOLL_CLOEXEC);
	link->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (link->epoll < 0 || link->wake < 0)
		return because(why, -errno, "%s", strerror(errno));
	r = nats_link_watch(link, link->wake);
	return r < 0 ? because(why, r, "%s", strerror(-r)) : 0;
}

int nats_link_new(const struct nats_settings *settings, const char *handler,
	char why[static WHY_MAX], struct nats_link **ret)
{
	struct nats_link *link = calloc(1, sizeof(*link));
	int r;

	if (!link)
		return -ENOMEM;
	link->epoll = link->wake = -1;
	link->patience_ns = PATIENCE_MIN_NS;
	r = set_up(link, settings, handler, why);
	if (r < 0)
		nats_link_free(link);
	else
		*ret = link;
	return r;
}

void nats_link_free(struct nats_link *link)
{
	if (!link)
		return;
	if (link->attempt)
		attempt_abandon(link->attempt);
	natsConnection_Destroy(link->connection);
	natsConnection_Destroy(link->old);
	contact_unref(link->contact);
	login_unref(link->login);
	string_list_clear(&link->servers);
	closep(&link->epoll);
	closep(&link->wake);
	free(link);
	attempt_release_thread();
}
