/* A TARGET, as the command lines of mcastd and mcastctl have it: a group, its port, and where they
 * are: ADDRESS:PORT[%INTERFACE][,source=ADDRESS]..., with an IPv6 address in brackets. Pure:
 * whether the interface is there, and whether the address is a group, is for the caller to find
 * out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/errors.h"
#include "net/address.h"

struct target {
	char *name; /* as it was written, without the sources */
	struct address address;
	uint16_t port;
	char *interface; /* a name, alternative name, address or glob; NULL: none is given */
	struct {
		struct address *items; /* unicast, of the family of address */
		size_t count;
	} sources;
};

/* Whether a word is meant as a TARGET, right or wrong: it begins with an IP address or a bracket.
 */
bool target_is_meant(const char *word);

/* Returns 0, or -EINVAL or -ENOMEM with the reason in why. Writes *ret on success only; to be freed
 * with target_clear(). */
int target_parse(const char *string, struct target *ret, char why[static WHY_MAX]);
void target_clear(struct target *target);

/* What a group's name consists of, and its length at the most. */
#define GROUP_NAME_CHARACTERS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:%-+[]*?"
#define GROUP_NAME_MAX 64
#define SOCKET_PATH_MAX 107 /* room in sun_path, unix(7) */
/* Of a group's second socket, after the name: in the configuration, no name has a dot. */
#define STREAM_SUFFIX ".stream"

/* The name of the group that a target makes: the target's, with %XX for each byte that no group's
 * name has, as interfaces may have any; what is too long is cut off. To be freed; NULL without
 * memory. */
char *target_group_name(const struct target *target);

/* Gives it the interface that is given apart from the TARGET, where it has none. Returns as
 * target_parse(). */
int target_set_interface(struct target *target, const char *name, char why[static WHY_MAX]);

/* Adds a sender that is given apart from the TARGET. Returns as target_parse(). */
int target_add_source(struct target *target, const char *source, char why[static WHY_MAX]);

#define AUTO_TARGET CLEANUP(target_clear)
