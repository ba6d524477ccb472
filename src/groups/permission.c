#include "groups/permission.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/users.h"

static const struct principal_list *list_of(const struct config_group *group, enum access access)
{
	static const struct principal_list nobody;

	if (access != ACCESS_SEND)
		return &group->allow_receive;
	return config_group_is_made_here(group) ? &nobody : &group->allow_send;
}

static const char *key_of(enum access access)
{
	return access == ACCESS_SEND ? "allow_send" : "allow_receive";
}

struct owner owner_of(const struct config_group *group)
{
	bool is_given = group->socket_group.kind == PRINCIPAL_GROUP;

	return (struct owner){geteuid(), is_given ? group->socket_group.id : getegid()};
}

/* As the kernel decides about connect(2), which takes write permission (unix(7)): one class of the
 * mode counts, and root may. */
static bool may_open_socket(
	const struct config_group *group, const struct owner *owner, const struct peer *peer)
{
	int64_t bit = S_IWOTH;

	if (peer->uid == 0)
		return true;
	if (peer->uid == owner->uid)
		bit = S_IWUSR;
	else if (peer_is_in(peer, owner->gid))
		bit = S_IWGRP;
	return group->socket_mode & bit;
}

bool permission_allows(const struct config_group *group, const struct owner *owner,
	const struct peer *peer, enum access access)
{
	const struct principal_list *list = list_of(group, access);

	for (size_t i = 0; i < list->count; i++) {
		const struct principal *item = &list->items[i];

		if (item->kind == PRINCIPAL_SOCKET     ? may_open_socket(group, owner, peer)
			: item->kind == PRINCIPAL_USER ? peer->uid == item->id
						       : peer_is_in(peer, item->id))
			return true;
	}
	return false;
}

static bool names_others(const struct principal_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].kind != PRINCIPAL_SOCKET)
			return true;
	return false;
}

bool permission_names_others(const struct config_group *group)
{
	return names_others(&group->allow_send) || names_others(&group->allow_receive);
}

/* Whether being in the group of the socket file lets the user. Root's group is for root. */
static bool would_membership_do(const struct config_group *group, const struct owner *owner,
	const struct peer *peer, enum access access)
{
	return config_asks_socket(list_of(group, access)) && group->socket_mode & S_IWGRP &&
	       owner->gid != 0 && peer->uid != owner->uid && !peer_is_in(peer, owner->gid);
}

/* Where the key is to be written. */
static void append_place(const struct config_group *group, struct text *text)
{
	if (group->is_events)
		text_append_string(text, "events: { ... };");
	else
		text_printf(text, "groups.%s", group->name);
	if (group->place.file)
		text_printf(text, ", %s:%u", group->place.file, group->place.line);
	text_append_string(text, ", and reload");
}

/* A list that names such a user lets all of them. */
static void append_way_of_many(
	const struct config_group *group, enum access access, struct text *text)
{
	text_append_string(text, "in this user namespace, every user of the host that it does not "
				 "map is that one, so map the user; or let everybody: ");
	if (!config_asks_socket(list_of(group, access)))
		text_printf(text, "add \"socket\" to %s and ", key_of(access));
	text_append_string(text, "write socket_mode = \"0666\"; in ");
	append_place(group, text);
}

void permission_explain(const struct config_group *group, const struct owner *owner,
	const struct peer *peer, enum access access, struct text *text)
{
	const struct principal_list *list = list_of(group, access);
	char user[ACCOUNT_NAME_MAX], system_group[ACCOUNT_NAME_MAX];
	bool is_named = name_user(peer->uid, user), is_configured = group->place.file;
	bool is_of_many = is_uid_of_many(peer->uid);
	bool joins = is_named && !is_of_many && would_membership_do(group, owner, peer, access) &&
		     name_group(owner->gid, system_group);

	text_printf(text, "user %s may not %s group %s; ", user,
		access == ACCESS_SEND ? "send to" : "receive", group->name);
	if (config_group_is_made_here(group) && access == ACCESS_SEND) {
		text_append_string(text,
			group->is_events ? "nobody can: its datagrams are the daemon's own events"
					 : "nobody can: its datagrams are those of other groups; "
					   "send to one of these");
		return;
	}
	if (!joins && !is_configured && !group->is_events) {
		text_append_string(text, "only root and the daemon's own user may");
		return;
	}
	if (is_of_many) {
		append_way_of_many(group, access, text);
		return;
	}
	text_append_string(text, "to change that: ");
	if (joins)
		text_printf(text, "usermod -aG %s %s, and log in again", system_group, user);
	if (!is_configured && !group->is_events)
		return;
	if (joins)
		text_append_string(text, "; or ");
	if (config_asks_socket(list) && !names_others(list))
		text_printf(
			text, "write %s = [\"socket\", \"user:%s\"]; in ", key_of(access), user);
	else
		text_printf(text, "add \"user:%s\" to %s in ", user, key_of(access));
	append_place(group, text);
}
