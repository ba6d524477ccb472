#include "engines/mqtt/connection.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "engines/causes.h"
#include "engines/mqtt/cause.h"
#include "engines/mqtt/client.h"
#include "engines/mqtt/goodbye.h"
#include "engines/mqtt/lookup.h"
#include "engines/mqtt/tls.h"
#include "engines/mqtt/turns.h"
#include "handlers/ledger.h"

#define ATTEMPT_NS (10 * NS_PER_S) /* each of: looking up, TCP, TLS and the broker's answer */
#define STABLE_NS (10 * NS_PER_S) /* a connection that lasted this long resets the pause */
#define SHORT_LIVED_MANY 3
#define READS_MAX 64 /* calls of the library's reader in one serve() */
#define UNREAD_MAX 16384 /* messages whose answers the broker does not read */
#define PORT_PLAIN 1883
#define PORT_TLS 8883

enum state { STATE_STOPPED, STATE_PAUSE, STATE_LOOKUP, STATE_TCP, STATE_HANDSHAKE, STATE_UP };

enum tag { TAG_OTHER = CONNECTION_OTHER, TAG_SOCKET, TAG_LOOKUP };

struct connection {
	const struct mqtt_settings *settings;
	const char *name;
	struct ledger *ledger;
	const struct connection_events *events;
	void *object;
	struct client client;
	int epoll;
	enum state state;
	uint64_t due_ns; /* the end of this state, or in STATE_UP the next look at the ping */
	uint64_t up_ns; /* since when it is up */
	struct turns turns;
	struct lookup *lookup;
	char address[NUMBER_MAX]; /* that is tried; "": none yet */
	struct causes causes; /* that were logged since it was up */
	int watched; /* the socket in epoll, or -1 */
	uint32_t watched_for;
	bool must_read;
	bool is_gathering;
	bool forgets; /* connection_forget() */
	unsigned short_lived; /* connections that were lost at once, in a row */
	struct log_limit limit; /* of those */
};

static struct server *server(const struct connection *connection)
{
	return turns_server(&connection->turns);
}

/* ---- Telling why ---- */

/* Of one that is up. */
static bool is_stable(const struct connection *connection)
{
	return clock_ns(CLOCK_MONOTONIC) - connection->up_ns >= STABLE_NS;
}

static struct cause cause_of(const struct connection *connection, int code)
{
	bool was_up = connection->state == STATE_UP;

	return (struct cause){.code = code,
		.error = connection->client.errno_then,
		.refused = connection->client.refused,
		.certificate = connection->client.tls ? tls_error(connection->client.tls) : NULL,
		.said = connection->client.said,
		.has_username = connection->settings->common.username,
		.has_tls = connection->client.tls,
		.was_up = was_up,
		.was_short = was_up && connection->short_lived >= SHORT_LIVED_MANY &&
			     !is_stable(connection)};
}

static void explain(const struct connection *connection, int code, char ret[static WHY_MAX])
{
	struct cause cause = cause_of(connection, code);

	cause_explain(&cause, ret);
}

/* Whether the log takes one more line of a connection that comes and goes. */
static bool passes(struct connection *connection)
{
	return connection->short_lived < SHORT_LIVED_MANY || log_limit_pass(&connection->limit);
}

static void tell(struct connection *connection, const char *why)
{
	struct server *at = server(connection);
	bool was_up = connection->state == STATE_UP;
	bool is_named = *connection->address && strcmp(connection->address, at->host) != 0;
	char text[2 * WHY_MAX], address[NUMBER_MAX + 4] = "";

	if (is_named)
		snprintf(address, sizeof(address), " (%s)", connection->address);
	if (was_up)
		snprintf(text, sizeof(text), "connection to %s lost: %s", at->url, why);
	else
		snprintf(text, sizeof(text), "connecting to %s%s: %s", at->url, address, why);
	if (was_up ? passes(connection) : engine_causes_add(&connection->causes, text))
		log_warning("handler %s: %s", connection->name, text);
	ledger_set_error(connection->ledger, connection->object, text);
}

/* ---- The socket in epoll ---- */

static void unwatch(struct connection *connection)
{
	if (connection->watched >= 0)
		epoll_ctl(connection->epoll, EPOLL_CTL_DEL, connection->watched, NULL);
	connection->watched = -1;
}

static bool wants_write(const struct connection *connection)
{
	SSL *ssl = mosquitto_ssl_get(connection->client.library);

	if (connection->state == STATE_TCP)
		return true;
	/* The library says yes during all of the handshake. */
	if (ssl && !SSL_is_init_finished(ssl))
		return SSL_want_write(ssl);
	return mosquitto_want_write(connection->client.library);
}

/* Waits for what is wanted of the socket now. */
static void watch(struct connection *connection)
{
	int fd = connection->state >= STATE_TCP ? mosquitto_socket(connection->client.library) : -1;
	bool reads = connection->client.reads && connection->state != STATE_TCP;
	struct epoll_event event = {.data.u32 = TAG_SOCKET};

	if (fd != connection->watched)
		unwatch(connection);
	if (fd < 0)
		return;
	event.events = (reads ? EPOLLIN : 0) | (wants_write(connection) ? EPOLLOUT : 0);
	if (fd == connection->watched && event.events == connection->watched_for)
		return;
	if (epoll_ctl(connection->epoll, fd == connection->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
		    fd, &event) < 0)
		log_error("handler %s: epoll: %s", connection->name, strerror(errno));
	connection->watched = fd;
	connection->watched_for = event.events;
}

/* ---- Attempts ---- */

static void set_state(struct connection *connection, enum state state, uint64_t lasts_ns)
{
	connection->state = state;
	connection->due_ns = clock_ns(CLOCK_MONOTONIC) + lasts_ns;
}

static void end_lookup(struct connection *connection)
{
	if (connection->lookup)
		epoll_ctl(connection->epoll, EPOLL_CTL_DEL, lookup_fd(connection->lookup), NULL);
	lookup_free(take(connection->lookup));
}

/* Jittered to 1.0-1.5 x the pause, so that the sites of a broker do not come back all at once. */
static void wait_a_while(struct connection *connection, uint64_t pause_ns)
{
	set_state(connection, STATE_PAUSE,
		pause_ns + clock_ns(CLOCK_MONOTONIC) / 1000 * 1000003 % (pause_ns / 2 + 1));
}

static void begin_attempt(struct connection *connection);

/* To the next server; after the last one waits for longer and longer. */
static void next_server(struct connection *connection)
{
	uint64_t pause_ns = turns_fail(&connection->turns);

	end_lookup(connection);
	if (pause_ns)
		wait_a_while(connection, pause_ns);
	else
		begin_attempt(connection);
}

static void fail_server(struct connection *connection, const char *why)
{
	tell(connection, why);
	unwatch(connection);
	next_server(connection);
}

/* Reads the secrets, which may have been replaced, and connects to an address. */
static int prepare(struct connection *connection, char why[static WHY_MAX])
{
	const struct engine_settings *settings = &connection->settings->common;
	char *password = NULL;
	int r = 0;

	because(why, -ENOMEM, "out of memory"); /* unless one of them says otherwise */
	if (connection->client.tls) {
		r = tls_load(connection->client.tls, settings, why);
		if (r >= 0)
			r = tls_expect(connection->client.tls, server(connection)->host);
	}
	if (r >= 0 && settings->password_file)
		r = engine_read_secret(settings->password_file, why, &password);
	if (r >= 0 && settings->username &&
		mosquitto_username_pw_set(connection->client.library, settings->username, password))
		r = because(why, -EINVAL, "username cannot be used");
	if (password)
		explicit_bzero(password, strlen(password));
	free(password);
	return r;
}

/* Connects to the next address of the name; whether there is one that is not refused at once. */
static bool connect_next(struct connection *connection)
{
	char why[WHY_MAX];
	int code;

	while (lookup_next(connection->lookup, connection->address)) {
		code = mqtt_client_connect(
			&connection->client, connection->address, server(connection)->port);
		if (!code) {
			set_state(connection, STATE_TCP, ATTEMPT_NS);
			return true;
		}
		explain(connection, code, why);
		tell(connection, why);
	}
	return false;
}

static void try_next_address(struct connection *connection)
{
	unwatch(connection);
	if (!connect_next(connection))
		next_server(connection);
}

static void fail_address(struct connection *connection, const char *why)
{
	tell(connection, why);
	try_next_address(connection);
}

static void use_lookup(struct connection *connection)
{
	const char *error = lookup_error(connection->lookup);
	char why[WHY_MAX];

	epoll_ctl(connection->epoll, EPOLL_CTL_DEL, lookup_fd(connection->lookup), NULL);
	if (error) {
		because(why, 0, "the name does not resolve: %s", error);
		fail_server(connection, why);
	} else if (prepare(connection, why) < 0) {
		fail_server(connection, why);
	} else {
		try_next_address(connection);
	}
}

static void begin_attempt(struct connection *connection)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = TAG_LOOKUP};
	int r;

	set_state(connection, STATE_LOOKUP, ATTEMPT_NS);
	*connection->address = '\0';
	r = lookup_start(server(connection)->host, &connection->lookup);
	if (r >= 0 && epoll_ctl(connection->epoll, EPOLL_CTL_ADD, lookup_fd(connection->lookup),
			      &event) < 0)
		r = -errno;
	if (r < 0)
		fail_server(connection, r == -EBUSY ? "the name service has not answered earlier "
						      "questions"
						    : strerror(-r));
}

/* ---- Up and down ---- */

/* Between two checks whether a ping is due: the broker waits for one and a half times what it has
 * asked for. */
static uint64_t check_ns(const struct connection *connection)
{
	unsigned keepalive = connection->client.keepalive_s;

	return (keepalive && keepalive < KEEPALIVE_S ? keepalive : KEEPALIVE_S) * NS_PER_S / 3;
}

/* A broker may ask for no pings, and an end that only reads would not notice that the way is gone.
 */
static void keep_alive(const struct connection *connection)
{
	int fd = mosquitto_socket(connection->client.library), on = 1, seconds = KEEPALIVE_S;

	if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
}

static void go_up(struct connection *connection)
{
	const struct mqtt_settings *settings = connection->settings;
	char why[WHY_MAX];

	mqtt_client_connected(&connection->client);
	end_lookup(connection);
	if (connection->client.qos_max < settings->qos) {
		because(why, 0, "the broker has no QoS above %u (qos)", connection->client.qos_max);
		fail_server(connection, why);
		return;
	}
	keep_alive(connection);
	set_state(connection, STATE_UP, check_ns(connection));
	connection->up_ns = clock_ns(CLOCK_MONOTONIC);
	turns_succeed(&connection->turns);
	connection->forgets = false;
	if (connection->short_lived < SHORT_LIVED_MANY)
		engine_causes_forget(&connection->causes);
	if (passes(connection))
		log_info("handler %s: connected to %s", connection->name, server(connection)->url);
	ledger_set_error(connection->ledger, connection->object, NULL);
	connection->events->up(connection->object);
}

/* Whether the library has forgotten its list. */
static bool forget(struct connection *connection)
{
	return connection->forgets && mqtt_client_create(&connection->client) >= 0;
}

static void go_down(struct connection *connection, const char *why)
{
	bool was_stable = is_stable(connection);
	bool taken_over = connection->client.is_lost &&
			  connection->client.lost == MQTT_RC_SESSION_TAKEN_OVER;
	uint64_t pause_ns;

	/* Those before it may have been too short for that. */
	if (was_stable) {
		connection->short_lived = 0;
		engine_causes_forget(&connection->causes);
	}
	tell(connection, why);
	unwatch(connection);
	connection->state = STATE_PAUSE;
	connection->short_lived += !was_stable;
	connection->events->down(connection->object, forget(connection));
	pause_ns = turns_lose(&connection->turns, was_stable);
	wait_a_while(connection, taken_over ? PAUSE_MAX_NS : pause_ns);
}

static void lose(struct connection *connection, const char *why)
{
	if (connection->state == STATE_UP)
		go_down(connection, why);
	else
		fail_address(connection, why);
}

/* After a call of the library. Returns whether the connection is still there. */
static bool survives(struct connection *connection, int code)
{
	char why[WHY_MAX];

	if (!code && mosquitto_socket(connection->client.library) >= 0 &&
		!connection->client.is_lost)
		return true;
	if (!connection->client.is_lost)
		connection->client.errno_then = errno;
	explain(connection, connection->client.is_lost ? connection->client.lost : code, why);
	lose(connection, why);
	return false;
}

/* ---- Reading and writing ---- */

static bool write_out(struct connection *connection)
{
	return survives(connection, mosquitto_loop_write(connection->client.library, 1));
}

/* Reads what there is. Returns whether the connection is still there. */
static bool read_in(struct connection *connection)
{
	for (int i = 0; i < READS_MAX && connection->client.reads; i++) {
		bool is_empty;
		int code;

		errno = 0;
		connection->client.messages = 0;
		code = mosquitto_loop_read(connection->client.library, 1);
		is_empty = errno == EAGAIN;
		connection->must_read |= connection->client.messages >= MESSAGES_MAX;
		if (!survives(connection, code))
			return false;
		/* The library would store the answers, without a limit. */
		if (connection->client.unread > UNREAD_MAX) {
			lose(connection, "the broker does not read what is sent to it");
			return false;
		}
		if (connection->client.is_accepted && connection->state == STATE_HANDSHAKE) {
			go_up(connection);
			return connection->state == STATE_UP;
		}
		if (is_empty)
			break;
	}
	return true;
}

static void finish_tcp(struct connection *connection)
{
	socklen_t size = sizeof(int);
	char why[WHY_MAX];
	struct cause cause;
	int error = 0;

	if (getsockopt(mosquitto_socket(connection->client.library), SOL_SOCKET, SO_ERROR, &error,
		    &size) < 0)
		error = errno;
	if (error) {
		connection->client.errno_then = error;
		cause = cause_of(connection, MOSQ_ERR_ERRNO);
		cause_explain_code(&cause, why);
		fail_address(connection, why);
		return;
	}
	set_state(connection, STATE_HANDSHAKE, ATTEMPT_NS);
	/* The library has tried before there was a connection, and goes on here. */
	if (!connection->client.tls || read_in(connection))
		write_out(connection);
}

static void step(struct connection *connection, uint32_t events)
{
	bool is_broken = events & (EPOLLHUP | EPOLLERR);
	bool must_read = connection->must_read && connection->client.reads;
	SSL *ssl = mosquitto_ssl_get(connection->client.library);
	bool shakes_hands = ssl && !SSL_is_init_finished(ssl);

	if (is_broken && !connection->client.reads) {
		lose(connection, "the connection is broken");
		return;
	}
	if (must_read || shakes_hands || events & EPOLLIN || is_broken) {
		connection->must_read = false;
		if (!read_in(connection))
			return;
	}
	if (is_broken && connection->state == STATE_HANDSHAKE) {
		/* The library takes some errors of TLS for a pause. */
		lose(connection, "the broker closed the connection without an answer");
		return;
	}
	if (mosquitto_want_write(connection->client.library))
		write_out(connection);
}

static void time_out(struct connection *connection)
{
	switch (connection->state) {
	case STATE_PAUSE:
		begin_attempt(connection);
		break;
	case STATE_LOOKUP:
		fail_server(connection, "the name does not resolve: no answer");
		break;
	case STATE_TCP:
	case STATE_HANDSHAKE:
		fail_address(connection, "no answer");
		break;
	case STATE_UP:
		connection->due_ns = clock_ns(CLOCK_MONOTONIC) + check_ns(connection);
		/* An answer may wait where it is not read now. */
		if (connection->client.reads)
			survives(connection, mosquitto_loop_misc(connection->client.library));
		break;
	case STATE_STOPPED:
		break;
	}
}

void connection_serve(struct connection *connection)
{
	struct epoll_event events[4];
	uint32_t of_socket = 0;
	bool is_found = false;
	int n = epoll_wait(connection->epoll, events, ARRAY_SIZE(events), 0);

	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == TAG_SOCKET)
			of_socket = events[i].events;
		is_found |= events[i].data.u32 == TAG_LOOKUP;
	}
	if (connection->state == STATE_LOOKUP && is_found)
		use_lookup(connection);
	else if (connection->state == STATE_TCP && of_socket)
		finish_tcp(connection);
	else if (connection->state >= STATE_HANDSHAKE && (of_socket || connection->must_read))
		step(connection, of_socket);
	if (connection->due_ns && clock_ns(CLOCK_MONOTONIC) >= connection->due_ns)
		time_out(connection);
	watch(connection);
}

uint64_t connection_deadline(const struct connection *connection)
{
	bool must_read = connection->must_read && connection->client.reads;

	return must_read && connection->state >= STATE_HANDSHAKE ? 1 : connection->due_ns;
}

int connection_descriptor(const struct connection *connection)
{
	return connection->epoll;
}

bool connection_is_up(const struct connection *connection)
{
	return connection->state == STATE_UP;
}

bool connection_is_writable(const struct connection *connection)
{
	return connection->state == STATE_UP && !mosquitto_want_write(connection->client.library);
}

unsigned connection_inflight_max(const struct connection *connection)
{
	return connection->client.receive_max;
}

void connection_read(struct connection *connection, bool reads)
{
	/* TLS may have decrypted what is left. */
	connection->must_read |= reads && !connection->client.reads &&
				 connection->state == STATE_UP;
	connection->client.reads = reads;
	watch(connection);
}

void connection_gather(struct connection *connection, bool gathers)
{
	int fd = connection->state == STATE_UP ? mosquitto_socket(connection->client.library) : -1;
	int on = gathers;

	if (fd >= 0 && connection->is_gathering != gathers)
		setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
	connection->is_gathering = gathers && fd >= 0;
	if (!gathers)
		watch(connection);
}

/* ---- Publishing and subscribing ---- */

int connection_publish(
	struct connection *connection, const struct publication *publication, int *ret_id)
{
	int r = publication_send(publication, connection->client.library,
		(int)connection->settings->qos, connection->client.packet_max, ret_id);

	if (r == -EIO)
		connection->must_read = true; /* that finds out */
	return r;
}

/* In MQTT 5: neither what this connection has published itself, nor what was retained. */
int connection_subscribe(struct connection *connection, const char *filter, int *ret_id)
{
	int options = MQTT_SUB_OPT_NO_LOCAL | MQTT_SUB_OPT_SEND_RETAIN_NEVER;

	if (connection->state != STATE_UP)
		return -ENOTCONN;
	if (mosquitto_subscribe_v5(connection->client.library, ret_id, filter,
		    (int)connection->settings->qos, options, NULL))
		return -EIO;
	return 0;
}

int connection_unsubscribe(struct connection *connection, const char *filter)
{
	if (connection->state != STATE_UP)
		return -ENOTCONN;
	return mosquitto_unsubscribe(connection->client.library, NULL, filter) ? -EIO : 0;
}

void connection_forget(struct connection *connection)
{
	connection->forgets = true;
}

void connection_renew(struct connection *connection, const char *why)
{
	connection->client.is_lost = false;
	if (connection->state == STATE_UP)
		go_down(connection, why);
}

/* ---- Beginning and end ---- */

static bool uses_tls(const struct mqtt_settings *settings)
{
	return !strncmp(settings->common.servers.items[0], "mqtts:", 6);
}

int connection_new(const struct mqtt_settings *settings, const char *name, struct ledger *ledger,
	const struct connection_events *events, void *object, char why[static WHY_MAX],
	struct connection **ret)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int r = 0;

	because(why, -ENOMEM, "out of memory"); /* unless one of them says otherwise */
	if (!connection)
		return -ENOMEM;
	connection->settings = settings;
	connection->name = name;
	connection->client = (struct client){.settings = settings,
		.name = name,
		.events = &events->of_client,
		.object = object,
		.reads = true};
	connection->ledger = ledger;
	connection->events = events;
	connection->object = object;
	connection->watched = -1;
	connection->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (connection->epoll < 0)
		r = because(why, -errno, "epoll: %s", strerror(errno));
	if (r >= 0 && uses_tls(settings))
		r = tls_new(&connection->client.tls);
	if (r >= 0)
		r = turns_init(&connection->turns, &settings->common.servers,
			connection->client.tls ? PORT_TLS : PORT_PLAIN);
	mosquitto_lib_init();
	if (r >= 0)
		r = mqtt_client_create(&connection->client);
	/* To find out now what is wrong with the files. */
	if (r >= 0)
		r = prepare(connection, why);
	if (r < 0)
		connection_free(connection);
	else
		*ret = connection;
	return r;
}

void connection_free(struct connection *connection)
{
	if (!connection)
		return;
	end_lookup(connection);
	mqtt_client_destroy(&connection->client);
	tls_free(connection->client.tls);
	closep(&connection->epoll);
	turns_clear(&connection->turns);
	free(connection);
}

void connection_start(struct connection *connection)
{
	begin_attempt(connection);
	watch(connection);
}

void connection_stop(struct connection *connection, uint64_t until_ns)
{
	end_lookup(connection);
	unwatch(connection);
	if (connection->state == STATE_UP)
		goodbye(connection->client.library, until_ns);
	connection->state = STATE_STOPPED;
	connection->due_ns = 0;
	connection->must_read = false;
}
