#include "service/fd_queue.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int fd_queue_open(struct fd_queue *ret)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	*ret = (struct fd_queue){.in = ends[0], .out = ends[1]};
	return 0;
}

void fd_queue_close(struct fd_queue *queue)
{
	close(queue->in);
	close(queue->out);
}

static int send_fds(const struct fd_queue *queue, const int *fds, unsigned count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(queue->fds))] = {0};
	struct iovec vector = {.iov_base = (char[1]){0}, .iov_len = 1};
	size_t size = count * sizeof(*fds);
	struct msghdr header = {.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(size)};

	*CMSG_FIRSTHDR(&header) = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(size)};
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), fds, size);
	return sendmsg(queue->in, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* One by one where they do not go together: with ETOOMANYREFS, one of them is a socket in whose own
 * queue somebody has nested too many. */
void fd_queue_send(struct fd_queue *queue)
{
	if (queue->count && send_fds(queue, queue->fds, queue->count) < 0)
		for (unsigned i = 0; i < queue->count; i++)
			send_fds(queue, &queue->fds[i], 1);
	queue->count = 0;
}

void fd_queue_add(struct fd_queue *queue, int fd)
{
	queue->fds[queue->count++] = fd;
	if (queue->count == FD_QUEUE_BATCH)
		fd_queue_send(queue);
}

unsigned fd_queue_take(int out, int ret_fds[static FD_QUEUE_BATCH])
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FD_QUEUE_BATCH * sizeof(int))];
	struct iovec vector = {.iov_base = (char[1]){0}, .iov_len = 1};
	struct msghdr header = {.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	const struct cmsghdr *item;
	size_t size;

	if (recvmsg(out, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
		return 0;
	item = CMSG_FIRSTHDR(&header);
	if (!item || item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS)
		return 0;
	size = item->cmsg_len - CMSG_LEN(0);
	memcpy(ret_fds, CMSG_DATA(item), size);
	return (unsigned)(size / sizeof(int));
}
