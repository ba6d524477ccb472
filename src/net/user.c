#include "net/user.h"

#include "base/cleanup.h"

/* A delivery that took longer has waited for the processor: this is neither the user's fault nor
 * time that others had. */
#define DELIVERY_NS_MAX NS_PER_MS

bool user_is_privileged(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

void users_init(struct users *users, struct event_base *base)
{
	*users = (struct users){0};
	list_init(&users->list);
	turns_init(&users->turns, base, false);
}

void users_clear(struct users *users)
{
	turns_clear(&users->turns);
}

static struct user *find(const struct users *users, uid_t uid)
{
	struct user *user;

	list_for_each(user, &users->list, link)
		if (user->uid == uid)
			return user;
	return NULL;
}

unsigned users_count(const struct users *users, uid_t uid)
{
	const struct user *user = find(users, uid);

	return user ? user->connections : 0;
}

/* Serves one of the user's connections. That may free the user, when it is the last one. */
static void serve(struct turn *turn)
{
	struct user *user = container_of(turn, struct user, turn);
	struct turn *first = turn_next(&user->ready);

	if (!list_is_empty(&user->ready))
		turns_wait(&user->users->turns, turn);
	if (!first)
		return;
	user->users->last = first;
	first->serve(first);
}

void user_wait(struct user *user, struct turn *turn)
{
	turn_append(&user->ready, turn);
	turns_wait(&user->users->turns, &user->turn);
}

struct user *user_connect(struct users *users, uid_t uid)
{
	struct user *user = find(users, uid);

	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return NULL;
		user->users = users;
		user->uid = uid;
		user->privileged = user_is_privileged(uid);
		user->turn.serve = serve;
		list_init(&user->ready);
		list_init(&user->slots);
		list_append(&users->list, &user->link);
	}
	user->connections++;
	users->connections++;
	return user;
}

void user_disconnect(struct user *user)
{
	if (!user)
		return;
	user->users->connections--;
	if (--user->connections)
		return;
	link_remove(&user->link);
	link_remove(&user->turn.link);
	free(user);
}

void user_hold(struct user *user, enum user_memory kind, size_t size)
{
	user->held[kind] += size;
	if (!user->privileged)
		user->users->held[kind] += size;
}

void user_release(struct user *user, enum user_memory kind, size_t size)
{
	user->held[kind] -= size;
	if (!user->privileged)
		user->users->held[kind] -= size;
}

bool user_holds_too_much(const struct user *user, enum user_memory kind)
{
	static const size_t one[] = {USER_OUTPUT_MAX, USER_INPUT_MAX},
			    all[] = {ALL_OUTPUT_MAX, ALL_INPUT_MAX};

	return user->held[kind] >= one[kind] ||
	       (!user->privileged && user->users->held[kind] >= all[kind]);
}

/* The time since it was last marked. */
static uint64_t mark(struct user *user)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), passed = now - user->marked_ns;

	user->marked_ns = now;
	return passed;
}

static void pay(struct user *user, uint64_t passed)
{
	user->delivery_ns -= user->delivery_ns < passed / 2 ? user->delivery_ns : passed / 2;
}

bool user_may_deliver(struct user *user)
{
	if (user->privileged)
		return true;
	pay(user, mark(user));
	return user->delivery_ns < USER_DELIVERY_NS;
}

bool user_delivered(struct user *user)
{
	uint64_t took;

	if (user->privileged)
		return true;
	took = mark(user);
	if (took > DELIVERY_NS_MAX)
		took = DELIVERY_NS_MAX;
	user->delivery_ns += took - took / user->connections;
	pay(user, took);
	return user->delivery_ns < USER_DELIVERY_NS;
}
