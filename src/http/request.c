#include "http/request.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "net/address.h"

static struct http_verdict refuse(int code, const char *reason, const char *message)
{
	return (struct http_verdict){.code = code, .reason = reason, .message = message};
}

/* ":9184", or nothing. */
static bool is_port(const char *string)
{
	if (!*string)
		return true;
	if (*string != ':' || !string[1])
		return false;
	return string[1 + strspn(string + 1, "0123456789")] == '\0';
}

bool http_host_is_local(const char *host)
{
	static const char name[] = "localhost";
	char text[INET6_ADDRSTRLEN];
	struct address address;
	size_t length;

	if (!strncasecmp(host, name, sizeof(name) - 1))
		return is_port(host + sizeof(name) - 1);
	if (*host == '[')
		length = strcspn(++host, "]");
	else
		length = strcspn(host, ":");
	if (length >= sizeof(text))
		return false;
	memcpy(text, host, length);
	text[length] = '\0';
	if (address_parse(text, &address) < 0)
		return false;
	if (address.family == AF_INET6)
		return host[length] == ']' && is_port(host + length + 1);
	return is_port(host + length);
}

struct http_verdict http_judge(const struct http_request *request)
{
	const struct http_page *page;

	if (request->major != 1 || request->minor < 0 || !request->target)
		return refuse(
			400, "Bad Request", "the request is no request of HTTP/1.0 or HTTP/1.1");
	if (!request->is_get && !request->is_head)
		return refuse(405, "Method Not Allowed", "there are GET and HEAD only");
	if (request->has_body)
		return refuse(400, "Bad Request", "a request has no body here");
	if (request->hosts > 1 || (request->minor && !request->hosts))
		return refuse(400, "Bad Request", "the request must have one header Host");
	if (request->checks_host && request->hosts && !http_host_is_local(request->host))
		return refuse(421, "Misdirected Request",
			"call this server by its address or as localhost");
	if (*request->target != '/')
		return refuse(400, "Bad Request", "this is no proxy: ask for a path");
	page = http_page_find(request->target, strcspn(request->target, "?#"));
	if (!page)
		return refuse(404, "Not Found", "there is no such page");
	return (struct http_verdict){.code = 200, .reason = "OK", .page = page};
}
