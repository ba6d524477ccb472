#include "engines/nats/link.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "engines/nats/nkey.h"

#define DEFAULT_PORT 4222
#define CONNECT_MS 2000 /* for all that a server has to answer until it is connected */
#define PEM_MAX 16384 /* bytes of a file, in which what is looked for begins */
#define BUFFER_SIZE (128 * 1024)
#define STACK_SIZE (512 * 1024)
#define BACKOFF_MIN_NS (50 * NS_PER_MS)
#define BACKOFF_MAX_NS (1000 * NS_PER_MS)

/* A handshake of TLS that stops in the middle is beyond libnats' timeout. */
#define ATTEMPT_NS (10 * NS_PER_S)
#define STUCK_MAX 4 /* attempts that are abandoned, and not over */
#define STUCK_LOOK_NS NS_PER_S

/* A connection that ends sooner was none. After some of them in a row nothing more is said. */
#define BRIEF_NS (5 * NS_PER_S)
#define BRIEF_MANY 3

/* Bytes that the kernel has not taken: with more, nothing is read, as reading makes answers. */
#define CLOGGED_MAX (4 * 1024 * 1024)

/* When the kernel ends a connection whose other end does not acknowledge: a cable that was pulled,
 * a firewall that forgot it. */
#define DEAD_PEER_S 10

#define OBJECTIONS_MAX 64

/* ---- What several threads share ---- */

/* How to log in: immutable. */
struct login {
	atomic_uint references;
	atomic_uint stuck; /* attempts that are abandoned, and not over */
	char *name; /* of the connection, for "nats server report connections" */
	char *ca, *certificate, *key, *username, *password_file, *credentials, *nkey;
};

/* What libnats says of one connection. One reference is libnats', until its last callback. */
struct contact {
	atomic_uint references;
	int fd; /* of the socket; -1: it has none any more */
	bool wants_to_write; /* of the thread that uses the connection */
	int wake;
	pthread_mutex_t lock; /* of what follows */
	unsigned objection_count;
	char *objections[OBJECTIONS_MAX];
};

/* One attempt to connect, of a thread. */
struct attempt {
	atomic_uint references;
	struct login *login;
	struct contact *contact;
	char server[HOST_MAX + 16]; /* as it is configured */
	char host[HOST_MAX + 1];
	uint16_t port;
	bool is_tls;
	natsConnection *old; /* to be closed first, which may wait */
	pthread_mutex_t lock; /* of what follows */
	bool is_done, is_abandoned;
	natsConnection *connection; /* NULL: it failed */
	char why[WHY_MAX];
};

struct nats_link {
	struct login *login;
	struct string_list servers;
	unsigned server; /* the one that is tried, or connected */
	int epoll, wake;
	struct attempt *attempt; /* NULL: none */
	uint64_t attempt_ns; /* when the attempt began, or the next one begins; 0: none does */
	uint64_t backoff_ns;
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

static void login_unref(struct login *login)
{
	if (!login || atomic_fetch_sub(&login->references, 1) != 1)
		return;
	free(login->name), free(login->ca), free(login->certificate), free(login->key);
	free(login->username), free(login->password_file);
	free(login->credentials), free(login->nkey);
	free(login);
}

static void contact_unref(struct contact *contact)
{
	if (!contact || atomic_fetch_sub(&contact->references, 1) != 1)
		return;
	for (unsigned i = 0; i < contact->objection_count; i++)
		free(contact->objections[i]);
	pthread_mutex_destroy(&contact->lock);
	closep(&contact->wake);
	free(contact);
}

/* With one reference. */
static struct contact *contact_new(int wake)
{
	struct contact *contact = calloc(1, sizeof(*contact));

	if (!contact)
		return NULL;
	atomic_init(&contact->references, 1);
	contact->fd = -1;
	contact->wake = fcntl(wake, F_DUPFD_CLOEXEC, 3);
	pthread_mutex_init(&contact->lock, NULL);
	if (contact->wake >= 0)
		return contact;
	contact_unref(contact);
	return NULL;
}

static void attempt_unref(struct attempt *attempt)
{
	if (!attempt || atomic_fetch_sub(&attempt->references, 1) != 1)
		return;
	natsConnection_Destroy(attempt->connection);
	contact_unref(attempt->contact);
	login_unref(attempt->login);
	pthread_mutex_destroy(&attempt->lock);
	free(attempt);
}

/* ---- libnats' callbacks ---- */

/* It has connected, in the thread of the attempt. */
static natsStatus on_attach(void **ret, void *object, natsConnection *connection, natsSock fd)
{
	struct contact *contact = object;
	int yes = 1, interval = 2, count = 3, idle = DEAD_PEER_S - 3 * 2;
	unsigned timeout = DEAD_PEER_S * 1000;

	(void)connection;
	contact->fd = fd;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
	*ret = contact;
	return NATS_OK;
}

/* Reading is the link's own business, until libnats closes the socket. */
static natsStatus on_read(void *object, bool add)
{
	struct contact *contact = object;

	if (!add)
		contact->fd = -1;
	return NATS_OK;
}

static natsStatus on_write(void *object, bool add)
{
	struct contact *contact = object;

	contact->wants_to_write = add;
	return NATS_OK;
}

static natsStatus on_detach(void *object)
{
	(void)object;
	return NATS_OK;
}

/* In a thread of libnats'. */
static void on_error(
	natsConnection *connection, natsSubscription *subscription, natsStatus status, void *object)
{
	struct contact *contact = object;
	const char *text = nats_GetLastError(NULL);

	(void)connection, (void)subscription;
	if (status != NATS_NOT_PERMITTED || !text)
		return;
	pthread_mutex_lock(&contact->lock);
	if (contact->objection_count < OBJECTIONS_MAX) {
		char *copy = strdup(text);

		if (copy)
			contact->objections[contact->objection_count++] = copy;
	}
	pthread_mutex_unlock(&contact->lock);
	eventfd_write(contact->wake, 1);
}

/* The last one. */
static void on_closed(natsConnection *connection, void *object)
{
	(void)connection;
	contact_unref(object);
}

/* ---- The thread of an attempt ---- */

/* Why there is no connection to a host: libnats does not tell. */
static void explain_unreachable(const struct attempt *attempt, char why[static WHY_MAX])
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	struct pollfd poller = {.events = POLLOUT};
	AUTO_CLOSE int fd = -1;
	char port[8];
	int r, error = 0;
	socklen_t size = sizeof(error);

	snprintf(port, sizeof(port), "%" PRIu16, attempt->port);
	r = getaddrinfo(attempt->host, port, &hints, &found);
	if (r) {
		because(why, 0, "%s", gai_strerror(r));
		return;
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) == 0 || errno != EINPROGRESS) {
		error = fd < 0 || errno != EINPROGRESS ? errno : 0;
	} else {
		poller.fd = fd;
		if (poll(&poller, 1, CONNECT_MS) == 0)
			error = ETIMEDOUT;
		else
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	}
	freeaddrinfo(found);
	because(why, 0, "%s",
		error ? strerror(error) : "connected, but then it did not answer like a server");
}

/* What libnats says, without the line of its source in front: "(conn.c:1909): Expected 'PONG'" */
static const char *last_error(natsStatus status)
{
	const char *text = nats_GetLastError(NULL), *end = text ? strstr(text, "): ") : NULL;

	if (!text || !*text)
		return natsStatus_GetText(status);
	return *text == '(' && end ? end + strlen("): ") : text;
}

/* What libnats says, as a cause that somebody can remove. */
static void explain(const struct attempt *attempt, natsStatus status, char why[static WHY_MAX])
{
	const char *text = last_error(status);
	const struct login *login = attempt->login;

	if (!attempt->is_tls && strstr(text, "certificate"))
		because(why, 0,
			"it wants TLS: write tls:// into \"servers\", and its authority's "
			"certificate into the file of \"ca\"");
	else if (strstr(text, "unable to get local issuer certificate") ||
		 strstr(text, "self-signed certificate") || strstr(text, "self signed certificate"))
		because(why, 0,
			"its certificate is signed by an authority that is unknown here: put that "
			"authority's certificate into the file of \"ca\"");
	else if (strstr(text, "hostname mismatch") || strstr(text, "IP address mismatch"))
		because(why, 0,
			"its certificate is for another name than %s: write the name that is in "
			"it into \"servers\"",
			attempt->host);
	else if (strstr(text, "certificate has expired"))
		because(why, 0, "its certificate has expired");
	else if (status == NATS_CONNECTION_AUTH_FAILED || strstr(text, "Authorization Violation"))
		because(why, 0, "it refuses the login: wrong %s",
			login->credentials ? "credentials"
			: login->nkey      ? "nkey"
			: login->username  ? "username or password"
					   : "or missing credentials, nkey or username");
	else if (status == NATS_SECURE_CONNECTION_WANTED)
		because(why, 0, "it does not speak TLS: write nats:// into \"servers\"");
	/* libnats 3.4 says the first, 3.10 the second. */
	else if (attempt->is_tls &&
		 (strstr(text, "Expected 'PONG'") || status == NATS_CONNECTION_CLOSED))
		because(why, 0,
			"it does not accept the connection: it wants a client certificate that %s",
			login->certificate ? "is signed by an authority it knows"
					   : "is in the files of \"certificate\" and \"key\"");
	else if (status == NATS_NO_SERVER || status == NATS_TIMEOUT || status == NATS_SYS_ERROR)
		explain_unreachable(attempt, why);
	else
		because(why, 0, "%s", text);
}

static natsStatus set_tls(
	natsOptions *options, const struct attempt *attempt, char why[static WHY_MAX])
{
	const struct login *login = attempt->login;
	AUTO_FREE char *ca = NULL, *certificate = NULL, *key = NULL;
	natsStatus status;

	if (!attempt->is_tls)
		return NATS_OK;
	if ((login->ca && engine_find_file(login->ca, why, &ca) < 0) ||
		(login->certificate &&
			engine_find_file(login->certificate, why, &certificate) < 0) ||
		(login->key && engine_find_file(login->key, why, &key) < 0))
		return NATS_ERR;
	status = natsOptions_SetSecure(options, true);
	if (status == NATS_OK && ca) {
		status = natsOptions_LoadCATrustedCertificates(options, ca);
		if (status != NATS_OK)
			because(why, 0, "%s: no certificates (PEM) in it", ca);
	}
	if (status == NATS_OK && certificate) {
		status = natsOptions_LoadCertificatesChain(options, certificate, key);
		if (status != NATS_OK)
			because(why, 0,
				"%s, %s: no certificate and private key (PEM) that belong together",
				certificate, key);
	}
	return status;
}

static natsStatus set_user(
	natsOptions *options, const struct login *login, char why[static WHY_MAX])
{
	AUTO_FREE char *file = NULL;
	char *password = NULL, public_key[NKEY_PUBLIC_MAX];
	natsStatus status = NATS_OK;

	if (login->credentials) {
		if (engine_find_file(login->credentials, why, &file) < 0)
			return NATS_ERR;
		return natsOptions_SetUserCredentialsFromFiles(options, file, NULL);
	}
	if (login->nkey) {
		if (nkey_public_of_file(login->nkey, why, public_key) < 0 ||
			engine_find_file(login->nkey, why, &file) < 0)
			return NATS_ERR;
		return natsOptions_SetNKeyFromSeed(options, public_key, file);
	}
	if (!login->username)
		return NATS_OK;
	if (engine_read_secret(login->password_file, why, &password) < 0)
		return NATS_ERR;
	status = natsOptions_SetUserInfo(options, login->username, password);
	explicit_bzero(password, strlen(password));
	free(password);
	return status;
}

static natsStatus set_options(
	natsOptions *options, const struct attempt *attempt, char why[static WHY_MAX])
{
	char url[sizeof(attempt->host) + 24];
	bool is_v6 = strchr(attempt->host, ':');
	natsStatus status;

	snprintf(url, sizeof(url), is_v6 ? "nats://[%s]:%" PRIu16 : "nats://%s:%" PRIu16,
		attempt->host, attempt->port);
	status = natsOptions_SetURL(options, url);
	status = status ? status : natsOptions_SetName(options, attempt->login->name);
	status = status ? status : natsOptions_SetTimeout(options, CONNECT_MS);
	status = status ? status : natsOptions_SetAllowReconnect(options, false);
	/* Only what is configured is connected to. */
	status = status ? status : natsOptions_SetIgnoreDiscoveredServers(options, true);
	/* Its timer would close the connection in another thread; the kernel watches the peer. */
	status = status ? status : natsOptions_SetPingInterval(options, 0);
	status = status ? status : natsOptions_SetIOBufSize(options, BUFFER_SIZE);
	status = status ? status : natsOptions_SetSendAsap(options, true);
	status = status ? status : natsOptions_SetErrorHandler(options, on_error, attempt->contact);
	status = status ? status : natsOptions_SetClosedCB(options, on_closed, attempt->contact);
	status = status ? status
			: natsOptions_SetEventLoop(options, attempt->contact, on_attach, on_read,
				  on_write, on_detach);
	status = status ? status : set_tls(options, attempt, why);
	return status ? status : set_user(options, attempt->login, why);
}

/* Returns the connection, or NULL with the reason in why. */
static natsConnection *dial(struct attempt *attempt, char why[static WHY_MAX])
{
	natsConnection *connection = NULL;
	natsOptions *options = NULL;
	natsStatus status = natsOptions_Create(&options);

	*why = '\0';
	if (status == NATS_OK)
		status = set_options(options, attempt, why);
	if (status == NATS_OK) {
		atomic_fetch_add(&attempt->contact->references, 1);
		status = natsConnection_Connect(&connection, options);
		if (status != NATS_OK)
			contact_unref(attempt->contact);
	}
	if (status != NATS_OK && !*why)
		explain(attempt, status, why);
	natsOptions_Destroy(options);
	return status == NATS_OK ? connection : NULL;
}

/* What the libraries have allocated for the calling thread: the process may end before the thread
 * has. */
static void release_thread(void)
{
	nats_ReleaseThreadMemory();
	OPENSSL_thread_stop();
}

static void *attempt_main(void *argument)
{
	struct attempt *attempt = argument;
	char why[WHY_MAX];
	natsConnection *connection;

	natsConnection_Destroy(attempt->old);
	connection = dial(attempt, why);
	pthread_mutex_lock(&attempt->lock);
	attempt->is_done = true;
	attempt->connection = connection;
	memcpy(attempt->why, why, sizeof(why));
	/* Whoever sees that it is done takes the contact. */
	if (attempt->is_abandoned)
		atomic_fetch_sub(&attempt->login->stuck, 1);
	else
		eventfd_write(attempt->contact->wake, 1);
	pthread_mutex_unlock(&attempt->lock);
	attempt_unref(attempt);
	release_thread();
	return NULL;
}

static int start_thread(struct attempt *attempt)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	atomic_fetch_add(&attempt->references, 1);
	r = pthread_create(&thread, &attributes, attempt_main, attempt);
	if (r)
		atomic_fetch_sub(&attempt->references, 1);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

/* ---- The link ---- */

static struct attempt *attempt_new(struct nats_link *link)
{
	struct attempt *attempt = calloc(1, sizeof(*attempt));
	const char *server = link->servers.items[link->server];

	if (!attempt)
		return NULL;
	atomic_init(&attempt->references, 1);
	pthread_mutex_init(&attempt->lock, NULL);
	attempt->login = link->login;
	atomic_fetch_add(&link->login->references, 1);
	attempt->contact = contact_new(link->wake);
	snprintf(attempt->server, sizeof(attempt->server), "%s", server);
	attempt->is_tls = !strncmp(server, "tls://", 6) || link->login->ca ||
			  link->login->certificate;
	if (attempt->contact &&
		engine_split_server(server, DEFAULT_PORT, attempt->host, &attempt->port) >= 0)
		return attempt;
	attempt_unref(attempt);
	return NULL;
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

static void begin_attempt(struct nats_link *link, uint64_t now_ns)
{
	struct attempt *attempt = attempt_new(link);
	int r = attempt ? 0 : -ENOMEM;

	snprintf(link->address, sizeof(link->address), "%s", link->servers.items[link->server]);
	if (r >= 0) {
		attempt->old = take(link->old);
		r = start_thread(attempt);
	}
	if (r >= 0) {
		link->attempt = attempt;
		link->attempt_ns = now_ns;
		return;
	}
	snprintf(link->error, sizeof(link->error), "connecting to %s: %s", link->address,
		strerror(-r));
	if (attempt)
		link->old = take(attempt->old);
	attempt_unref(attempt);
	plan_attempt(link, now_ns);
}

static void abandon_attempt(struct nats_link *link)
{
	struct attempt *attempt = take(link->attempt);

	pthread_mutex_lock(&attempt->lock);
	if (!attempt->is_done)
		atomic_fetch_add(&attempt->login->stuck, 1);
	attempt->is_abandoned = true;
	pthread_mutex_unlock(&attempt->lock);
	attempt_unref(attempt);
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

/* Of one that takes too long. Without bound only as many may be left behind. */
static void leave_attempt(struct nats_link *link, uint64_t now_ns)
{
	if (now_ns - link->attempt_ns < ATTEMPT_NS)
		return;
	if (atomic_load(&link->login->stuck) >= STUCK_MAX) {
		link->attempt_ns += STUCK_LOOK_NS;
		return;
	}
	snprintf(link->error, sizeof(link->error),
		"connecting to %s: no answer in the middle of it for 10 s", link->address);
	abandon_attempt(link);
	plan_attempt(link, now_ns);
}

/* The result of the attempt, if there is one. */
static enum nats_change end_attempt(struct nats_link *link, uint64_t now_ns)
{
	struct attempt *attempt = link->attempt;
	bool is_done;

	pthread_mutex_lock(&attempt->lock);
	is_done = attempt->is_done;
	pthread_mutex_unlock(&attempt->lock);
	if (!is_done) {
		leave_attempt(link, now_ns);
		return NATS_SAME;
	}
	link->attempt = NULL;
	link->connection = take(attempt->connection);
	if (link->connection) {
		link->contact = take(attempt->contact);
		link->error[0] = '\0';
		link->attempt_ns = 0;
		link->up_ns = now_ns;
		link->is_watched = false;
		watch_socket(link);
	} else {
		snprintf(link->error, sizeof(link->error), "connecting to %s: %s", link->address,
			attempt->why);
		plan_attempt(link, now_ns);
	}
	attempt_unref(attempt);
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
		return link->attempt_ns + ATTEMPT_NS;
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
	struct contact *contact = link->contact;
	char *text = NULL;

	if (!contact)
		return false;
	pthread_mutex_lock(&contact->lock);
	if (contact->objection_count)
		text = contact->objections[--contact->objection_count];
	pthread_mutex_unlock(&contact->lock);
	if (!text)
		return false;
	snprintf(ret, NATS_WHY_MAX, "%s", text);
	free(text);
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

static int login_new(const struct nats_settings *settings, const char *handler, struct login **ret)
{
	const struct engine_settings *common = &settings->common;
	struct login *login = calloc(1, sizeof(*login));

	if (!login)
		return -ENOMEM;
	atomic_init(&login->references, 1);
	if (asprintf(&login->name, "mcastd %s %s", common->site, handler) < 0)
		login->name = NULL;
	if (!login->name || string_copy(&login->ca, common->ca) < 0 ||
		string_copy(&login->certificate, common->certificate) < 0 ||
		string_copy(&login->key, common->key) < 0 ||
		string_copy(&login->username, common->username) < 0 ||
		string_copy(&login->password_file, common->password_file) < 0 ||
		string_copy(&login->credentials, settings->credentials) < 0 ||
		string_copy(&login->nkey, settings->nkey) < 0) {
		login_unref(login);
		return -ENOMEM;
	}
	*ret = login;
	return 0;
}

/* Whether a file has the end of a line of PEM, as "PRIVATE KEY-----". Whether the rest is right,
 * libnats says when it connects: it has threads, and there are none before the daemon has dropped
 * its privileges. */
static int check_pem(const char *file, const char *end, const char *what, char why[static WHY_MAX])
{
	AUTO_FREE char *path = NULL;
	char chunk[PEM_MAX];
	AUTO_CLOSE int fd = -1;
	ssize_t size;
	int r = engine_find_file(file, why, &path);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size = fd < 0 ? -1 : read(fd, chunk, sizeof(chunk));
	if (size < 0)
		return because(why, -errno, "%s: %s", path, strerror(errno));
	r = memmem(chunk, (size_t)size, end, strlen(end)) ? 0 : -EINVAL;
	explicit_bzero(chunk, sizeof(chunk));
	return r < 0 ? because(why, r, "%s: has no %s (PEM) in it", path, what) : 0;
}

static int check_password(const char *file, char why[static WHY_MAX])
{
	char *password = NULL;
	int r = engine_read_secret(file, why, &password);

	if (r < 0)
		return r;
	explicit_bzero(password, strlen(password));
	free(password);
	return 0;
}

/* Files that cannot be read are an error of the configuration; later ones are shown as the cause of
 * a missing connection. */
static int check_files(const struct login *login, char why[static WHY_MAX])
{
	const struct {
		const char *file, *end, *what;
	} files[] = {{login->ca, "CERTIFICATE-----", "certificate"},
		{login->certificate, "CERTIFICATE-----", "certificate"},
		{login->key, "PRIVATE KEY-----", "private key"},
		{login->credentials, "NKEY SEED-", "NKey seed"}};
	char public_key[NKEY_PUBLIC_MAX];
	int r = login->password_file ? check_password(login->password_file, why) : 0;

	if (r >= 0 && login->nkey)
		r = nkey_public_of_file(login->nkey, why, public_key);
	for (size_t i = 0; i < ARRAY_SIZE(files) && r >= 0; i++)
		r = files[i].file ? check_pem(files[i].file, files[i].end, files[i].what, why) : 0;
	return r;
}

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
	r = check_files(link->login, why);
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
		abandon_attempt(link);
	natsConnection_Destroy(link->connection);
	natsConnection_Destroy(link->old);
	contact_unref(link->contact);
	login_unref(link->login);
	string_list_clear(&link->servers);
	closep(&link->epoll);
	closep(&link->wake);
	free(link);
	release_thread();
}
