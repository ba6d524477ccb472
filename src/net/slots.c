#include "net/slots.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "net/descriptors.h"

/* One in this many slots is reserved. */
#define SLOTS_RESERVED 64

/* Connections that a privileged user gets out of the daemon's own descriptors: to see what is
 * wrong, and to change it. */
#define RESCUE_MAX 4

/* Connections that are checked before one is refused, how many of those may turn out to have
 * something unread, and how long it takes until they are checked again where none had gone: what
 * refusing costs is bounded, too. */
#define CHECKED_MAX 64
#define UNREAD_MAX 4
#define NONE_GONE_NS NS_PER_MS

struct share {
	struct link link; /* in the slots */
	struct user *user;
	unsigned count;
};

void slots_init(struct slots *slots, unsigned max, slot_close_gone *close_gone)
{
	*slots = (struct slots){.max = max, .close_gone = close_gone};
	list_init(&slots->shares);
}

static struct share *find_share(struct slots *slots, const struct user *user)
{
	struct share *share;

	list_for_each(share, &slots->shares, link)
		if (share->user == user)
			return share;
	return NULL;
}

static bool descriptors_allow(const struct user *user, int fd)
{
	unsigned limit, used, own = user->connections - 1, reserved;

	if (!descriptors_limit(&limit))
		return true;
	used = descriptors_used(fd, limit);
	if (used < user->users->connections)
		used = user->users->connections;
	reserved = descriptors_reserved(limit);
	if (user->privileged && own < RESCUE_MAX)
		return true;
	return slots_allow(own, used, limit - reserved, reserved, user->privileged);
}

static struct share *share_new(struct slots *slots, struct user *user)
{
	struct share *share = calloc(1, sizeof(*share));

	if (!share)
		return NULL;
	share->user = user;
	list_append(&slots->shares, &share->link);
	return share;
}

/* Adds a slot of the user, who has a connection. */
static int enter(struct slot *slot, struct slots *slots, struct user *user, int fd)
{
	struct share *share = find_share(slots, user);

	if (!share)
		share = share_new(slots, user);
	if (!share)
		return -ENOMEM;
	share->count++;
	slots->taken++;
	*slot = (struct slot){.fd = fd, .slots = slots, .share = share, .user = user};
	list_append(&user->slots, &slot->link);
	return 0;
}

static void leave(struct slot *slot)
{
	link_remove(&slot->link);
	slot->slots->taken--;
	if (--slot->share->count == 0) {
		link_remove(&slot->share->link);
		free(slot->share);
	}
	*slot = (struct slot){0};
}

static int may_enter(struct slots *slots, const struct user *user, int fd)
{
	const struct share *share = find_share(slots, user);

	if (!slots_allow(share ? share->count : 0, slots->taken, slots->max,
		    slots->max / SLOTS_RESERVED, user->privileged))
		return -EUSERS;
	return descriptors_allow(user, fd) ? 0 : -EMFILE;
}

/* Closes connections of the user whose other side has gone. Returns how many. */
static unsigned close_gone(struct user *user)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	struct slot *slot, *checked[CHECKED_MAX];
	struct pollfd fds[CHECKED_MAX];
	unsigned closed = 0, unread = 0;
	nfds_t count = 0;

	if (now - user->none_gone_ns < NONE_GONE_NS)
		return 0;
	list_for_each(slot, &user->slots, link) {
		if (count == CHECKED_MAX)
			break;
		fds[count] = (struct pollfd){.fd = slot->fd};
		checked[count++] = slot;
	}
	poll(fds, count, 0);
	for (nfds_t i = 0; i < count; i++) {
		slot = checked[i];
		link_remove(&slot->link);
		list_append(&user->slots, &slot->link);
		if (unread == UNREAD_MAX || !(fds[i].revents & (POLLHUP | POLLERR)))
			continue;
		if (slot->slots->close_gone(slot))
			closed++;
		else
			unread++;
	}
	if (!closed)
		user->none_gone_ns = now;
	return closed;
}

int slot_take(struct slot *slot, struct slots *slots, struct users *users, uid_t uid, int fd)
{
	struct user *user = user_connect(users, uid);
	int r = user ? may_enter(slots, user, fd) : -ENOMEM;

	if ((r == -EUSERS || r == -EMFILE) && close_gone(user))
		r = may_enter(slots, user, fd);
	if (r >= 0)
		r = enter(slot, slots, user, fd);
	if (r < 0)
		user_disconnect(user);
	return r;
}

int slot_keep(struct slot *slot, struct slots *slots, struct users *users, uid_t uid, int fd)
{
	struct user *user = user_connect(users, uid);
	int r = user ? enter(slot, slots, user, fd) : -ENOMEM;

	if (r < 0)
		user_disconnect(user);
	return r;
}

const char *slot_explain(const struct slots *slots, int r)
{
	return r == -EMFILE                 ? "descriptors are short; " DESCRIPTORS_FIX
	       : slots->taken >= slots->max ? "all slots are taken"
					    : "the other slots are for other users";
}

int slot_move(struct slot *slot, struct slots *to)
{
	struct user *user = slot->user;
	int r, fd = slot->fd;

	leave(slot);
	r = enter(slot, to, user, fd);
	if (r < 0)
		user_disconnect(user);
	return r;
}

void slot_leave(struct slot *slot)
{
	struct user *user = slot->user;

	if (!user)
		return;
	leave(slot);
	user_disconnect(user);
}
