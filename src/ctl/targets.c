#include "ctl/targets.h"

#include <errno.h>

#include "base/array.h"
#include "base/clock.h"

/* Asks the daemon for its groups, if there is one. A TARGET needs none: one that is stopped is as
 * none, unless it was named. Returns an exit code. */
static int list_groups(struct session *session, const char *word, struct reply *ret)
{
	int r;

	if (session->socket_given || session->client)
		return session_call(session, "ListGroups", ret);
	r = session_call_apart(session, "ListGroups",
		clock_ns(CLOCK_MONOTONIC) + CLIENT_PATIENCE_S * NS_PER_S, ret);
	if (r == -EAGAIN || r == -ETIMEDOUT)
		session_fail(session, EXIT_DONE,
			"mcastd at %s does not answer: '%s' is taken for a TARGET, not for a group",
			session->socket, word);
	return EXIT_DONE;
}

static bool has_group(const struct reply *reply, const char *name)
{
	const json_t *groups = json_object_get(reply->parameters, "groups"), *group;
	size_t i;

	json_array_foreach(groups, i, group)
	{
		const char *other = json_string_value(json_object_get(group, "name"));

		if (other && !strcmp(other, name))
			return true;
	}
	return false;
}

/* Also a host's name where an address belongs, to be told of that. */
static bool is_meant(const char *word)
{
	const char *colon = strchr(word, ':');
	size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;

	return target_is_meant(word) || (digits && strchr("%,", colon[1 + digits]));
}

int target_read(const struct session *session, const char *word, struct target *ret)
{
	char why[WHY_MAX];
	int r = target_parse(word, ret, why);

	return r < 0 ? session_fail(session, r == -EINVAL ? EXIT_MISUSED : EXIT_REFUSED, "'%s': %s",
			       word, why)
		     : EXIT_DONE;
}

int target_take_interface(
	const struct session *session, struct target *target, const struct option_value *option)
{
	char why[WHY_MAX];

	if (option->count > 1)
		return session_fail(session, EXIT_MISUSED,
			"--interface is given twice: for another interface, name another target");
	if (option->given && !target->interface &&
		target_set_interface(target, option->items[0], why) < 0)
		return session_fail(session, EXIT_MISUSED, "--interface: %s", why);
	return EXIT_DONE;
}

int target_take_sources(const struct session *session, struct target *target,
	const char *const *sources, size_t count)
{
	char why[WHY_MAX];

	for (size_t i = 0; i < count; i++)
		if (target_add_source(target, sources[i], why) < 0)
			return session_fail(session, EXIT_MISUSED, "%s: %s", target->name, why);
	return EXIT_DONE;
}

static int add(const struct session *session, const char *word, struct targets *targets)
{
	AUTO_TARGET struct target target = {0};
	int code = target_read(session, word, &target);

	for (size_t i = 0; i < targets->count && !code; i++)
		if (!strcmp(targets->items[i].name, target.name))
			code = session_fail(session, EXIT_MISUSED,
				"'%s' is named twice: name it once, with all its sources", word);
	if (!code && array_add(targets, target) < 0)
		code = session_fail(session, EXIT_REFUSED, "%s", strerror(ENOMEM));
	if (!code)
		target = (struct target){0};
	return code;
}

int targets_read(
	struct session *session, const char *const *words, size_t count, struct targets *ret)
{
	AUTO_TARGETS struct targets targets = {0};
	AUTO_REPLY struct reply reply = {0};
	const char *group = NULL;
	bool listed = false;
	int code = EXIT_DONE;

	for (size_t i = 0; i < count && !code; i++) {
		bool meant = is_meant(words[i]);

		if (meant && !listed)
			code = list_groups(session, words[i], &reply);
		listed |= meant;
		if (!meant || has_group(&reply, words[i]))
			group = words[i];
		else if (!code)
			code = add(session, words[i], &targets);
	}
	if (!code && group && targets.count)
		code = session_fail(session, EXIT_MISUSED,
			"'%s' is the name of a group and '%s' is a target: name one kind only",
			group, targets.items[0].name);
	if (code)
		return code;
	*ret = targets;
	targets = (struct targets){0};
	return EXIT_DONE;
}

void targets_clear(struct targets *targets)
{
	for (size_t i = 0; i < targets->count; i++)
		target_clear(&targets->items[i]);
	free(targets->items);
	*targets = (struct targets){0};
}

/* Whether a part of a word is meant as a TARGET. */
static bool is_target(const char *part, size_t length)
{
	AUTO_FREE char *name = strndup(part, length);

	return name && is_meant(name);
}

/* The length of the first name of a word. */
static size_t first_name(const char *word)
{
	size_t length = strcspn(word, ",");
	bool meant = is_target(word, length);

	while (meant && word[length]) {
		const char *next = word + length + 1;
		size_t part = strcspn(next, ",");

		if (is_target(next, part))
			break;
		length += 1 + part;
	}
	return length;
}

static int split_word(const struct session *session, const char *word, struct names *names)
{
	const char *at = word;
	size_t length;

	for (;; at += length + 1) {
		char *name;

		length = first_name(at);
		if (!length && *word)
			return session_fail(
				session, EXIT_MISUSED, "'%s': a name is missing at a comma", word);
		name = strndup(at, length);
		if (!name || array_add(names, name) < 0) {
			free(name);
			return session_fail(session, EXIT_REFUSED, "%s", strerror(ENOMEM));
		}
		if (!at[length])
			return EXIT_DONE;
	}
}

int names_split(
	const struct session *session, const char *const *words, size_t count, struct names *ret)
{
	int code = EXIT_DONE;

	for (size_t i = 0; i < count && !code; i++)
		code = split_word(session, words[i], ret);
	return code;
}

void names_clear(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
	*names = (struct names){0};
}
