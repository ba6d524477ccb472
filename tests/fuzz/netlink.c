/* Answers of a kernel of whatever release to questions for links, addresses and routes: nothing is
 * read beyond an attribute. The input is the answers, each behind its size in two bytes. */
#include <sanitizer/asan_interface.h>
#include <sys/socket.h>

#include "ctl/doctor/link.h"
#include "ctl/doctor/route.h"
#include "fuzz.h"
#include "net/interface.h"
#include "net/reverse_path.h"
#include "net/rtnetlink.h"

static struct input answers;

/* Instead of the C library's: the kernel is not asked. */
ssize_t send(int fd, const void *data, size_t size, int flags)
{
	(void)fd, (void)data, (void)flags;
	return (ssize_t)size;
}

/* What is behind an answer must not be read. In a buffer on the stack that would stay so for those
 * who use the stack next. */
static void forbid_rest(char *data, size_t used, size_t size)
{
	if (data < (char *)__builtin_frame_address(0))
		ASAN_POISON_MEMORY_REGION(data + used, size - used);
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
	uint16_t wanted;
	const uint8_t *bytes;
	size_t used;

	(void)fd, (void)flags;
	ASAN_UNPOISON_MEMORY_REGION(data, size);
	if (!input_take(&answers, &wanted, sizeof(wanted))) {
		errno = ENOBUFS;
		return -1;
	}
	bytes = input_bytes(&answers, wanted < size ? wanted : size, &used);
	if (used)
		memcpy(data, bytes, used);
	forbid_rest(data, used, size);
	return (ssize_t)used;
}

static char *const patterns[] = {"eth0", "eth*", "*", "192.0.2.5", "lan", "!br*", "!2001:db8::2"};

static int want(void *argument, const char *name)
{
	CHECK(*name);
	return ++*(int *)argument < 100 ? 0 : -ENOMEM;
}

static void check_list(const struct interface_list *list)
{
	struct interface_patterns wanted = {patterns, ARRAY_SIZE(patterns), list->count % 2};
	int names = 0;

	for (size_t i = 0; i < list->count; i++) {
		CHECK(memchr(list->items[i].name, '\0', IF_NAMESIZE));
		interface_address(list, &list->items[i], AF_INET6);
		for (size_t j = 0; j < ARRAY_SIZE(patterns); j++)
			interface_matches(list, &list->items[i], patterns[j]);
	}
	for (size_t j = 0; j < ARRAY_SIZE(patterns); j++) {
		interface_find(list, patterns[j]);
		interface_any_matches(list, patterns[j]);
	}
	interface_select(list, &wanted, want, &names);
}

/* What has changed from one list to the next. */
static void check_changes(const struct interface_list *before, const struct interface_list *after)
{
	static const unsigned also[] = {1, 1, 77};
	struct interface_changes changes = {0};

	CHECK(interface_list_compare(before, after, also, ARRAY_SIZE(also), &changes) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
		interface_changes_concern(&changes, patterns[i]);
	free(changes.items);
}

static void try_lists(const uint8_t *data, size_t size)
{
	struct interface_list list = {0}, next = {0};

	answers = (struct input){data, size};
	if (interface_list_read(&list) == 0) {
		check_list(&list);
		if (interface_list_read(&next) < 0)
			next.count = 0;
		check_changes(&list, &next);
	}
	interface_list_clear(&next);
	interface_list_clear(&list);
}

/* One that is asked for again, and one that is not asked for. */
static void try_paths(const uint8_t *data, size_t size)
{
	static const char *const sources[] = {
		"192.0.2.1", "192.0.2.1", "2001:db8::1", "::1", "127.0.0.1"};
	struct reverse_path *paths = reverse_path_new();
	struct address address;

	answers = (struct input){data, size};
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		CHECK(address_parse(sources[i], &address) == 0);
		reverse_path_leads_to(paths, &address, 2, 1);
	}
	reverse_path_forget(paths);
	reverse_path_leads_to(paths, &address, 2, 1);
	reverse_path_free(paths);
}

static bool is_string(const char *string, size_t size)
{
	return memchr(string, '\0', size);
}

/* What mcastctl asks to find why nothing arrives. */
static void try_doctor(const uint8_t *data, size_t size)
{
	static struct interface interfaces[] = {{.name = "eth0", .index = 2}, {"br0", .index = 3}};
	static const struct interface_list list = {.items = interfaces, .count = 2};
	struct address group = {.family = AF_INET, .v4.s_addr = htonl(0xef010101)};
	struct route route;
	struct link link;
	char name[IF_NAMESIZE];

	answers = (struct input){data, size};
	if (link_read("eth0", &list, &link) == 0)
		CHECK(is_string(link.name, sizeof(link.name)) &&
			is_string(link.kind, sizeof(link.kind)) &&
			is_string(link.master_kind, sizeof(link.master_kind)));
	answers = (struct input){data, size};
	CHECK(!link_find_vlan("lo", 77, name) || is_string(name, sizeof(name)));
	answers = (struct input){data, size};
	route_verdict(&group, &group, 2);
	answers = (struct input){data, size};
	route_find(&group, 2, &route);
	CHECK(route.exists == !route.error && is_string(route.interface, IF_NAMESIZE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address address = {.family = AF_INET, .v4.s_addr = htonl(0xc0000201)};
	char name[IF_NAMESIZE];

	try_lists(data, size);
	answers = (struct input){data, size};
	interface_splits_runs(2);
	answers = (struct input){data, size};
	rtnetlink_route_name(&address, name);
	try_paths(data, size);
	try_doctor(data, size);
	return 0;
}
