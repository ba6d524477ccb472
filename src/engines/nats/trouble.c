#include "engines/nats/trouble.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "base/log.h"
#include "base/text.h"
#include "handlers/ledger.h"

static void log_cause(struct trouble *trouble, const char *text)
{
	if (!engine_causes_add(&trouble->causes, text))
		return;
	log_warning("handler %s: %s", trouble->name, text);
	trouble->is_told = true;
}

/* Nothing is wrong any more, while the connection holds. */
static void end(struct trouble *trouble)
{
	if (trouble->is_told)
		log_notice("handler %s: %s", trouble->name,
			trouble->kind == TROUBLE_REFUSAL ? "nothing is refused any more"
							 : "what comes in is taken again");
	trouble->is_told = false;
	if (log_limit_pass(&trouble->forget_limit))
		engine_causes_forget(&trouble->causes);
}

void trouble_show(
	struct trouble *trouble, const char *of_connection, const char *of_input, uint64_t now_ns)
{
	enum trouble_kind kind = of_connection ? TROUBLE_CONNECTION : TROUBLE_NONE;
	const char *error = of_connection;
	AUTO_TEXT struct text text = {0};

	if (trouble->refusal_until_ns && now_ns >= trouble->refusal_until_ns)
		trouble->refusal[0] = '\0';
	if (!error && trouble->refusal[0]) {
		error = trouble->refusal;
		kind = TROUBLE_REFUSAL;
	} else if (!error && of_input) {
		error = of_input;
		kind = TROUBLE_INPUT;
	}
	if (!strcmp(error ? error : "", trouble->shown))
		return;
	snprintf(trouble->shown, sizeof(trouble->shown), "%s", error ? error : "");
	/* Some of it is the server's own text. */
	if (error && strcmp(error, "connecting") != 0) {
		text_append_escaped(&text, error, strlen(error));
		error = text_string(&text);
		log_cause(trouble, error);
	}
	if (!error && trouble->kind != TROUBLE_CONNECTION)
		end(trouble);
	trouble->kind = kind;
	ledger_set_error(trouble->ledger, trouble->object, error);
}

void trouble_refuse(struct trouble *trouble, uint64_t until_ns, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(trouble->refusal, sizeof(trouble->refusal), format, arguments);
	va_end(arguments);
	trouble->refusal_until_ns = until_ns;
}

void trouble_stored(struct trouble *trouble)
{
	if (!trouble->refusal_until_ns)
		trouble->refusal[0] = '\0';
}

void trouble_connected(struct trouble *trouble)
{
	engine_causes_forget(&trouble->causes);
	trouble->is_told = false;
}

uint64_t trouble_deadline(const struct trouble *trouble)
{
	return trouble->refusal[0] ? trouble->refusal_until_ns : 0;
}
