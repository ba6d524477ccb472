#include "ctl/targets.h"

#include <errno.h>

#include "base/array.h"

/* Asks the daemon for its groups, if there is one. Returns an exit code. */
static int list_groups(struct session *session, struct reply *ret)
{
	if (!session->socket_given && !session->client &&
		client_connect(session->socket, &session->client) < 0)
		return EXIT_DONE;
	return session_call(session, "ListGroups", ret);
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

static int add(struct session *session, const char *word, struct targets *targets)
{
	struct target target;
	char why[WHY_MAX];
	int r = target_parse(word, &target, why);

	if (r == -EINVAL)
		return session_fail(session, EXIT_MISUSED, "'%s': %s", word, why);
	if (r >= 0 && (r = array_add(targets, target)) < 0)
		target_clear(&target);
	return r < 0 ? session_fail(session, EXIT_REFUSED, "%s", strerror(-r)) : EXIT_DONE;
}

int targets_read(
	struct session *session, const char *const *words, size_t count, struct targets *ret)
{
	AUTO_TARGETS struct targets targets = {0};
	AUTO_REPLY struct reply reply = {0};
	const char *group = NULL, *target = NULL;
	int code = EXIT_DONE;

	for (size_t i = 0; i < count && !target; i++)
		target = is_meant(words[i]) ? words[i] : NULL;
	if (target)
		code = list_groups(session, &reply);
	target = NULL;
	for (size_t i = 0; i < count; i++)
		if (is_meant(words[i]) && !has_group(&reply, words[i]))
			target = words[i];
		else
			group = words[i];
	if (!code && group && target)
		return session_fail(session, EXIT_MISUSED,
			"'%s' is a group of mcastd and '%s' is a target: name one kind only", group,
			target);
	for (size_t i = 0; i < count && target && !code; i++)
		code = add(session, words[i], &targets);
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
