#include "groups/rounds.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/timer.h"

#define PAUSE_NS 2000000

/* How long there is no pause after a receive buffer was about to overflow, in whole seconds of the
 * clock. */
#define AWAKE_S 2

/* As many wake-ups within the time of a pause, and there are pauses. */
#define WAKE_UPS 4

/* When this number of rounds has found fewer sockets in all, there are no more: a few datagrams
 * cost less without. Traffic may come in bursts. */
#define ROUNDS_TOGETHER 4

/* How many sockets the kernel is asked for at once. */
#define FOUND_MAX 1024

/* What is read before the loop looks at its other descriptors: fewer sockets where some are read at
 * once, as looking takes about the time of one. */
#define SLICE_SOCKETS 32
#define SLICE_SOCKETS_PROMPT 8
#define SLICE_DATAGRAMS 256

struct rounds {
	const struct round_callbacks *callbacks;
	int epoll; /* of all members that are added, edge-triggered */
	int gate; /* an epoll instance with that one alone, which the loop polls */
	int timer; /* libevent's own are as coarse as the kernel's tick, 4 or 10 ms */
	struct event readable; /* of gate */
	struct event due, turn;
	bool pauses; /* gate is closed, and the timer says when to look */
	unsigned looks, sockets; /* since found_little(): rounds, and what they found */
	bool went_on; /* one that had more was read on since the last look */
	bool is_running; /* the timer */
	bool is_due; /* the next round, after this one */
	uint64_t counted_ns; /* CLOCK_MONOTONIC: since when the wake-ups are counted */
	unsigned wake_ups;
	uint32_t awake_until_s; /* CLOCK_MONOTONIC_COARSE: no pause before */
	int prompt; /* sockets that the loop reads at once */
	struct link unfinished; /* members with more to read */
	struct link held;
	struct epoll_event found[FOUND_MAX];
	unsigned count, next; /* of found */
};

static int run(struct rounds *rounds, bool on)
{
	struct timespec interval = {.tv_nsec = on ? PAUSE_NS : 0};

	if (on == rounds->is_running)
		return 0;
	if (timerfd_settime(rounds->timer, 0, &(struct itimerspec){interval, interval}, NULL) < 0)
		return -errno;
	rounds->is_running = on;
	return 0;
}

/* Asks for the sockets to which something has come since they were found last. */
static void look(struct rounds *rounds)
{
	int n = epoll_wait(rounds->epoll, rounds->found, FOUND_MAX, 0);

	rounds->next = 0;
	rounds->count = n < 0 ? 0 : (unsigned)n;
	rounds->is_due = rounds->count == FOUND_MAX;
	rounds->went_on = false;
	rounds->looks++;
	rounds->sockets += rounds->count;
	for (unsigned i = 0; i < rounds->count; i++) {
		struct round_member *member = rounds->found[i].data.ptr;

		link_remove(&member->link);
		member->place = i + 1;
	}
}

static struct round_member *next_found(struct rounds *rounds)
{
	while (rounds->next < rounds->count) {
		struct round_member *member = rounds->found[rounds->next++].data.ptr;

		if (!member)
			continue;
		member->place = 0;
		return member;
	}
	return NULL;
}

static unsigned slice_sockets(const struct rounds *rounds)
{
	return rounds->prompt ? SLICE_SOCKETS_PROMPT : SLICE_SOCKETS;
}

static void expect(const struct rounds *rounds)
{
	unsigned left = rounds->count - rounds->next, most = slice_sockets(rounds);

	for (unsigned i = 0; i < most && i < left; i++)
		if (rounds->found[rounds->next + i].data.ptr)
			rounds->callbacks->expect(rounds->found[rounds->next + i].data.ptr);
}

/* First those of the round, then again those that have more, at least one of them before the next
 * round. */
static struct round_member *next_member(struct rounds *rounds, bool *ret_again)
{
	struct round_member *member = next_found(rounds);

	if (!member && rounds->is_due && (rounds->went_on || list_is_empty(&rounds->unfinished))) {
		look(rounds);
		expect(rounds);
		member = next_found(rounds);
	}
	*ret_again = !member;
	if (member)
		return member;
	member = list_first(&rounds->unfinished, struct round_member, link);
	if (!member)
		return NULL;
	link_remove(&member->link);
	rounds->went_on = true;
	return member;
}

/* Reads on. The next turn comes from a timer of zero: an event that is activated from its own
 * callback would be called before the loop polls any other. */
static void go_on(struct rounds *rounds)
{
	static const struct timeval at_once = {0};
	unsigned sockets = 0, datagrams = 0, count;
	struct round_member *member;
	bool again;

	expect(rounds);
	while (sockets < slice_sockets(rounds) && datagrams < SLICE_DATAGRAMS) {
		member = next_member(rounds, &again);
		if (!member)
			return;
		if (rounds->callbacks->read(member, again, &count))
			list_append(&rounds->unfinished, &member->link);
		sockets++;
		datagrams += count;
	}
	timer_start(&rounds->turn, &at_once);
}

/* Has the loop hear of datagrams, or not: with EPOLLONESHOT the gate closes itself once it has
 * reported. This takes constant time; adding an instance to the loop would take the kernel longer
 * with each member. */
static int set_gate(const struct rounds *rounds, bool is_open)
{
	struct epoll_event event = {.events = EPOLLIN | (is_open ? 0 : EPOLLONESHOT)};

	if (epoll_ctl(rounds->gate, EPOLL_CTL_MOD, rounds->epoll, &event) < 0)
		return -errno;
	if (!is_open)
		epoll_wait(rounds->gate, &event, 1, 0);
	return 0;
}

/* Begins to pause between rounds, or ends that. What fails stays as it was. */
static void set_pauses(struct rounds *rounds, bool pauses)
{
	if (pauses != rounds->pauses && (!pauses || run(rounds, true) >= 0) &&
		set_gate(rounds, !pauses) >= 0)
		rounds->pauses = pauses;
	rounds->looks = rounds->sockets = 0;
}

/* Whether the last rounds found too little to pause for more. */
static bool found_little(struct rounds *rounds)
{
	bool is_little = rounds->sockets < ROUNDS_TOGETHER;

	if (rounds->looks < ROUNDS_TOGETHER)
		return false;
	rounds->looks = rounds->sockets = 0;
	return is_little;
}

/* Whether what comes next is worth a pause. */
static bool is_busy(struct rounds *rounds)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (now - rounds->counted_ns >= PAUSE_NS) {
		rounds->counted_ns = now;
		rounds->wake_ups = 0;
	}
	return ++rounds->wake_ups >= WAKE_UPS && rounds->awake_until_s <= coarse_s();
}

/* Between rounds, a gate that had nothing to report when it was to be closed reports once. */
static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	struct rounds *rounds = argument;
	struct epoll_event event;

	(void)what;
	if (rounds->pauses)
		epoll_wait(fd, &event, 1, 0);
	else if (is_busy(rounds))
		set_pauses(rounds, true);
	rounds->is_due = true;
	go_on(rounds);
}

static void on_turn(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what;
	go_on(argument);
}

static void on_due(evutil_socket_t fd, short what, void *argument)
{
	struct rounds *rounds = argument;
	struct round_member *member;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	list_for_each(member, &rounds->held, link)
		rounds->callbacks->hold(member);
	if (rounds->pauses && found_little(rounds) && list_is_empty(&rounds->unfinished))
		set_pauses(rounds, false);
	if (rounds->pauses) {
		rounds->is_due = true;
		go_on(rounds);
	} else if (list_is_empty(&rounds->held)) {
		run(rounds, false);
	}
}

struct rounds *rounds_new(struct event_base *base, const struct round_callbacks *callbacks)
{
	struct rounds *rounds = calloc(1, sizeof(*rounds));
	struct epoll_event event = {.events = EPOLLIN};

	if (!rounds)
		return NULL;
	rounds->callbacks = callbacks;
	list_init(&rounds->unfinished);
	list_init(&rounds->held);
	rounds->epoll = epoll_create1(EPOLL_CLOEXEC);
	rounds->gate = epoll_create1(EPOLL_CLOEXEC);
	rounds->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	event_assign(
		&rounds->readable, base, rounds->gate, EV_READ | EV_PERSIST, on_readable, rounds);
	event_assign(&rounds->due, base, rounds->timer, EV_READ | EV_PERSIST, on_due, rounds);
	evtimer_assign(&rounds->turn, base, on_turn, rounds);
	if (rounds->timer < 0 ||
		epoll_ctl(rounds->gate, EPOLL_CTL_ADD, rounds->epoll, &event) < 0 ||
		event_add(&rounds->readable, NULL) < 0 || event_add(&rounds->due, NULL) < 0) {
		rounds_free(rounds);
		return NULL;
	}
	return rounds;
}

void rounds_free(struct rounds *rounds)
{
	if (!rounds)
		return;
	event_del(&rounds->readable);
	event_del(&rounds->due);
	event_del(&rounds->turn);
	if (rounds->timer >= 0)
		close(rounds->timer);
	if (rounds->gate >= 0)
		close(rounds->gate);
	if (rounds->epoll >= 0)
		close(rounds->epoll);
	free(rounds);
}

int rounds_add(struct rounds *rounds, struct round_member *member, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = member};

	if (epoll_ctl(rounds->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	link_remove(&member->link);
	member->is_added = true;
	return 0;
}

void rounds_remove(struct rounds *rounds, struct round_member *member, int fd)
{
	if (member->is_added)
		epoll_ctl(rounds->epoll, EPOLL_CTL_DEL, fd, NULL);
	if (member->place)
		rounds->found[member->place - 1].data.ptr = NULL;
	link_remove(&member->link);
	*member = (struct round_member){0};
}

int rounds_hold(struct rounds *rounds, struct round_member *member, int fd)
{
	int r = run(rounds, true);

	if (r < 0)
		return r;
	rounds_remove(rounds, member, fd);
	list_append(&rounds->held, &member->link);
	return 0;
}

void rounds_note_prompt(struct rounds *rounds, int change)
{
	rounds->prompt += change;
}

void rounds_stay_awake(struct rounds *rounds)
{
	rounds->awake_until_s = coarse_s() + AWAKE_S;
	set_pauses(rounds, false);
}
