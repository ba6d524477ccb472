#include "ctl/command.h"
#include "net/target.h"

static void show(struct writer *writer, const json_t *answer)
{
	(void)writer, (void)answer;
}

/* A TARGET is named as 'join' names its group: without the sources. */
static int run(struct session *session, const struct arguments *arguments)
{
	const char *word = arguments->words[0];
	AUTO_TARGET struct target target = {0};
	AUTO_FREE char *name = NULL;
	char why[WHY_MAX];

	if (target_parse(word, &target, why) >= 0)
		name = target_group_name(&target);
	session_put_name(session, "name", name ? name : word);
	return session_show(session, "Leave", show);
}

const struct command leave_command = {
	.name = "leave",
	.arguments = "NAME",
	.words_min = 1,
	.words_max = 1,
	.help = "Leave a group that 'join' made, by its name or TARGET",
	.run = run,
};
