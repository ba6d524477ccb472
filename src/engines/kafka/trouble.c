#include "engines/kafka/trouble.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "handlers/ledger.h"

const char *trouble_text(const char *string, char ret[static WHY_MAX])
{
	AUTO_TEXT struct text text = {0};

	text_append_escaped(&text, string, strlen(string));
	snprintf(ret, WHY_MAX, "%s", text_string(&text));
	return ret;
}

void trouble_show(struct trouble *trouble, int cause, const char *text)
{
	bool is_new = trouble->cause != cause;

	trouble->cause = cause;
	if (is_new && log_limit_pass(&trouble->limit))
		log_warning("handler %s: %s", trouble->name, text);
	ledger_set_error(trouble->ledger, trouble->object, text);
}

static void show_refusal(const struct trouble *trouble)
{
	ledger_set_error(
		trouble->ledger, trouble->object, *trouble->refusal ? trouble->refusal : NULL);
}

void trouble_clear(struct trouble *trouble)
{
	if (!trouble->cause)
		return;
	trouble->cause = trouble->heard_cause = 0;
	trouble->limit = (struct log_limit){0};
	show_refusal(trouble);
}

void trouble_end(struct trouble *trouble)
{
	if (trouble->cause)
		log_notice("handler %s: Kafka takes datagrams again", trouble->name);
	trouble_clear(trouble);
}

void trouble_refuse(struct trouble *trouble, const char *text)
{
	if (!strcmp(trouble->refusal, text ? text : ""))
		return;
	snprintf(trouble->refusal, sizeof(trouble->refusal), "%s", text ? text : "");
	if (!trouble->cause)
		show_refusal(trouble);
}

static const char *hint(int cause, const char *text)
{
	if (cause == RD_KAFKA_RESP_ERR__SSL || strstr(text, "SSL routines"))
		return "; see tls, ca, certificate and key, and the names in brokers";
	if (cause == RD_KAFKA_RESP_ERR__AUTHENTICATION)
		return "; see sasl, username and password_file";
	/* Nothing else has been heard: it was connected to some of them. */
	if (cause == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		return "; they close the connection and do not say why: see tls, sasl and brokers";
	return cause == RD_KAFKA_RESP_ERR__RESOLVE ? "; see brokers" : "";
}

/* What the library asks first, of whoever has accepted the connection. */
static void explain_silence(char text[static WHY_MAX])
{
	char *found = strstr(text, "ApiVersionRequest failed: Local: Timed out");

	if (found)
		snprintf(found, WHY_MAX - (size_t)(found - text),
			"connected, but then it did not answer; is it a Kafka broker?");
}

static void cut(char *text, const char *from)
{
	char *found = strstr(text, from);

	if (found)
		*found = '\0';
}

/* "127.0.0.1:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms
 * in state CONNECT)": without its end, and without advice in the library's own words. */
void trouble_hear(struct trouble *trouble, int cause, const char *reason, const char *advice)
{
	char text[WHY_MAX];

	trouble_text(reason, text);
	cut(text, " (after ");
	cut(text, ": broker certificate could not be verified");
	explain_silence(text);
	trouble->heard_cause = cause;
	snprintf(trouble->heard, sizeof(trouble->heard), "%s%s", text,
		advice ? advice : hint(cause, text));
}

void trouble_show_heard(struct trouble *trouble, uint64_t silence_ns)
{
	char text[WHY_MAX];

	if (trouble->heard_cause) {
		trouble_show(trouble, trouble->heard_cause, trouble->heard);
		return;
	}
	snprintf(text, sizeof(text), "no broker has acknowledged anything for %llu ms",
		silence_ns / NS_PER_MS);
	trouble_show(trouble, RD_KAFKA_RESP_ERR__TIMED_OUT, text);
}
