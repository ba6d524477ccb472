#include "child/environment.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"

static void PRINTF_LIKE(2, 3) add(struct child_environment *environment, const char *format, ...)
{
	char *string = environment->strings[environment->count];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(string, ENVIRONMENT_STRING_MAX, format, arguments);
	va_end(arguments);
	environment->list[environment->count++] = string;
	environment->list[environment->count] = NULL;
}

void child_environment_begin(struct child_environment *environment)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");

	environment->count = 0;
	add(environment, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	add(environment, "LANG=C.UTF-8");
	/* Where systemd puts the secrets of the service (LoadCredential=, systemd.exec(5)). */
	if (credentials)
		add(environment, "CREDENTIALS_DIRECTORY=%s", credentials);
}

void child_environment_describe(struct child_environment *environment, const struct origin *origin,
	const struct datagram *datagram)
{
	struct address source = endpoint_address(&datagram->source);
	char address[INET6_ADDRSTRLEN], timestamp[TIMESTAMP_MAX];

	add(environment, "MCASTD_GROUP=%s", origin->group);
	add(environment, "MCASTD_ADDRESS=%s", origin->address);
	add(environment, "MCASTD_PORT=%u", origin->port);
	add(environment, "MCASTD_SOURCE=%s", address_format(&source, address));
	add(environment, "MCASTD_SOURCE_PORT=%u", endpoint_port(&datagram->source));
	add(environment, "MCASTD_INTERFACE=%s", origin->interface);
	add(environment, "MCASTD_TTL=%u", datagram->ttl);
	add(environment, "MCASTD_TIMESTAMP=%s",
		format_timestamp(datagram->timestamp_ns, timestamp));
	add(environment, "MCASTD_SIZE=%u", datagram->size);
}
