#include "engines/mqtt/cause.h"

#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <string.h>

static const char *refusal(const struct cause *cause)
{
	switch (cause->refused) {
	case CONNACK_REFUSED_PROTOCOL_VERSION:
	case MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION:
		return "the broker does not speak this version of MQTT (version)";
	case CONNACK_REFUSED_IDENTIFIER_REJECTED:
	case MQTT_RC_CLIENTID_NOT_VALID:
		return "the broker does not accept this client identifier (client_id)";
	case CONNACK_REFUSED_BAD_USERNAME_PASSWORD:
	case MQTT_RC_BAD_USERNAME_OR_PASSWORD:
	case CONNACK_REFUSED_NOT_AUTHORIZED:
	case MQTT_RC_NOT_AUTHORIZED:
		return cause->has_username
			       ? "not authorised: the broker does not accept this user name and "
				 "password (username, password_file)"
			       : "not authorised: the broker wants a user name and a password "
				 "(username, password_file), or a client certificate (certificate, "
				 "key)";
	case CONNACK_REFUSED_SERVER_UNAVAILABLE:
		return "the broker is not available";
	default:
		return mosquitto_reason_string(cause->refused);
	}
}

/* What OpenSSL says, in words of who configures it. */
static void explain_tls(const char *said, char ret[static WHY_MAX])
{
	if (strstr(said, "alert certificate required") || strstr(said, "alert handshake failure"))
		because(ret, 0, "the broker wants a client certificate (certificate, key): TLS: %s",
			said);
	else if (strstr(said, "alert") && (strstr(said, "certificate") || strstr(said, " ca")))
		because(ret, 0, "the broker does not accept our certificate (certificate): TLS: %s",
			said);
	else if (strstr(said, "version number") || strstr(said, "unexpected eof"))
		because(ret, 0, "no TLS is spoken at this port: TLS: %s", said);
	else
		because(ret, 0, "TLS: %s", said);
}

/* A connection that the broker has closed may end in several ways. */
static bool is_closed(const struct cause *cause)
{
	int error = cause->code == MOSQ_ERR_ERRNO ? cause->error : 0;

	return cause->code == MOSQ_ERR_CONN_LOST || error == ECONNRESET || error == EPIPE;
}

void cause_explain_code(const struct cause *cause, char ret[static WHY_MAX])
{
	int code = cause->code;

	if (code == MQTT_RC_SESSION_TAKEN_OVER)
		because(ret, 0, "another client has the same client_id, and has taken over");
	else if (code >= 0x80)
		because(ret, 0, "the broker says: %s", mosquitto_reason_string(code));
	else if (is_closed(cause) && !cause->was_up)
		because(ret, 0, "the broker closed the connection without an answer: %s",
			cause->has_tls ? "does it speak TLS at this port, and does it want another "
					 "certificate (certificate)?"
				       : "is it an MQTT broker, without TLS?");
	else if (cause->was_short)
		because(ret, 0,
			"the broker closes it again and again: does another client have the same "
			"client_id?");
	else if (is_closed(cause) || !code)
		because(ret, 0, "the broker closed the connection");
	else if (code == MOSQ_ERR_PROTOCOL || code == MOSQ_ERR_MALFORMED_PACKET ||
		 (code == MOSQ_ERR_ERRNO && !cause->error))
		because(ret, 0, "what the broker sent breaks the protocol of MQTT");
	else if (code == MOSQ_ERR_KEEPALIVE)
		because(ret, 0, "no answer to a ping");
	else if (code == MOSQ_ERR_ERRNO && cause->error == EPROTO && cause->has_tls)
		/* The library's word for any end of TLS that it was not told the reason of. */
		because(ret, 0,
			"the broker broke off TLS without a reason: does it accept our certificate "
			"(certificate)?");
	else if (code == MOSQ_ERR_TLS) /* newer libraries do not say more */
		because(ret, 0, "the TLS handshake failed: perhaps no TLS is spoken at this port");
	else if (code == MOSQ_ERR_ERRNO)
		because(ret, 0, "%s", strerror(cause->error));
	else
		because(ret, 0, "%s", mosquitto_strerror(code));
}

void cause_explain(const struct cause *cause, char ret[static WHY_MAX])
{
	if (cause->refused)
		because(ret, 0, "%s", refusal(cause));
	else if (cause->certificate)
		because(ret, 0, "%s", cause->certificate);
	else if (*cause->said && cause->has_tls)
		explain_tls(cause->said, ret);
	else
		cause_explain_code(cause, ret);
}
