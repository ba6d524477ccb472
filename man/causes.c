/* The causes that mcastctl doctor knows, as a table. */
#include "ctl/doctor/causes.h"
#include "tables.h"

static void put_row(struct text *out, const struct cause *cause)
{
	text_append_string(out, "|  *");
	append_plain_string(out, cause->name);
	text_append_string(out, "*\n:  ");
	append_sentence(out, cause->meaning);
	text_append_string(out, "\n:  ");
	append_sentence(out, cause->remedy);
	text_append_string(out, "\n");
}

/* Some causes have a second row in the program, for what is seen without privilege. */
void put_causes(struct text *out, const char *argument)
{
	if (*argument)
		fail("CAUSES takes no argument");
	text_append_string(out, "[[ *Cause*\n:< *Meaning*\n:< *What fixes it*\n");
	for (const struct cause *cause = causes; cause->name; cause++)
		if (cause->meaning)
			put_row(out, cause);
}
