#include "net/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/units.h"

#define FORM "write ADDRESS:PORT, as 233.252.0.1:5004 or [ff15::1]:5004"

/* Whether what comes before the first of the separators is an IP address. */
static bool begins_with_address(const char *word, const char *separators)
{
	char text[INET6_ADDRSTRLEN];
	size_t length = strcspn(word, separators);
	struct address address;

	if (length >= sizeof(text))
		return false;
	memcpy(text, word, length);
	text[length] = '\0';
	return address_parse(text, &address) == 0;
}

/* An IPv6 address without brackets is meant as well, to be told of them, and so is what no name of
 * a group can be: a URL, or an address with something else than a colon before the port. */
bool target_is_meant(const char *word)
{
	return *word == '[' || begins_with_address(word, ":%,/ ") ||
	       begins_with_address(word, "%,/ ") || strstr(word, "://");
}

/* Ends text at the first of a separator, and returns what is behind it; NULL: there is none. */
static char *split(char *text, char separator)
{
	char *at = strchr(text, separator);

	if (at)
		*at++ = '\0';
	return at;
}

/* Leaves the address of "[ff15::1]:5004" or "233.252.0.1:5004" in *text, and returns the port; or
 * NULL with the reason in why. */
static const char *split_port(char **text, char why[static WHY_MAX])
{
	bool bracketed = **text == '[';
	char *end = bracketed ? strchr(*text, ']') : strchr(*text, ':');
	const char *port = end && bracketed ? end + 1 : end;

	if (bracketed && !end)
		because(why, -EINVAL, "the address has no closing bracket: " FORM);
	else if (!port || *port != ':' || !port[1])
		because(why, -EINVAL, "the port is missing: " FORM);
	else if (!bracketed && strchr(port + 1, ':'))
		because(why, -EINVAL, "an IPv6 address is in brackets: " FORM);
	else {
		*end = '\0';
		*text += bracketed;
		return port + 1;
	}
	return NULL;
}

/* As players have it, udp://@233.252.0.1:5004?localaddr=192.0.2.5 */
static int refuse_url(const char *url, char why[static WHY_MAX])
{
	const char *host = strstr(url, "://") + strlen("://");
	int length = (int)strcspn(host, "/?#");
	const char *at = memchr(host, '@', (size_t)length);
	int source = at ? (int)(at - host) : 0;

	if (!length || at == host + length - 1)
		return because(why, -EINVAL, "it is a URL: " FORM);
	if (at)
		length -= source + 1;
	return because(why, -EINVAL,
		"it is a URL: write %.*s%s%.*s, and %%INTERFACE behind the port", length,
		at ? at + 1 : host, source ? ",source=" : "", source, host);
}

static int parse_endpoint(char *text, struct target *target, char why[static WHY_MAX])
{
	bool bracketed = *text == '[';
	const char *port = split_port(&text, why);
	uint64_t number;

	if (!port)
		return -EINVAL;
	if (address_parse(text, &target->address) < 0)
		return because(why, -EINVAL, "\"%s\" is not an IP address: " FORM, text);
	if (bracketed != (target->address.family == AF_INET6))
		return because(why, -EINVAL, "only an IPv6 address is in brackets: " FORM);
	if (parse_number(port, UINT16_MAX, &number) < 0 || !number)
		return because(
			why, -EINVAL, "the port \"%s\" is not a number from 1 to 65535", port);
	target->port = (uint16_t)number;
	return 0;
}

int target_set_interface(struct target *target, const char *name, char why[static WHY_MAX])
{
	struct address address;
	bool is_address = address_parse(name, &address) == 0;

	if (!*name)
		return because(why, -EINVAL, "the name of the interface is missing");
	if (strchr(name, ','))
		return because(why, -EINVAL,
			"\"%s\" is a list: name one interface, and another target for each "
			"other; a comma in the name of one is written ?",
			name);
	if (strchr(name, '@'))
		return because(why, -EINVAL,
			"\"%s\" has what \"ip link\" prints behind the name, leave out the @ and "
			"what follows",
			name);
	if (*name == '!')
		return because(why, -EINVAL,
			"\"%s\" leaves an interface out: name the one to use, or a glob", name);
	if (is_address && address_needs_scope(&address))
		return because(why, -EINVAL,
			"\"%s\" is link-local: more than one interface may have it, write the "
			"name of one",
			name);
	if (!is_address && strpbrk(name, "/: \t\n"))
		return because(why, -EINVAL,
			"\"%s\" cannot be an interface: write its name, one of its addresses, or "
			"a glob",
			name);
	target->interface = strdup(name);
	return target->interface ? 0 : because(why, -ENOMEM, "out of memory");
}

int target_add_source(struct target *target, const char *source, char why[static WHY_MAX])
{
	struct address address;

	if (address_parse(source, &address) < 0)
		return because(why, -EINVAL, "source \"%s\" is not an IP address", source);
	if (address.family != target->address.family)
		return because(why, -EINVAL,
			"source \"%s\" is not of the group's family, use an IPv%d address", source,
			target->address.family == AF_INET ? 4 : 6);
	if (address_is_multicast(&address))
		return because(why, -EINVAL,
			"source \"%s\" is not the address of a sender, use a unicast address",
			source);
	if (array_add(&target->sources, address) < 0)
		return because(why, -ENOMEM, "out of memory");
	return 0;
}

/* What is behind the first comma. */
static int parse_settings(struct target *target, char *settings, char why[static WHY_MAX])
{
	int r = 0;

	while (settings && r >= 0) {
		char *next = split(settings, ','), *value = split(settings, '=');

		if (!value || strcmp(settings, "source") != 0)
			return because(why, -EINVAL,
				"unknown setting \"%s\": only source=ADDRESS may follow; another "
				"interface takes another target, and a comma in the name of one is "
				"written ?",
				settings);
		r = target_add_source(target, value, why);
		settings = next;
	}
	return r;
}

int target_parse(const char *string, struct target *ret, char why[static WHY_MAX])
{
	AUTO_TARGET struct target target = {0};
	AUTO_FREE char *copy = strdup(string);
	char *settings, *interface, *end;
	int r;

	if (!copy)
		return because(why, -ENOMEM, "out of memory");
	if (strstr(string, "://"))
		return refuse_url(string, why);
	settings = split(copy, ',');
	target.name = strdup(copy);
	if (!target.name)
		return because(why, -ENOMEM, "out of memory");
	end = *copy == '[' ? strchr(copy, ']') : NULL;
	interface = split(copy, '%');
	if (interface && end && interface <= end)
		return because(why, -EINVAL,
			"the interface goes behind the port, as in [ff02::1]:5004%%eth0");
	r = parse_endpoint(copy, &target, why);
	if (r >= 0 && interface)
		r = target_set_interface(&target, interface, why);
	if (r >= 0)
		r = parse_settings(&target, settings, why);
	if (r < 0)
		return r;
	*ret = target;
	target = (struct target){0};
	return 0;
}

char *target_group_name(const struct target *target)
{
	char name[GROUP_NAME_MAX + 4], *end = name;

	for (const char *at = target->name; *at && end - name < GROUP_NAME_MAX; at++)
		if (strchr(GROUP_NAME_CHARACTERS, *at))
			*end++ = *at;
		else
			end += sprintf(end, "%%%02X", (unsigned char)*at);
	*end = '\0';
	return strndup(name, GROUP_NAME_MAX);
}

void target_clear(struct target *target)
{
	free(target->name);
	free(target->interface);
	free(target->sources.items);
	*target = (struct target){0};
}
