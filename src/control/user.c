#include "control/user.h"

#include "base/cleanup.h"

bool user_is_privileged(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

void users_init(struct users *users, struct event_base *base)
{
	*users = (struct users){0};
	turns_init(&users->turns, base);
}

void users_clear(struct users *users)
{
	turns_clear(&users->turns);
}

static struct user **find(struct users *users, uid_t uid)
{
	struct user **link = &users->buckets[uid % USER_BUCKETS];

	while (*link && (*link)->uid != uid)
		link = &(*link)->next;
	return link;
}

unsigned users_count(const struct users *users, uid_t uid)
{
	const struct user *user = *find((struct users *)users, uid);

	return user ? user->connections : 0;
}

/* One of the user's connections is served, which may take the user along when it is the last. */
static void serve(struct turn *turn)
{
	struct user *user = container_of(turn, struct user, turn);
	struct turn *first = turn_queue_take(&user->ready);

	if (!turn_queue_is_empty(&user->ready))
		turns_wait(&user->users->turns, turn);
	if (first)
		first->serve(first);
}

void user_wait(struct user *user, struct turn *turn)
{
	turn_queue_add(&user->ready, turn);
	turns_wait(&user->users->turns, &user->turn);
}

struct user *user_connect(struct users *users, uid_t uid)
{
	struct user **link = find(users, uid), *user = *link;

	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return NULL;
		user->users = users;
		user->uid = uid;
		user->privileged = user_is_privileged(uid);
		user->turn.serve = serve;
		turn_queue_init(&user->ready);
		*link = user;
	}
	user->connections++;
	return user;
}

void user_disconnect(struct user *user)
{
	struct user **link;

	if (!user || --user->connections)
		return;
	link = find(user->users, user->uid);
	*link = user->next;
	turn_cancel(&user->turn);
	free(user);
}

void user_hold(struct user *user, size_t size)
{
	user->waiting += size;
	if (!user->privileged)
		user->users->waiting += size;
}

void user_release(struct user *user, size_t size)
{
	user->waiting -= size;
	if (!user->privileged)
		user->users->waiting -= size;
}

bool user_holds_too_much(const struct user *user)
{
	return user->waiting >= USER_WAITING_MAX ||
	       (!user->privileged && user->users->waiting >= ALL_WAITING_MAX);
}
