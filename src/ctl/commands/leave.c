#include "ctl/command.h"

static void show(struct writer *writer, const json_t *answer)
{
	(void)writer, (void)answer;
}

static int run(struct session *session, const struct arguments *arguments)
{
	session_put_name(session, "name", arguments->words[0]);
	return session_show(session, "Leave", show);
}

const struct command leave_command = {
	.name = "leave",
	.arguments = "NAME",
	.words_min = 1,
	.words_max = 1,
	.help = "Leave a group that was joined by 'join'",
	.run = run,
};
