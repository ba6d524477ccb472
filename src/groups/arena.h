/* The slots that recvmmsg(2) fills: one set for the whole daemon, as whatever was read is handed on before the next
 * read. 64 KiB of address space a slot; only the pages that datagrams touch are resident. */
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include "data/datagram.h"

#define SLOT_SIZE 65536 /* more than any UDP payload, so that nothing is cut */
#define SLOT_CONTROL_SIZE 128

struct arena {
	uint8_t *slots;
	struct mmsghdr messages[BATCH_MAX];
	struct iovec vectors[BATCH_MAX];
	union endpoint names[BATCH_MAX];
	struct datagram datagrams[BATCH_MAX];
	_Alignas(struct cmsghdr) uint8_t control[BATCH_MAX][SLOT_CONTROL_SIZE];
};

/* Returns NULL without memory. */
struct arena *arena_new(void);
void arena_free(struct arena *arena);

/* Receives what waits at a membership's socket, BATCH_MAX datagrams at most so that one flood cannot starve the others, into
 * arena->datagrams. needs says what the kernel was asked for with arena_want(). Returns how many, or a negative
 * errno. */
int arena_receive(struct arena *arena, int fd, unsigned needs);

/* Receives up to BATCH_MAX packets from a reader's or writer's UNIX socket into messages and vectors. Returns how many, or a
 * negative errno. Credentials tell an empty packet from the end of the stream (SO_PASSCRED). */
int arena_receive_packets(struct arena *arena, int fd);

/* Asks the kernel for what needs says, of enum need, and for no more: each costs 35 to 47 ns a datagram. Returns
 * 0 or a negative errno. */
int arena_want(int fd, sa_family_t family, unsigned needs);
