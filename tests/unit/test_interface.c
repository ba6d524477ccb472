/* Which interfaces differ in two lists, and whom that concerns. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "groups/forgotten.h"
#include "net/interface.h"

static struct interface_list before, after;
static struct interface_changes changes;

static void add(struct interface_list *list, unsigned index, const char *name, uint64_t digest)
{
	struct interface interface = {.index = index, .digest = digest};

	strcpy(interface.name, name);
	assert_int_equal(array_add(list, interface), 0);
}

static void add_address(struct interface_list *list, unsigned index, const char *text)
{
	struct interface_address address = {.ifindex = index};

	assert_int_equal(address_parse(text, &address.address), 0);
	assert_int_equal(array_add(&list->addresses, address), 0);
}

static void compare(void)
{
	assert_int_equal(interface_list_compare(&before, &after, NULL, 0, &changes), 0);
}

static int tear_down(void **state)
{
	(void)state;
	interface_list_clear(&before);
	interface_list_clear(&after);
	free(changes.items);
	changes = (struct interface_changes){0};
	return 0;
}

static bool concerns(const char *pattern)
{
	return interface_changes_concern(&changes, pattern);
}

static void equal_lists_concern_nobody(void **state)
{
	(void)state;
	add(&before, 1, "eth0", 10);
	add(&before, 2, "eth1", 20);
	add(&after, 2, "eth1", 20);
	add(&after, 1, "eth0", 10);
	compare();
	assert_int_equal(changes.count, 0);
	assert_false(concerns("eth0"));
	assert_false(concerns("*"));
}

static void a_change_concerns_the_names_and_patterns_of_its_interface(void **state)
{
	(void)state;
	add(&before, 1, "eth0", 10);
	add(&before, 2, "eth1", 20);
	add(&after, 1, "eth0", 10);
	add(&after, 2, "eth1", 21);
	compare();
	assert_true(concerns("eth1"));
	assert_true(concerns("eth*"));
	assert_false(concerns("eth0"));
	assert_false(concerns("wlan*"));
	assert_false(concerns("absent"));
}

static void what_comes_goes_or_is_renamed_concerns_both_names(void **state)
{
	(void)state;
	add(&before, 1, "old", 10);
	add(&before, 2, "gone", 20);
	add(&after, 1, "new", 11);
	add(&after, 3, "added", 30);
	compare();
	assert_true(concerns("old"));
	assert_true(concerns("new"));
	assert_true(concerns("gone"));
	assert_true(concerns("add*"));
}

static void an_address_that_moves_concerns_who_names_it(void **state)
{
	(void)state;
	add(&before, 1, "eth0", 10);
	add(&before, 2, "eth1", 20);
	add_address(&before, 1, "192.0.2.1");
	add(&after, 1, "eth0", 11);
	add(&after, 2, "eth1", 21);
	add_address(&after, 2, "192.0.2.1");
	compare();
	assert_true(concerns("192.0.2.1"));
	assert_false(concerns("192.0.2.2"));
}

static void an_interface_that_was_deleted_and_is_back_concerns_its_names(void **state)
{
	(void)state;
	add(&before, 1, "eth0", 10);
	add(&after, 1, "eth0", 10);
	assert_int_equal(
		interface_list_compare(&before, &after, (unsigned[]){1, 1}, 2, &changes), 0);
	assert_int_equal(changes.count, 1);
	assert_true(concerns("eth0"));
}

static void what_was_joined_after_an_interface_was_deleted_is_not_lost_with_it(void **state)
{
	struct forgotten forgotten = {0};
	uint32_t earlier, later;

	(void)state;
	earlier = forgotten_now(&forgotten);
	assert_int_equal(forgotten_note_gone(&forgotten, (unsigned[]){7}, 1), 0);
	later = forgotten_now(&forgotten);
	assert_true(forgotten_is_gone(&forgotten, 7, earlier));
	assert_false(forgotten_is_gone(&forgotten, 7, later));
	assert_false(forgotten_is_gone(&forgotten, 8, earlier));
	forgotten_clear(&forgotten);
	assert_false(forgotten_is_gone(&forgotten, 7, earlier));
}

static void a_list_of_memberships_says_nothing_of_what_was_joined_since(void **state)
{
	struct forgotten forgotten = {0};
	struct joined joined = {0};
	struct address group;
	uint32_t began;

	(void)state;
	assert_int_equal(address_parse("239.255.254.253", &group), 0);
	assert_false(forgotten_is_left(&forgotten, &group, 1, 0));
	began = forgotten_tick(&forgotten);
	if (joined_read(&joined) < 0)
		skip();
	forgotten_note_joined(&forgotten, &joined, began, false);
	assert_true(forgotten_seems_left(&forgotten, &group, 1, began - 1));
	assert_true(forgotten_is_left(&forgotten, &group, 1, began - 1));
	assert_true(forgotten.is_sure);
	assert_false(forgotten_is_left(&forgotten, &group, 1, forgotten_now(&forgotten)));
	forgotten_clear(&forgotten);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(equal_lists_concern_nobody, tear_down),
		cmocka_unit_test_teardown(
			a_change_concerns_the_names_and_patterns_of_its_interface, tear_down),
		cmocka_unit_test_teardown(
			what_comes_goes_or_is_renamed_concerns_both_names, tear_down),
		cmocka_unit_test_teardown(an_address_that_moves_concerns_who_names_it, tear_down),
		cmocka_unit_test_teardown(
			an_interface_that_was_deleted_and_is_back_concerns_its_names, tear_down),
		cmocka_unit_test(
			what_was_joined_after_an_interface_was_deleted_is_not_lost_with_it),
		cmocka_unit_test(a_list_of_memberships_says_nothing_of_what_was_joined_since),
	};

	return cmocka_run_group_tests_name("interface", tests, NULL, NULL);
}
