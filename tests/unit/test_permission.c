#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "groups/permission.h"

/* The daemon's user and group, the group of the file, and those of nobody in particular. */
enum { DAEMON = 900, FILE_GROUP = 800, ALICE = 1000, TEAM = 700 };

static const struct owner owner = {DAEMON, FILE_GROUP};

static gid_t several[] = {1, TEAM, FILE_GROUP};

/* With FILE_GROUP among its groups, or only the first two of them. */
#define MEMBER(user)                                                          \
	{                                                                     \
		.uid = (user), .gid = 50, .groups = several, .group_count = 3 \
	}
#define OTHER(user)                                                           \
	{                                                                     \
		.uid = (user), .gid = 50, .groups = several, .group_count = 2 \
	}

static const struct peer root = {.uid = 0, .gid = 0}, daemon_user = OTHER(DAEMON),
			 member = MEMBER(ALICE), other = OTHER(ALICE),
			 by_first_group = {.uid = ALICE, .gid = FILE_GROUP};

/* Sets a list of a group with defaults; NULL at the end. */
static void allow(struct config_group *group, const char *name, const char *const *items)
{
	const struct key *key = schema_find(&group_schema, name);
	char why[WHY_MAX];

	key_clear(key, group);
	for (; *items; items++)
		if (key_set(key, group, *items, why) < 0)
			fail_msg("%s", why);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define EMPTY ((const char *const[]){NULL})

static int set_up(void **state)
{
	struct config_group *group = calloc(1, sizeof(*group));

	*state = group;
	return group ? config_group_init(group, "news") : -1;
}

static int tear_down(void **state)
{
	config_group_clear(*state);
	free(*state);
	return 0;
}

static bool sends(const struct config_group *group, const struct peer *peer)
{
	return permission_allows(group, &owner, peer, ACCESS_SEND);
}

static bool receives(const struct config_group *group, const struct peer *peer)
{
	return permission_allows(group, &owner, peer, ACCESS_RECEIVE);
}

static void by_default_root_the_daemon_and_its_group_may(void **state)
{
	const struct peer *may[] = {&root, &daemon_user, &member, &by_first_group};

	for (size_t i = 0; i < ARRAY_SIZE(may); i++) {
		assert_true(sends(*state, may[i]));
		assert_true(receives(*state, may[i]));
	}
	assert_false(sends(*state, &other));
	assert_false(receives(*state, &other));
	assert_false(permission_names_others(*state));
}

/* Of the classes of a file, one counts. */
static void the_mode_decides_as_the_kernel_does(void **state)
{
	static const struct {
		int mode;
		bool owner, group, others;
	} rows[] = {{0666, true, true, true}, {0600, true, false, false},
		{0060, false, true, false}, {0006, false, false, true}, {0555, false, false, false},
		{0222, true, true, true}};
	struct config_group *group = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		group->socket_mode = rows[i].mode;
		assert_true(sends(group, &root));
		assert_int_equal(sends(group, &daemon_user), rows[i].owner);
		assert_int_equal(sends(group, &member), rows[i].group);
		assert_int_equal(sends(group, &other), rows[i].others);
	}
}

static void a_list_allows_whom_it_names_and_nobody_else(void **state)
{
	allow(*state, "allow_receive", LIST("user:1000"));
	assert_true(receives(*state, &other));
	assert_false(receives(*state, &root));
	assert_false(receives(*state, &daemon_user));
	assert_false(sends(*state, &other));
	assert_true(sends(*state, &root));
	assert_true(permission_names_others(*state));
}

static void a_list_takes_supplementary_groups(void **state)
{
	allow(*state, "allow_send", LIST("user:1", "group:700"));
	assert_true(sends(*state, &other));
	assert_true(sends(*state, &member));
	assert_false(sends(*state, &by_first_group));
	assert_false(sends(*state, &root));
}

static void socket_in_a_list_stands_for_the_mode(void **state)
{
	allow(*state, "allow_send", LIST("socket", "user:1000"));
	assert_true(sends(*state, &root));
	assert_true(sends(*state, &daemon_user));
	assert_true(sends(*state, &other));
	assert_true(permission_names_others(*state));
}

static void an_empty_list_refuses_root(void **state)
{
	allow(*state, "allow_send", EMPTY);
	assert_false(sends(*state, &root));
	assert_false(sends(*state, &daemon_user));
	assert_true(receives(*state, &root));
	assert_false(permission_names_others(*state));
}

static void without_a_group_the_daemons_own_counts(void **state)
{
	struct config_group *group = *state;

	assert_int_equal(owner_of(group).uid, geteuid());
	assert_int_equal(owner_of(group).gid, getegid());
	group->socket_group = (struct principal){PRINCIPAL_GROUP, 4711};
	assert_int_equal(owner_of(group).gid, 4711);
}

static void assert_explained(const struct config_group *group, const struct owner *of,
	const struct peer *peer, enum access access, const char *expected)
{
	AUTO_TEXT struct text text = {0};

	permission_explain(group, of, peer, access, &text);
	assert_string_equal(text_string(&text), expected);
}

/* "daemon" has the number 1 on every Linux, as a user and as a group. */
static void a_refusal_says_what_would_do(void **state)
{
	static const struct owner named = {DAEMON, 1}, of_root = {0, 0};
	const struct peer someone = {.uid = 1, .gid = 2}, unknown = {.uid = 4000000, .gid = 2};
	struct config_group *group = *state;

	group->place = (struct place){"/etc/m.conf", 3};
	assert_explained(group, &named, &someone, ACCESS_SEND,
		"user daemon may not send to group news; to change that: usermod -aG daemon "
		"daemon, "
		"and log in again; or write allow_send = [\"socket\", \"user:daemon\"]; in "
		"groups.news, /etc/m.conf:3, and reload");
	assert_explained(group, &named, &unknown, ACCESS_RECEIVE,
		"user 4000000 may not receive group news; to change that: write allow_receive = "
		"[\"socket\", \"user:4000000\"]; in groups.news, /etc/m.conf:3, and reload");
	assert_explained(group, &of_root, &someone, ACCESS_SEND,
		"user daemon may not send to group news; to change that: write allow_send = "
		"[\"socket\", \"user:daemon\"]; in groups.news, /etc/m.conf:3, and reload");
	allow(group, "allow_send", LIST("user:1000"));
	assert_explained(group, &named, &someone, ACCESS_SEND,
		"user daemon may not send to group news; to change that: add \"user:daemon\" to "
		"allow_send in groups.news, /etc/m.conf:3, and reload");
}

/* One that Join made. */
static void a_refusal_of_a_group_without_a_place_names_no_key(void **state)
{
	static const struct owner named = {DAEMON, 1}, of_root = {0, 0};
	const struct peer someone = {.uid = 1, .gid = 2};

	assert_explained(*state, &named, &someone, ACCESS_SEND,
		"user daemon may not send to group news; to change that: usermod -aG daemon "
		"daemon, "
		"and log in again");
	assert_explained(*state, &of_root, &someone, ACCESS_SEND,
		"user daemon may not send to group news; only root and the daemon's own user may");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(by_default_root_the_daemon_and_its_group_may),
		TEST(the_mode_decides_as_the_kernel_does),
		TEST(a_list_allows_whom_it_names_and_nobody_else),
		TEST(a_list_takes_supplementary_groups), TEST(socket_in_a_list_stands_for_the_mode),
		TEST(an_empty_list_refuses_root), TEST(without_a_group_the_daemons_own_counts),
		TEST(a_refusal_says_what_would_do),
		TEST(a_refusal_of_a_group_without_a_place_names_no_key)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
