/* The causes that mcastctl doctor knows. */
#include "ctl/doctor/causes.h"
#include "tables.h"

static void put_row(struct text *out, const struct cause *cause)
{
	text_append_string(out, "*");
	append_plain_string(out, cause->name);
	text_append_string(out, "*\n\t");
	append_sentence(out, cause->meaning);
	text_append_string(out, "\n\tTo fix it: ");
	append_sentence(out, cause->remedy);
	text_append_string(out, "\n\n");
}

/* Some causes have a second row in the program, for what is seen without privilege. */
void put_causes(struct text *out, const char *argument)
{
	if (*argument)
		fail("CAUSES takes no argument");
	for (const struct cause *cause = causes; cause->name; cause++)
		if (cause->meaning)
			put_row(out, cause);
}
