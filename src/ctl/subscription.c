#include "ctl/subscription.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

/* Between two attempts. Where something accepts the connection and the daemon does not come, as
 * with a unit that fails to start, each attempt may start it: that is longer. */
#define PAUSE_MIN_NS (250 * NS_PER_MS)
#define PAUSE_ABSENT_NS (1 * NS_PER_S)
#define PAUSE_MAX_NS (5 * NS_PER_S)

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

/* A cheap call in front tells when the daemon has come back: Subscribe is only answered when
 * something arrives. */
static int request(struct subscription *subscription)
{
	struct session *session = subscription->session;
	struct text nothing = {0};
	int r = 0;

	subscription->greeted = !subscription->lost_ns;
	if (!subscription->greeted)
		r = client_request(session->client, "GetStatus", &nothing, false);
	text_clear(&session->parameters);
	session_put_names(session, "groups", subscription->groups, subscription->count);
	if (r == 0)
		r = client_request(session->client, "Subscribe", &session->parameters, true);
	text_clear(&session->parameters);
	return r == 0 ? client_flush(session->client) : r;
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

	if (subscription->reconnects)
		return subscription_retry(subscription);
	subscription->greeted = true;
	session_put_names(session, "groups", subscription->groups, subscription->count);
	return session_request(session, "Subscribe", true);
}

bool subscription_takes(struct subscription *subscription, const struct reply *reply)
{
	uint64_t away_ns = clock_ns(CLOCK_MONOTONIC) - subscription->lost_ns;

	if (subscription->greeted || reply->error)
		return false;
	session_fail(subscription->session, EXIT_DONE, "mcastd at %s is there after %.1f s",
		subscription->session->socket, (double)away_ns / NS_PER_S);
	subscription->greeted = true;
	subscription->lost_ns = 0;
	subscription->told = 0;
	return true;
}
