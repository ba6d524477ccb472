/* Who gets a slot: a user takes at most as many as it leaves free. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/slots.h"

#define MAX 128 /* of which two are reserved */

struct fixture {
	struct event_base *base;
	struct users users;
	struct slots slots;
	struct slot taken[2 * MAX];
	unsigned count;
	struct rlimit limit;
};

static bool leave_gone(struct slot *slot)
{
	slot_leave(slot);
	return true;
}

static bool stay(struct slot *slot)
{
	(void)slot;
	return false;
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->base = event_base_new();
	users_init(&fixture->users, fixture->base);
	slots_init(&fixture->slots, MAX, leave_gone);
	getrlimit(RLIMIT_NOFILE, &fixture->limit);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	setrlimit(RLIMIT_NOFILE, &fixture->limit);
	while (fixture->count)
		slot_leave(&fixture->taken[--fixture->count]);
	assert_int_equal(fixture->slots.taken, 0);
	assert_int_equal(fixture->users.connections, 0);
	assert_true(list_is_empty(&fixture->slots.shares));
	assert_true(list_is_empty(&fixture->users.list));
	users_clear(&fixture->users);
	event_base_free(fixture->base);
	free(fixture);
	return 0;
}

/* Takes slots until one is refused, for the reason wanted. Returns how many those were. */
static unsigned take_all(struct fixture *fixture, uid_t uid, int wanted)
{
	for (unsigned count = 0;; count++) {
		int r = slot_take(&fixture->taken[fixture->count], &fixture->slots, &fixture->users,
			uid, STDERR_FILENO);

		if (r < 0) {
			assert_int_equal(r, wanted);
			return count;
		}
		fixture->count++;
	}
}

static void test_each_user_leaves_as_many_as_it_takes(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(take_all(fixture, 1000, -EUSERS), 63);
	assert_int_equal(take_all(fixture, 1001, -EUSERS), 32);
	assert_int_equal(take_all(fixture, 1002, -EUSERS), 16);
	assert_int_equal(take_all(fixture, 1000, -EUSERS), 0);
}

static void test_the_last_slots_are_for_the_privileged(void **state)
{
	struct fixture *fixture = *state;

	for (uid_t uid = 1000; fixture->count < MAX - 2; uid++)
		assert_true(take_all(fixture, uid, -EUSERS) > 0);
	assert_int_equal(take_all(fixture, 2000, -EUSERS), 0);
	assert_int_equal(take_all(fixture, geteuid(), -EUSERS), 2);
}

static void test_a_slot_that_was_left_can_be_taken(void **state)
{
	struct fixture *fixture = *state;

	take_all(fixture, 1000, -EUSERS);
	slot_leave(&fixture->taken[--fixture->count]);
	assert_int_equal(take_all(fixture, 1000, -EUSERS), 1);
}

static void test_a_connection_of_an_earlier_run_has_its_slot_whoever_came_before(void **state)
{
	struct fixture *fixture = *state;
	unsigned others;

	while (slots_allow(0, fixture->slots.taken, MAX, MAX / 64, false))
		take_all(fixture, 1000 + fixture->count, -EUSERS);
	others = fixture->count;
	while (fixture->count < others + MAX / 2)
		assert_int_equal(slot_keep(&fixture->taken[fixture->count++], &fixture->slots,
					 &fixture->users, 1, STDERR_FILENO),
			0);
	assert_int_equal(take_all(fixture, geteuid(), -EUSERS), 0);
	while (fixture->count > others)
		slot_leave(&fixture->taken[--fixture->count]);
	assert_int_equal(take_all(fixture, geteuid(), -EUSERS), 2);
}

static void test_connections_that_move_count_where_they_are(void **state)
{
	struct fixture *fixture = *state;
	struct slots other;

	slots_init(&other, 4, leave_gone);
	take_all(fixture, 1000, -EUSERS);
	for (unsigned i = 0; i < fixture->count; i++)
		assert_int_equal(slot_move(&fixture->taken[i], &other), 0);
	assert_int_equal(fixture->slots.taken, 0);
	assert_int_equal(other.taken, 63);
	assert_int_equal(users_count(&fixture->users, 1000), 63);
	for (unsigned i = 0; i < fixture->count; i++)
		assert_int_equal(slot_move(&fixture->taken[i], &fixture->slots), 0);
	assert_true(list_is_empty(&other.shares));
}

/* A search in vain is not repeated at once. */
static void search_again(struct fixture *fixture)
{
	struct user *user;

	list_for_each(user, &fixture->users.list, link)
		user->none_gone_ns = 0;
}

/* Makes one of the connections one whose other side has gone. Returns its descriptor. */
static int let_go(struct slot *slot)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	slot->fd = pair[0];
	return pair[0];
}

static void test_connections_that_have_gone_make_room(void **state)
{
	struct fixture *fixture = *state;
	AUTO_CLOSE int first = -1, second = -1;

	take_all(fixture, 1000, -EUSERS);
	search_again(fixture);
	first = let_go(&fixture->taken[3]);
	second = let_go(&fixture->taken[50]);
	assert_int_equal(take_all(fixture, 1001, -EUSERS), 32); /* they are another user's */
	assert_int_equal(slot_take(&fixture->taken[3], &fixture->slots, &fixture->users, 1000,
				 STDERR_FILENO),
		-EUSERS); /* as there are 32 others now */
	assert_null(fixture->taken[3].user);
	assert_null(fixture->taken[50].user);
	assert_int_equal(users_count(&fixture->users, 1000), 61);
}

static void test_connections_that_have_gone_stay_while_something_is_unread(void **state)
{
	struct fixture *fixture = *state;
	AUTO_CLOSE int fd = -1;

	take_all(fixture, 1000, -EUSERS);
	search_again(fixture);
	fixture->slots.close_gone = stay;
	fd = let_go(&fixture->taken[0]);
	assert_int_equal(take_all(fixture, 1000, -EUSERS), 0);
	assert_int_equal(users_count(&fixture->users, 1000), 63);
}

static void test_each_search_checks_others(void **state)
{
	struct fixture *fixture = *state;
	AUTO_CLOSE int fd = -1;

	take_all(fixture, geteuid(), -EUSERS); /* the first 64 were checked for the last one */
	fd = let_go(&fixture->taken[10]);
	search_again(fixture);
	assert_int_equal(slot_take(&fixture->taken[MAX], &fixture->slots, &fixture->users,
				 geteuid(), STDERR_FILENO),
		-EUSERS);
	search_again(fixture);
	assert_int_equal(slot_take(&fixture->taken[MAX], &fixture->slots, &fixture->users,
				 geteuid(), STDERR_FILENO),
		0);
	fixture->count = MAX + 1;
}

/* Connections need no descriptors here, so that those of users are what counts. */
static void test_descriptors_are_shared_the_same_way(void **state)
{
	struct fixture *fixture = *state;
	struct rlimit limit = {64, fixture->limit.rlim_max};

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(take_all(fixture, 1000, -EMFILE), 28);
	assert_int_equal(take_all(fixture, 1001, -EMFILE), 14);
	assert_int_equal(take_all(fixture, geteuid(), -EMFILE), 17);
}

static void test_without_descriptors_the_privileged_get_some(void **state)
{
	struct fixture *fixture = *state;
	struct rlimit limit = {3, fixture->limit.rlim_max};

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(take_all(fixture, 1000, -EMFILE), 0);
	assert_int_equal(take_all(fixture, geteuid(), -EMFILE), 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_user_leaves_as_many_as_it_takes),
		TEST(test_the_last_slots_are_for_the_privileged),
		TEST(test_a_slot_that_was_left_can_be_taken),
		TEST(test_a_connection_of_an_earlier_run_has_its_slot_whoever_came_before),
		TEST(test_connections_that_move_count_where_they_are),
		TEST(test_connections_that_have_gone_make_room),
		TEST(test_connections_that_have_gone_stay_while_something_is_unread),
		TEST(test_each_search_checks_others),
		TEST(test_descriptors_are_shared_the_same_way),
		TEST(test_without_descriptors_the_privileged_get_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
