#include "ctl/subscription.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

/* Between two attempts. Where something accepts the connection and the daemon does not come, as
 * with a unit that fails to start, each attempt may start it: that is longer. */
#define PAUSE_MIN_NS (250 * NS_PER_MS)
#define PAUSE_ABSENT_NS (1 * NS_PER_S)
#define PAUSE_MAX_NS (5 * NS_PER_S)

#define UNJOINED_TOLD_MAX 8 /* memberships of a group */

/* Whether a daemon that starts, or starts again, may change it. */
static bool may_pass(const struct subscription *subscription, int error)
{
	switch (-error) {
	case EACCES: /* of a socket whose group is not set yet */
		return subscription->lost_ns;
	case EAGAIN:
	case ECONNREFUSED:
	case ECONNRESET:
	case EINTR:
	case ENOENT:
	case EPIPE:
	case ETIMEDOUT:
		return subscription->reconnects;
	default:
		return false;
	}
}

static const char *describe(int error)
{
	switch (-error) {
	case ENOENT:
		return "no such file";
	case ECONNREFUSED:
		return "nobody listens";
	default:
		return strerror(-error);
	}
}

static void plan_retry(struct subscription *subscription, uint64_t pause_max_ns)
{
	uint64_t pause_ns = 2 * subscription->pause_ns;

	if (pause_ns < PAUSE_MIN_NS)
		pause_ns = PAUSE_MIN_NS;
	if (pause_ns > pause_max_ns)
		pause_ns = pause_max_ns;
	subscription->pause_ns = pause_ns;
	subscription->retry_ns = clock_ns(CLOCK_MONOTONIC) + pause_ns;
}

int subscription_lost(struct subscription *subscription, int error)
{
	struct session *session = subscription->session;

	if (!subscription->reconnects || !may_pass(subscription, error))
		return session_lost(session, error);
	client_close(take(session->client));
	if (!subscription->lost_ns) {
		subscription->lost_ns = clock_ns(CLOCK_MONOTONIC);
		subscription->pause_ns = 0;
		session_fail(session, EXIT_DONE, "mcastd at %s has gone away: waiting for it",
			session->socket);
	}
	plan_retry(subscription, PAUSE_MAX_NS);
	return EXIT_DONE;
}

/* There is no connection. Says so once, and again where the reason is an unusual one. */
static int wait_for_socket(struct subscription *subscription, int error)
{
	struct session *session = subscription->session;
	bool is_usual = error == -ENOENT || error == -ECONNREFUSED;

	if (!may_pass(subscription, error))
		return session_no_daemon(session, error);
	if (!subscription->lost_ns || (!is_usual && error != subscription->told))
		session_fail(session, EXIT_DONE, "no mcastd at %s: %s: waiting for it",
			session->socket, describe(error));
	if (!subscription->lost_ns)
		subscription->lost_ns = clock_ns(CLOCK_MONOTONIC);
	subscription->told = error;
	plan_retry(subscription, PAUSE_ABSENT_NS);
	return EXIT_DONE;
}

static int request_groups(struct subscription *subscription, const char *method, bool more)
{
	struct session *session = subscription->session;
	int r = 0;

	text_clear(&session->parameters);
	session_put_names(session, "groups", subscription->groups, subscription->count);
	if (!session->code)
		r = client_request(session->client, method, &session->parameters, more);
	text_clear(&session->parameters);
	return r;
}

/* A cheap call in front tells when the daemon has come back: Subscribe is only answered when
 * something arrives. At the first connection the call in front asks how the named groups are. */
static int request(struct subscription *subscription)
{
	struct session *session = subscription->session;
	struct text nothing = {0};
	int r = 0;

	subscription->greeted = !subscription->lost_ns;
	subscription->listing = subscription->greeted && subscription->count;
	if (!subscription->greeted)
		r = client_request(session->client, "GetStatus", &nothing, false);
	else if (subscription->listing)
		r = request_groups(subscription, "ListGroups", false);
	if (r == 0)
		r = request_groups(subscription, "Subscribe", true);
	return r == 0 && !session->code ? client_flush(session->client) : r;
}

int subscription_retry(struct subscription *subscription)
{
	struct session *session = subscription->session;
	int r = session->client ? 0 : session_open(session);

	if (r < 0)
		return wait_for_socket(subscription, r);
	r = request(subscription);
	if (session->code)
		return session->code;
	return r < 0 ? subscription_lost(subscription, r) : EXIT_DONE;
}

int subscription_open(struct subscription *subscription)
{
	struct session *session = subscription->session;
	int code, r;

	if (subscription->reconnects)
		return subscription_retry(subscription);
	code = session_connect(session);
	if (code)
		return code;
	r = request(subscription);
	if (session->code)
		return session->code;
	return r < 0 ? session_lost(session, r) : EXIT_DONE;
}

static const char *text_of(const json_t *membership, const char *key)
{
	return json_string_value(json_object_get(membership, key));
}

/* Joined, and on an interface at which something can arrive. */
static bool is_received(const json_t *membership)
{
	const char *state = text_of(membership, "state");

	return state && !strcmp(state, "joined") && !text_of(membership, "error");
}

/* Why nothing of a group arrives, in the words of the daemon's log. */
static void tell_unjoined(const struct session *session, const json_t *group)
{
	const json_t *memberships = json_object_get(group, "memberships");
	const char *name = text_of(group, "name");
	size_t count = json_array_size(memberships);

	for (size_t i = 0; i < count; i++)
		if (is_received(json_array_get(memberships, i)))
			return;
	for (size_t i = 0; name && i < count && i < UNJOINED_TOLD_MAX; i++) {
		const json_t *membership = json_array_get(memberships, i);
		const char *state = text_of(membership, "state");
		const char *interface = text_of(membership, "interface");
		const char *error = text_of(membership, "error");

		if (!state || !interface || !error)
			continue;
		session_fail(session, EXIT_DONE, "%s: %s %s: %s", name,
			!strcmp(state, "waiting")  ? "waiting for"
			: !strcmp(state, "joined") ? "joined on"
						   : "not joined on",
			interface, error);
	}
}

bool subscription_takes(struct subscription *subscription, const struct reply *reply)
{
	uint64_t away_ns = clock_ns(CLOCK_MONOTONIC) - subscription->lost_ns;

	if (subscription->listing) {
		const json_t *groups = json_object_get(reply->parameters, "groups");

		for (size_t i = 0; i < json_array_size(groups); i++)
			tell_unjoined(subscription->session, json_array_get(groups, i));
		subscription->listing = false;
		return true; /* what is an error here, is one of Subscribe as well */
	}
	if (subscription->greeted || reply->error)
		return false;
	session_fail(subscription->session, EXIT_DONE, "mcastd at %s is there after %.1f s",
		subscription->session->socket, (double)away_ns / NS_PER_S);
	subscription->greeted = true;
	subscription->lost_ns = 0;
	subscription->told = 0;
	return true;
}
