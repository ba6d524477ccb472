/* What becomes of a request. Pure. */
#pragma once

#include "http/page.h"

/* What matters of it. Strings may be NULL. */
struct http_request {
	bool is_get, is_head;
	int major, minor; /* of its version of HTTP */
	const char *target; /* as it was sent */
	const char *host; /* the header */
	unsigned hosts; /* how many there were */
	bool has_body; /* or may have one */
	bool checks_host; /* it came in where only this host can connect by IP */
};

/* The answer: a page, or a code and a line that says what is wrong. */
struct http_verdict {
	int code;
	const char *reason; /* of the status line */
	const char *message; /* NULL with 200 */
	const struct http_page *page; /* NULL unless 200 */
};

/* Looks at nothing but the request. */
struct http_verdict http_judge(const struct http_request *request);

/* Whether a Host header names an address or localhost, with or without a port: a page of another
 * site, whose name was made to point here (DNS rebinding), sends that name. */
bool http_host_is_local(const char *host);
