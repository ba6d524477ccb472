#include "ctl/command.h"
#include "ctl/json.h"

static void show(struct writer *writer, const json_t *answer)
{
	(void)writer;
	(void)answer;
}

static int run(struct session *session, const struct arguments *arguments)
{
	AUTO_JSON json_t *parameters = json_pack("{s:s}", "name", arguments->words[0]);

	if (!parameters)
		return session_misuse(session, "the name is not UTF-8");
	return session_show(session, "Leave", parameters, show);
}

const struct command leave_command = {
	.name = "leave",
	.arguments = "NAME",
	.words_min = 1,
	.words_max = 1,
	.help = "Leave a group that was joined by 'join'",
	.run = run,
};
