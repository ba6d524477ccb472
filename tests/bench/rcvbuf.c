/* Preloaded into the other programs: every UDP socket gets the receive buffer of BENCH_BUFFER,
 * however small a one the program asks for, or the system allows. net.core.rmem_default would do
 * the same, to every program of the machine. */
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

int socket(int domain, int type, int protocol)
{
	int (*next)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
	const char *wanted = getenv("BENCH_BUFFER");
	int fd = next(domain, type, protocol);
	int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0 && wanted && domain == AF_INET && kind == SOCK_DGRAM) {
		int buffer = atoi(wanted);

		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	}
	return fd;
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
	int (*next)(int, int, int, const void *, socklen_t) = (int (*)(
		int, int, int, const void *, socklen_t))dlsym(RTLD_NEXT, "setsockopt");

	if (level == SOL_SOCKET && option == SO_RCVBUF)
		return 0;
	return next(fd, level, option, value, length);
}
