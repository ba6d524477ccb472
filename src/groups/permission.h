/* Who may send to a group and receive it, through every door: at its socket file and at the control
 * socket. One rule, made of allow_send and allow_receive, socket_mode and socket_group. */
#pragma once

#include <stdbool.h>

#include "base/text.h"
#include "config/config.h"
#include "net/peer.h"

enum access { ACCESS_SEND, ACCESS_RECEIVE };

/* Whom the socket file of a group belongs to; also where there is none. */
struct owner {
	uid_t uid;
	gid_t gid;
};

/* That of this process's files, but for socket_group. */
struct owner owner_of(const struct config_group *group);

/* Whether a user of this host may. Pure. */
bool permission_allows(const struct config_group *group, const struct owner *owner,
	const struct peer *peer, enum access access);

/* Whether a list names users or groups, which the permissions of the socket file may keep out. Then
 * anybody has to be able to connect. */
bool permission_names_others(const struct config_group *group);

/* Appends who may not do what, and the command or key that lets it. Not more than one page of text;
 * reads /etc/passwd, /etc/group and /proc. */
void permission_explain(const struct config_group *group, const struct owner *owner,
	const struct peer *peer, enum access access, struct text *text);
