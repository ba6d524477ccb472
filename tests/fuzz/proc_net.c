/* Texts of /proc/net: sockets and counters of whatever release of the kernel. Nothing is read
 * beyond the text, and what is taken is well-formed. */
#include "ctl/doctor/kernel_counters.h"
#include "fuzz.h"
#include "net/udp_sockets.h"

static void try_sockets(sa_family_t family, const char *text)
{
	struct udp_sockets sockets = {0};

	CHECK(udp_sockets_parse(&sockets, family, text) == 0);
	for (size_t i = 0; i < sockets.count; i++) {
		sa_family_t found = sockets.items[i].address.family;

		CHECK(found == AF_INET || found == family);
	}
	udp_sockets_clear(&sockets);
}

static void try_counters(
	int (*parse)(struct kernel_counters *counters, const char *text), const char *text)
{
	struct kernel_counters counters = {0}, none = {0};

	CHECK(parse(&counters, text) == 0 && parse(&counters, text) == 0);
	for (size_t i = 0; i < counters.count; i++) {
		const char *name = counters.items[i].name;

		CHECK(memchr(name, '\0', sizeof(counters.items->name)) && *name);
		CHECK(!i || strcmp(counters.items[i - 1].name, name) <= 0);
		CHECK(kernel_counters_growth(&none, &counters, name) == 0);
		kernel_counters_growth(&counters, &counters, name);
	}
	kernel_counters_clear(&counters);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	CHECK(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	try_sockets(AF_INET, text);
	try_sockets(AF_INET6, text);
	try_counters(kernel_counters_parse, text);
	try_counters(kernel_counters_parse6, text);
	free(text);
	return 0;
}
