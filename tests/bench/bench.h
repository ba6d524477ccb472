/* What the programs of the bench have in common. They are run by tests/bench/run, which says where
 * and on which core. */
#pragma once

#include <signal.h>
#include <stdint.h>
#include <time.h>

#define BURST_MAX 64
#define PAYLOAD_MAX 65507

/* What load.c writes at the start of a payload, as far as it fits, and probe.c reads. */
struct stamp {
	uint64_t number;
	uint64_t sent_ns; /* CLOCK_REALTIME */
};

/* Set by SIGTERM and SIGINT once stop_on_signals() was called. They interrupt whatever waits. */
extern volatile sig_atomic_t stopped;
void stop_on_signals(void);

uint64_t now_ns(clockid_t clock);

/* Exits with 2 when the text is no number. */
uint64_t number(const char *text);

/* All of these exit with 1 and a message when they fail. The receive buffer is the one that every
 * receiver has, from BENCH_BUFFER. A port without a group is one that plain datagrams come to. */
int open_receiver(const char *group, uint16_t port, const char *interface);
int connect_udp(const char *address, uint16_t port);
int connect_unix(const char *path, int type);
int listen_unix(const char *path, int type);
