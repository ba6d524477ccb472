#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "groups/uncounted.h"
#include "handlers/ledger.h"
#include "net/compat.h"

#define WAITING 3
#define SIZE 200

/* A run of the daemon that reads the socket of one group, where datagrams wait. */
static struct counters *counters;
static struct arena *arena;
static struct group_counters *group;
static int fds[2];
static struct uncounted uncounted; /* of the run before */

static void begin_run(int fd)
{
	struct arena_memory *memory;

	assert_int_equal(counters_open(fd, &counters), 0);
	uncounted = (struct uncounted){0};
	memory = uncounted_settle(counters, &uncounted);
	assert_non_null(memory);
	arena = arena_new(memory);
	group = counters_take(
		counters, "group g", sizeof(struct group_counters), group_counters_members());
}

static void end_run(void)
{
	arena_free(arena);
	counters_free(counters);
}

/* The process ends as it is, and the next one begins. */
static void kill_and_begin(void)
{
	int fd = dup(counters_fd(counters));

	end_run();
	begin_run(fd);
}

static int set_up(void **state)
{
	char payload[SIZE] = "";

	(void)state;
	begin_run(-1);
	group->received = 10;
	group->received_bytes = 1000;
	group->refused = 5;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	for (int i = 0; i < WAITING; i++)
		assert_int_equal(send(fds[0], payload, i ? SIZE : 0, 0), i ? SIZE : 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	end_run();
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void assert_counted(unsigned datagrams)
{
	kill_and_begin();
	assert_int_equal(group->received, 10 + datagrams);
	assert_int_equal(group->received_bytes, 1000 + (datagrams ? (datagrams - 1) * SIZE : 0));
	kill_and_begin();
	assert_int_equal(group->received, 10 + datagrams); /* once */
}

static void nothing_is_counted_before_the_call(void **state)
{
	(void)state;
	uncounted_begin(arena, group);
	assert_counted(0);
}

/* The first of them is empty. */
static void what_the_kernel_has_handed_out_is_counted(void **state)
{
	(void)state;
	for (unsigned taken = 1; taken <= WAITING; taken++) {
		uncounted_begin(arena, group);
		assert_int_equal(
			recvmmsg(fds[1], arena->messages, taken, MSG_DONTWAIT, NULL), taken);
		assert_counted(taken);
		tear_down(NULL);
		set_up(NULL);
	}
}

static void receive(unsigned needs)
{
	struct arena_received received;

	uncounted_begin(arena, group);
	assert_int_equal(arena_receive(arena, fds[1], needs, false, &received), 0);
	assert_int_equal(received.count, WAITING);
}

static void assert_received(void)
{
	kill_and_begin();
	assert_int_equal(group->received, 10 + WAITING);
}

static void what_was_read_is_counted(void **state)
{
	(void)state;
	receive(NEED_DATAGRAMS);
	assert_received();
}

static void what_was_not_read_but_for_its_size_is_counted(void **state)
{
	(void)state;
	receive(0);
	assert_received();
}

static void what_is_counted_already_is_not_counted_again(void **state)
{
	(void)state;
	receive(NEED_DATAGRAMS);
	group->received += WAITING;
	assert_received();
}

static void what_was_counted_otherwise_is_not_counted_again(void **state)
{
	(void)state;
	receive(NEED_DATAGRAMS);
	group->refused += 2;
	kill_and_begin();
	assert_int_equal(group->received, 10 + WAITING - 2);
	assert_int_equal(group->refused, 5 + 2);
}

static void nothing_is_counted_after_the_end(void **state)
{
	(void)state;
	receive(NEED_DATAGRAMS);
	uncounted_end(arena);
	assert_counted(0);
}

static void what_an_earlier_read_left_in_the_slots_is_not_counted(void **state)
{
	(void)state;
	for (unsigned needs = 0; needs < 2 * NEED_PAYLOAD; needs++) {
		receive(needs & ~(NEED_INTERFACE | NEED_OWN));
		uncounted_end(arena);
		uncounted_begin(arena, group);
		assert_counted(0);
		tear_down(NULL);
		set_up(NULL);
	}
}

/* A slot with this number of datagrams, as the kernel returns them together. */
static void fill_coalesced(unsigned slot, unsigned datagrams)
{
	struct mmsghdr *message = &arena->messages[slot];
	struct msghdr *header = &message->msg_hdr;
	int segment = SIZE;
	struct cmsghdr *item;

	header->msg_control = arena->memory->control[slot];
	header->msg_controllen = CMSG_SPACE(sizeof(segment));
	item = CMSG_FIRSTHDR(header);
	*item = (struct cmsghdr){
		.cmsg_level = SOL_UDP, .cmsg_type = UDP_GRO, .cmsg_len = CMSG_LEN(sizeof(segment))};
	memcpy(CMSG_DATA(item), &segment, sizeof(segment));
	message->msg_len = datagrams * SIZE - SIZE / 2; /* the last one is shorter */
}

static void coalesced_datagrams_are_counted_singly(void **state)
{
	(void)state;
	uncounted_begin(arena, group);
	fill_coalesced(0, 64);
	fill_coalesced(1, 1);
	kill_and_begin();
	assert_int_equal(group->received, 10 + 64 + 1);
	assert_int_equal(group->received_bytes, 1000 + 64 * SIZE);
}

/* A handler of the group has received some of what was read. */
static void assert_handler_counts(unsigned counted)
{
	struct ledger *ledger = ledger_new(counters, "h");

	ledger_received(ledger, 7, &(struct outcome){.delivered = 7});
	receive(NEED_DATAGRAMS);
	if (counted)
		ledger_begin_read(ledger, arena->memory->read);
	ledger_received(ledger, counted, &(struct outcome){.delivered = counted});
	counters_freeze(counters);
	ledger_unref(ledger);
	kill_and_begin();
	assert_int_equal(uncounted.group, counters_key(group));
	assert_int_equal(uncounted.count, WAITING);
	ledger = ledger_new(counters, "h");
	ledger_count_lost(ledger, uncounted.read, uncounted.count);
	assert_int_equal(ledger->account->received, 7 + WAITING);
	assert_int_equal(ledger->account->outcome.delivered, 7 + counted);
	assert_int_equal(ledger->account->outcome.dropped[DROP_SHUTDOWN], WAITING - counted);
	ledger_unref(ledger);
}

static void what_a_handler_did_not_receive_is_dropped(void **state)
{
	(void)state;
	assert_handler_counts(0);
}

static void what_a_handler_received_is_not_dropped(void **state)
{
	(void)state;
	assert_handler_counts(WAITING);
}

static void a_group_that_is_no_more_is_no_harm(void **state)
{
	(void)state;
	receive(NEED_DATAGRAMS);
	counters_release(counters, group);
	kill_and_begin();
	assert_int_equal(group->received, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			nothing_is_counted_before_the_call, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_the_kernel_has_handed_out_is_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_read_is_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_was_not_read_but_for_its_size_is_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_counted_already_is_not_counted_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_was_counted_otherwise_is_not_counted_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			nothing_is_counted_after_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_an_earlier_read_left_in_the_slots_is_not_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			coalesced_datagrams_are_counted_singly, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_a_handler_did_not_receive_is_dropped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_a_handler_received_is_not_dropped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_group_that_is_no_more_is_no_harm, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
