#include "engines/nats/attempt.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "engines/causes.h"
#include "engines/certificates.h"

#define DEFAULT_PORT 4222
/* A server that ends a handshake of TLS sooner does not like it; two seconds are the time that
 * nats-server has for one by default. */
#define SLOW_NS (1500 * NS_PER_MS)

/* For the connection that tells why there is none: whoever waits for the attempt waits for it. */
#define EXPLAIN_MS 2000

#define BUFFER_SIZE (128 * 1024)
#define STACK_SIZE (512 * 1024)

struct attempt {
	atomic_uint references;
	struct login *login;
	struct contact *contact;
	char host[HOST_MAX + 1];
	uint16_t port;
	bool is_tls;
	int patience_ms;
	atomic_bool is_looking_up;
	atomic_uint_least64_t lookup_ns; /* that it took; 0: it is not over */
	struct addrinfo *found; /* then; the thread's */
	natsConnection *old; /* to be closed first, which may wait */
	pthread_mutex_t lock; /* of what follows */
	bool is_done, is_abandoned;
	natsConnection *connection; /* NULL: it failed */
	char why[WHY_MAX];
};

static void attempt_unref(struct attempt *attempt)
{
	if (!attempt || atomic_fetch_sub(&attempt->references, 1) != 1)
		return;
	natsConnection_Destroy(attempt->connection);
	if (attempt->found)
		freeaddrinfo(attempt->found);
	contact_unref(attempt->contact);
	login_unref(attempt->login);
	pthread_mutex_destroy(&attempt->lock);
	free(attempt);
}

/* ---- Why it failed ---- */

/* Why there is no connection to a host: libnats does not tell. */
static void explain_unreachable(
	const struct attempt *attempt, bool is_late, char why[static WHY_MAX])
{
	const struct addrinfo *found = attempt->found;
	struct pollfd poller = {.events = POLLOUT};
	AUTO_CLOSE int fd = -1;
	int error = 0;
	socklen_t size = sizeof(error);

	fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) == 0 || errno != EINPROGRESS) {
		error = fd < 0 || errno != EINPROGRESS ? errno : 0;
	} else {
		poller.fd = fd;
		if (poll(&poller, 1, EXPLAIN_MS) == 0)
			error = ETIMEDOUT;
		else
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	}
	because(why, 0, "%s",
		error     ? strerror(error)
		: is_late ? "it can be connected to, but did not answer in time: is it a NATS "
			    "server, and the way to it fast enough?"
			  : "connected, but then it did not answer like a server");
}

/* What libnats says, without the line of its source in front: "(conn.c:1909): Expected 'PONG'" */
static const char *last_error(natsStatus status)
{
	const char *text = nats_GetLastError(NULL), *end = text ? strstr(text, "): ") : NULL;

	if (!text || !*text)
		return natsStatus_GetText(status);
	return *text == '(' && end ? end + strlen("): ") : text;
}

/* What is wrong with the server's certificate, by what libnats says. Returns whether something is.
 */
static bool explain_certificate(
	const struct attempt *attempt, const char *text, char why[static WHY_MAX])
{
	time_t now = time(NULL);
	struct tm parts;
	char clock[32];

	strftime(clock, sizeof(clock), "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &parts));
	if (strstr(text, "unable to get local issuer certificate") ||
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
		because(why, 0,
			"its certificate, or that of its authority, has expired: renew it "
			"there; " CLOCK_SAYS "%s",
			clock);
	else if (strstr(text, "certificate is not yet valid"))
		because(why, 0,
			"its certificate, or that of its authority, is not valid yet: " CLOCK_SAYS
			"%s; is it right?",
			clock);
	else if (strstr(text, "certificate purpose"))
		because(why, 0,
			"its certificate is for another purpose than a server: make one whose "
			"extended key usage has serverAuth, or none");
	else
		return false;
	return true;
}

/* The server does not say why. */
static void explain_own_certificate(
	const struct login *login, uint64_t took_ns, char why[static WHY_MAX])
{
	char date[WHY_MAX];

	if (certificates_doubt(&login->settings, date))
		because(why, 0, "it does not accept the connection: %s", date);
	else if (took_ns >= SLOW_NS)
		because(why, 0,
			"it closes the connection before it is made: for a way as slow as this, "
			"raise \"timeout\" in the block tls of the server");
	else
		because(why, 0,
			"it does not accept the connection: it wants a client certificate that %s",
			login->settings.common.certificate
				? "is signed by an authority it knows"
				: "is in the files of \"certificate\" and \"key\"");
}

static uint64_t time_beyond(uint64_t ns, uint64_t other_ns)
{
	return ns > other_ns ? ns - other_ns : 0;
}

/* What libnats says after this time, without looking up the name, as a cause that somebody can
 * remove. */
static void explain(const struct attempt *attempt, natsStatus status, uint64_t took_ns,
	char why[static WHY_MAX])
{
	/* It has waited for as long as it may, in whole milliseconds, and what it says comes of
	 * that. */
	bool is_late = attempt_is_late(took_ns, (uint64_t)attempt->patience_ms * NS_PER_MS);
	const char *text = last_error(status);
	const struct nats_settings *settings = &attempt->login->settings;

	if (is_late)
		explain_unreachable(attempt, true, why);
	else if (!attempt->is_tls && strstr(text, "certificate"))
		because(why, 0,
			"it wants TLS: write tls:// into \"servers\", and its authority's "
			"certificate into the file of \"ca\"");
	else if (explain_certificate(attempt, text, why))
		; /* that is it */
	else if (status == NATS_CONNECTION_AUTH_FAILED || strstr(text, "Authorization Violation"))
		because(why, 0, "it refuses the login: wrong %s",
			settings->credentials       ? "credentials"
			: settings->nkey            ? "nkey"
			: settings->common.username ? "username or password"
						    : "or missing credentials, nkey or username");
	else if (status == NATS_SECURE_CONNECTION_WANTED)
		because(why, 0, "it does not speak TLS: write nats:// into \"servers\"");
	/* libnats 3.4 says the first, 3.10 the second. */
	else if (attempt->is_tls &&
		 (strstr(text, "Expected 'PONG'") || status == NATS_CONNECTION_CLOSED))
		explain_own_certificate(attempt->login, took_ns, why);
	else if (status == NATS_NO_SERVER || status == NATS_TIMEOUT || status == NATS_SYS_ERROR)
		explain_unreachable(attempt, false, why);
	else
		because(why, 0, "%s", text);
}

/* ---- The thread ---- */

/* For libnats, which looks the name up again in it. */
static int timeout_ms(const struct attempt *attempt)
{
	return attempt->patience_ms + (int)(atomic_load(&attempt->lookup_ns) / NS_PER_MS);
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
	status = status ? status : natsOptions_SetTimeout(options, timeout_ms(attempt));
	status = status ? status : natsOptions_SetAllowReconnect(options, false);
	/* Only what is configured is connected to. */
	status = status ? status : natsOptions_SetIgnoreDiscoveredServers(options, true);
	/* Its timer would close the connection in another thread; the kernel watches the peer. */
	status = status ? status : natsOptions_SetPingInterval(options, 0);
	status = status ? status : natsOptions_SetIOBufSize(options, BUFFER_SIZE);
	status = status ? status : natsOptions_SetSendAsap(options, true);
	status = status ? status : contact_set_callbacks(attempt->contact, options);
	if (status == NATS_OK && attempt->is_tls)
		status = login_set_tls(attempt->login, options, why);
	return status ? status : login_set_user(attempt->login, options, why);
}

/* libnats counts the lookup as time of the server, and does not say that the name was the reason.
 */
static bool resolves(struct attempt *attempt, char why[static WHY_MAX])
{
	struct addrinfo hints = {.ai_flags = AI_ADDRCONFIG, .ai_socktype = SOCK_STREAM};
	uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
	char port[8];
	int r;

	snprintf(port, sizeof(port), "%" PRIu16, attempt->port);
	atomic_store(&attempt->is_looking_up, true);
	r = getaddrinfo(attempt->host, port, &hints, &attempt->found);
	atomic_store(&attempt->lookup_ns, clock_ns(CLOCK_MONOTONIC) - begin_ns);
	atomic_store(&attempt->is_looking_up, false);
	if (r)
		because(why, 0, "the name does not resolve: %s", gai_strerror(r));
	return !r;
}

/* Returns the connection, or NULL with the reason in why. */
static natsConnection *dial(struct attempt *attempt, char why[static WHY_MAX])
{
	natsConnection *connection = NULL;
	natsOptions *options = NULL;
	natsStatus status;
	uint64_t begin_ns;

	if (!resolves(attempt, why))
		return NULL;
	*why = '\0';
	status = natsOptions_Create(&options);
	begin_ns = clock_ns(CLOCK_MONOTONIC);
	if (status == NATS_OK)
		status = set_options(options, attempt, why);
	if (status == NATS_OK) {
		contact_ref(attempt->contact);
		status = natsConnection_Connect(&connection, options);
		if (status != NATS_OK)
			contact_unref(attempt->contact);
	}
	if (status != NATS_OK && !*why)
		explain(attempt, status,
			time_beyond(clock_ns(CLOCK_MONOTONIC) - begin_ns, attempt->lookup_ns), why);
	natsOptions_Destroy(options);
	return status == NATS_OK ? connection : NULL;
}

void attempt_release_thread(void)
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
	attempt_release_thread();
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

/* ---- Whoever waits for it ---- */

static struct attempt *attempt_new(
	struct login *login, const char *server, uint64_t patience_ns, int wake)
{
	struct attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt)
		return NULL;
	atomic_init(&attempt->references, 1);
	pthread_mutex_init(&attempt->lock, NULL);
	attempt->login = login_ref(login);
	attempt->patience_ms = (int)(patience_ns / NS_PER_MS);
	attempt->contact = contact_new(wake);
	attempt->is_tls = !strncmp(server, "tls://", 6) || login->settings.common.ca ||
			  login->settings.common.certificate;
	if (attempt->contact &&
		engine_split_server(server, DEFAULT_PORT, attempt->host, &attempt->port) >= 0)
		return attempt;
	attempt_unref(attempt);
	return NULL;
}

int attempt_start(struct login *login, const char *server, uint64_t patience_ns, int wake,
	natsConnection *old, struct attempt **ret)
{
	struct attempt *attempt = attempt_new(login, server, patience_ns, wake);
	int r;

	if (!attempt)
		return -ENOMEM;
	attempt->old = old;
	r = start_thread(attempt);
	if (r < 0)
		attempt_unref(attempt);
	else
		*ret = attempt;
	return r;
}

bool attempt_is_looking_up(const struct attempt *attempt)
{
	return atomic_load(&attempt->is_looking_up);
}

uint64_t attempt_lookups_ns(const struct attempt *attempt)
{
	return 2 * atomic_load(&attempt->lookup_ns);
}

bool attempt_is_over(struct attempt *attempt)
{
	bool is_done;

	pthread_mutex_lock(&attempt->lock);
	is_done = attempt->is_done;
	pthread_mutex_unlock(&attempt->lock);
	return is_done;
}

natsConnection *attempt_end(struct attempt *attempt, struct contact **ret, char why[static WHY_MAX])
{
	natsConnection *connection = take(attempt->connection);

	if (connection)
		*ret = take(attempt->contact);
	else
		memcpy(why, attempt->why, sizeof(attempt->why));
	attempt_unref(attempt);
	return connection;
}

void attempt_abandon(struct attempt *attempt)
{
	pthread_mutex_lock(&attempt->lock);
	if (!attempt->is_done)
		atomic_fetch_add(&attempt->login->stuck, 1);
	attempt->is_abandoned = true;
	pthread_mutex_unlock(&attempt->lock);
	attempt_unref(attempt);
}
