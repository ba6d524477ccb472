/* Why there is no connection, in words of who can change that: from what the broker, the library
 * and OpenSSL have said, each in its own way. Pure. */
#pragma once

#include <stdbool.h>

#include "base/errors.h"

/* What is known. */
struct cause {
	int code; /* of the library, or a reason of MQTT 5 that the broker ended the connection with
		   */
	int error; /* errno with MOSQ_ERR_ERRNO; 0: none */
	int refused; /* the reason of a CONNACK; 0: it did not refuse */
	const char *certificate; /* what is wrong with the broker's; NULL: nothing that is known */
	const char *said; /* the library's last error while connecting; "": none */
	bool has_username, has_tls;
	bool was_up; /* the connection was lost, and not just not made */
	bool was_short; /* it was up, and as short as some before it */
};

/* The first cause that is known, from the most to the least exact. */
void cause_explain(const struct cause *cause, char ret[static WHY_MAX]);

/* The same from code and error alone. */
void cause_explain_code(const struct cause *cause, char ret[static WHY_MAX]);
