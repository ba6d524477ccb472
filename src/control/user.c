#include "control/user.h"

#include "base/cleanup.h"

bool user_is_privileged(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

void users_init(struct users *users, struct event_base *base)
{
	*users = (struct users){0};
	list_init(&users->list);
	turns_init(&users->turns, base);
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
	if (first)
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
		list_append(&users->list, &user->link);
	}
	user->connections++;
	return user;
}

void user_disconnect(struct user *user)
{
	if (!user || --user->connections)
		return;
	link_remove(&user->link);
	link_remove(&user->turn.link);
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
