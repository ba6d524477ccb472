/* What is told of one cause: a message, the evidence with its numbers, and commands that fix it. */
#pragma once

#include "base/text.h"
#include "ctl/doctor/evidence.h"

enum certainty { CERTAINTY_NO, CERTAINTY_LIKELY, CERTAINTY_CERTAIN };

struct cause;

struct finding {
	const struct cause *cause;
	bool is_certain;
	struct text message; /* escaped, without a full stop */
	struct text evidence; /* for people: "TcpExt.IPReversePathFilter +20; ..." */
	struct text members; /* the same as members of a JSON object */
	struct text fixes; /* commands, and "# ..." what else is to be done or checked, each on a
			    * line of its own that ends in a line feed
			    */
};

void finding_clear(struct finding *finding);

/* Adds to the message. Strings in the arguments that come from elsewhere must be escaped before. */
void finding_say(struct finding *finding, const char *format, ...) PRINTF_LIKE(2, 3);

/* Adds a piece of evidence: "NAME NUMBER", "NAME STRING". */
void finding_number(struct finding *finding, const char *name, uint64_t number);
void finding_string(struct finding *finding, const char *name, const char *string);

/* The growth of a counter of the host, where it has grown: "NAME +NUMBER". */
void finding_growth(struct finding *finding, const struct evidence *evidence, enum counter counter);

/* Adds a command for a shell, as it can be pasted: shell_append() quotes what needs it. The first
 * one begins a command that the second one ends. */
void finding_begin(struct finding *finding, const char *format, ...) PRINTF_LIKE(2, 3);
void finding_fix(struct finding *finding, const char *format, ...) PRINTF_LIKE(2, 3);

/* Adds a line as it is. */
void finding_line(struct finding *finding, const char *line);

/* Adds "# see: " and a command that only looks. */
void finding_see(struct finding *finding, const char *format, ...) PRINTF_LIKE(2, 3);

/* Adds a line "# ...", which a shell ignores: what is to be done by hand, or elsewhere. It may have
 * a command in it, and is quoted like one. */
void finding_hint(struct finding *finding, const char *format, ...) PRINTF_LIKE(2, 3);

#define AUTO_FINDING CLEANUP(finding_clear)
