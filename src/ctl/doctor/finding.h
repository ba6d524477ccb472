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
	struct text fixes; /* commands, each on a line of its own that ends in a line feed */
};

void finding_clear(struct finding *finding);

/* Adds to the message. Strings in the arguments that come from elsewhere must be escaped before. */
void finding_say(struct finding *finding, const char *format, ...) PRINTF_LIKE(2, 3);

/* Adds a piece of evidence: "NAME NUMBER", "NAME STRING". */
void finding_number(struct finding *finding, const char *name, uint64_t number);
void finding_string(struct finding *finding, const char *name, const char *string);

/* The growth of a counter of the host, where it has grown: "NAME +NUMBER". */
void finding_growth(struct finding *finding, const struct evidence *evidence, enum counter counter);

/* Adds a command, or a line that says what to do. */
void finding_fix(struct finding *finding, const char *format, ...) PRINTF_LIKE(2, 3);

#define AUTO_FINDING CLEANUP(finding_clear)
