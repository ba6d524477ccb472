/* Which sockets have the same group on the same interface. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "groups/group.h"

#define COUNT 40 /* more than there are lists at first */

static struct config_group configs[2];
static struct group groups[2] = {{.config = &configs[0]}, {.config = &configs[1]}};
static struct origin origins[2] = {{.ifindex = 3}, {.ifindex = 4}};

/* Of the first group on the first interface, but for the last two. */
static void make(struct membership memberships[static COUNT])
{
	address_parse("233.252.0.1", &configs[0].address);
	address_parse("233.252.0.2", &configs[1].address);
	for (size_t i = 0; i < COUNT; i++)
		memberships[i] = (struct membership){
			.group = &groups[i == COUNT - 1], .origin = &origins[i == COUNT - 2]};
}

static size_t count(struct same_groups *same, int group, int interface)
{
	return same_groups_count(same, &configs[group].address, origins[interface].ifindex);
}

static void each_group_and_interface_is_counted_also_after_a_change(void **state)
{
	struct same_groups *same = same_groups_new();
	static struct membership memberships[COUNT];
	uint32_t changes;

	(void)state;
	assert_non_null(same);
	make(memberships);
	assert_int_equal(count(same, 0, 0), 0);
	for (size_t i = 0; i < COUNT - 2; i++) {
		same_groups_add(same, &memberships[i]);
		assert_int_equal(count(same, 0, 0), i + 1);
		assert_int_equal(count(same, 0, 0), i + 1);
	}
	assert_int_equal(count(same, 0, 1), 0);
	same_groups_add(same, &memberships[COUNT - 2]);
	same_groups_add(same, &memberships[COUNT - 1]);
	assert_int_equal(count(same, 0, 1), 1);
	assert_int_equal(count(same, 1, 0), 1);
	assert_int_equal(count(same, 0, 0), COUNT - 2);
	changes = same_groups_changes(same);
	for (size_t i = 0; i < COUNT; i++)
		same_groups_remove(same, &memberships[i]);
	assert_int_equal(count(same, 0, 0), 0);
	assert_int_equal(same_groups_changes(same), changes + COUNT);
	same_groups_free(same);
}

static void none_is_counted_without_memory_for_them(void **state)
{
	(void)state;
	address_parse("233.252.0.1", &configs[0].address);
	assert_int_equal(count(NULL, 0, 0), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_group_and_interface_is_counted_also_after_a_change),
		cmocka_unit_test(none_is_counted_without_memory_for_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
