/* Many descriptors in one: in the queue of a socket (SCM_RIGHTS, unix(7)). systemd compares each
 * descriptor that it stores with all that it has, and while it does that at a stop, nothing is
 * received. What is in the queue, it does not see. */
#pragma once

/* Descriptors in one message; the kernel takes 253. */
#define FD_QUEUE_BATCH 128

struct fd_queue {
	int in, out; /* out is to be stored */
	unsigned count;
	int fds[FD_QUEUE_BATCH]; /* the next message */
};

/* To be closed with fd_queue_close(). Returns 0 or a negative errno. */
int fd_queue_open(struct fd_queue *ret);
void fd_queue_close(struct fd_queue *queue);

/* Adds a descriptor, which stays the caller's, and must stay open until fd_queue_send(), which
 * sends what was added last. What the kernel does not take is left out. */
void fd_queue_add(struct fd_queue *queue, int fd);
void fd_queue_send(struct fd_queue *queue);

/* Takes the next descriptors from the stored end; they are the caller's. Returns how many: 0 at the
 * end. */
unsigned fd_queue_take(int out, int ret_fds[static FD_QUEUE_BATCH]);
