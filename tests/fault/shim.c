/* Preloaded into mcastd: makes chosen calls fail. Which ones, the tests write into the file
 * $FAULT_FILE, so that the fault begins at the moment they want: the calls of one name, all but the
 * first `skip`, `fail` of them, with `error`. A name is that of the system call that strace(1)
 * shows, whatever function of the C library makes it. Error 0: a call that reads or writes takes
 * half of what it could. Programs that mcastd starts are left alone. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* As lab.py packs it. */
struct fault {
	_Atomic int32_t armed, skip, fail;
	int32_t error;
	_Atomic int32_t seen, injected;
	char name[40];
};

static struct fault none, *fault = &none;

/* Some have memory whatever is asked for: libconfig exits without, two functions of libevent
 * follow NULL, and the address sanitizer ends the program. The
 * model of the variable needs no memory itself. */
static __thread int is_spared __attribute__((tls_model("initial-exec")));

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULT_FILE");
	void *map;
	int fd;

	if (!path || strcmp(program_invocation_short_name, "mcastd"))
		return;
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	map = (void *)syscall(
		SYS_mmap, NULL, sizeof(*fault), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		fault = map;
	syscall(SYS_close, fd);
}

/* Whether this call of that name is one that fails. Sets errno. */
static bool hit(const char *name)
{
	if (!atomic_load(&fault->armed) || strcmp(fault->name, name))
		return false;
	atomic_fetch_add(&fault->seen, 1);
	if (atomic_fetch_sub(&fault->skip, 1) > 0 || atomic_fetch_sub(&fault->fail, 1) <= 0)
		return false;
	atomic_fetch_add(&fault->injected, 1);
	errno = fault->error;
	return true;
}

/* A function of the C library that makes the system call `name`: bad is what it returns when that
 * fails. */
#define FAIL(name, type, bad, function, parameters, ...)    \
	type function parameters                            \
	{                                                   \
		static type(*real) parameters;              \
                                                            \
		if (hit(#name) && errno)                    \
			return bad;                         \
		if (!real)                                  \
			real = dlsym(RTLD_NEXT, #function); \
		return real(__VA_ARGS__);                   \
	}

/* The same for one that takes a size: with error 0 it takes half. */
#define HALVE(name, type, function, parameters, size, ...)  \
	type function parameters                            \
	{                                                   \
		static type(*real) parameters;              \
                                                            \
		if (hit(#name)) {                           \
			if (errno)                          \
				return -1;                  \
			size = size > 1 ? size / 2 : size;  \
		}                                           \
		if (!real)                                  \
			real = dlsym(RTLD_NEXT, #function); \
		return real(__VA_ARGS__);                   \
	}

/* Those with "...", of which the kernel takes one or none. */
#define FAIL_VARIADIC(name, function, first, second, ...)                              \
	int function(__VA_ARGS__, ...)                                                 \
	{                                                                              \
		static int (*real)(__VA_ARGS__, ...);                                  \
		va_list list;                                                          \
		void *argument;                                                        \
                                                                                       \
		if (hit(#name))                                                        \
			return -1;                                                     \
		if (!real)                                                             \
			real = (int (*)(__VA_ARGS__, ...))dlsym(RTLD_NEXT, #function); \
		va_start(list, second);                                                \
		argument = va_arg(list, void *);                                       \
		va_end(list);                                                          \
		return real(first, second, argument);                                  \
	}

/* The allocator: the C library's, or that of the address sanitizer where the daemon has it. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
__attribute__((weak)) void *__interceptor_malloc(size_t);
__attribute__((weak)) void *__interceptor_calloc(size_t, size_t);
__attribute__((weak)) void *__interceptor_realloc(void *, size_t);

void *malloc(size_t size)
{
	if (!is_spared && hit("malloc"))
		return NULL;
	return __interceptor_malloc ? __interceptor_malloc(size) : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	if (!is_spared && hit("malloc"))
		return NULL;
	return __interceptor_calloc ? __interceptor_calloc(count, size)
				    : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	if (!is_spared && hit("malloc"))
		return NULL;
	return __interceptor_realloc ? __interceptor_realloc(old, size) : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, bytes);
}

/* A function that is spared. */
#define SPARE(type, function, parameters, ...)              \
	type function parameters                            \
	{                                                   \
		static type(*real) parameters;              \
		type r;                                     \
                                                            \
		if (!real)                                  \
			real = dlsym(RTLD_NEXT, #function); \
		is_spared++;                                \
		r = real(__VA_ARGS__);                      \
		is_spared--;                                \
		return r;                                   \
	}

struct config_t;

SPARE(int, config_read_string, (struct config_t * a, const char *b), a, b)
SPARE(int, pthread_getattr_np, (pthread_t a, pthread_attr_t *b), a, b)

struct evhttp_request;
struct bufferevent;

SPARE(struct evhttp_request *, evhttp_request_new,
	(void (*a)(struct evhttp_request *, void *), void *b), a, b)

void bufferevent_setwatermark(struct bufferevent *buffer, short what, size_t low, size_t high)
{
	void (*real)(struct bufferevent *, short, size_t, size_t) = dlsym(
		RTLD_NEXT, "bufferevent_setwatermark");

	is_spared++;
	real(buffer, what, low, high);
	is_spared--;
}

void config_init(struct config_t *config)
{
	void (*real)(struct config_t *) = dlsym(RTLD_NEXT, "config_init");

	is_spared++;
	real(config);
	is_spared--;
}

/* Sockets */
FAIL(socket, int, -1, socket, (int a, int b, int c), a, b, c)
FAIL(bind, int, -1, bind, (int a, const struct sockaddr *b, socklen_t c), a, b, c)
FAIL(connect, int, -1, connect, (int a, const struct sockaddr *b, socklen_t c), a, b, c)
FAIL(listen, int, -1, listen, (int a, int b), a, b)
FAIL(shutdown, int, -1, shutdown, (int a, int b), a, b)
FAIL(accept4, int, -1, accept4, (int a, struct sockaddr *b, socklen_t *c, int d), a, b, c, d)
FAIL(getpeername, int, -1, getpeername, (int a, struct sockaddr *b, socklen_t *c), a, b, c)
FAIL(getsockname, int, -1, getsockname, (int a, struct sockaddr *b, socklen_t *c), a, b, c)
FAIL(getsockopt, int, -1, getsockopt, (int a, int b, int c, void *d, socklen_t *e), a, b, c, d, e)
FAIL(setsockopt, int, -1, setsockopt, (int a, int b, int c, const void *d, socklen_t e), a, b, c, d,
	e)
FAIL(recvmmsg, int, -1, recvmmsg, (int a, struct mmsghdr *b, unsigned c, int d, struct timespec *e),
	a, b, c, d, e)
FAIL(recvmsg, ssize_t, -1, recvmsg, (int a, struct msghdr *b, int c), a, b, c)
FAIL(recvfrom, ssize_t, -1, recv, (int a, void *b, size_t c, int d), a, b, c, d)
HALVE(sendmmsg, int, sendmmsg, (int a, struct mmsghdr *b, unsigned c, int d), c, a, b, c, d)
FAIL(sendmsg, ssize_t, -1, sendmsg, (int a, const struct msghdr *b, int c), a, b, c)
HALVE(sendto, ssize_t, send, (int a, const void *b, size_t c, int d), c, a, b, c, d)
FAIL(sendto, ssize_t, -1, sendto,
	(int a, const void *b, size_t c, int d, const struct sockaddr *e, socklen_t f), a, b, c, d,
	e, f)

FAIL(readv, ssize_t, -1, readv, (int a, const struct iovec *b, int c), a, b, c)
FAIL(writev, ssize_t, -1, writev, (int a, const struct iovec *b, int c), a, b, c)

/* Files */
FAIL_VARIADIC(openat, open, a, b, const char *a, int b)
FAIL_VARIADIC(openat, open64, a, b, const char *a, int b)
FAIL(openat, FILE *, NULL, fopen, (const char *a, const char *b), a, b)
FAIL(openat, FILE *, NULL, fopen64, (const char *a, const char *b), a, b)
FAIL(openat, DIR *, NULL, opendir, (const char *a), a)
FAIL(openat, int, GLOB_ABORTED, glob,
	(const char *a, int b, int (*c)(const char *, int), glob_t *d), a, b, c, d)
FAIL(openat, int, -1, scandir,
	(const char *a, struct dirent ***b, int (*c)(const struct dirent *),
		int (*d)(const struct dirent **, const struct dirent **)),
	a, b, c, d)
FAIL(getdents64, struct dirent *, NULL, readdir, (DIR * a), a)
HALVE(pread64, ssize_t, pread, (int a, void *b, size_t c, off_t d), c, a, b, c, d)
HALVE(pread64, ssize_t, pread64, (int a, void *b, size_t c, off64_t d), c, a, b, c, d)
HALVE(pwrite64, ssize_t, pwrite, (int a, const void *b, size_t c, off_t d), c, a, b, c, d)
HALVE(pwrite64, ssize_t, pwrite64, (int a, const void *b, size_t c, off64_t d), c, a, b, c, d)
FAIL(lseek, off_t, -1, lseek, (int a, off_t b, int c), a, b, c)
FAIL(lseek, off64_t, -1, lseek64, (int a, off64_t b, int c), a, b, c)
FAIL(fstat, int, -1, fstat, (int a, struct stat *b), a, b)
FAIL(fstat, int, -1, fstat64, (int a, struct stat64 *b), a, b)
FAIL(newfstatat, int, -1, stat, (const char *a, struct stat *b), a, b)
FAIL(newfstatat, int, -1, stat64, (const char *a, struct stat64 *b), a, b)
FAIL(newfstatat, int, -1, lstat, (const char *a, struct stat *b), a, b)
FAIL(newfstatat, int, -1, lstat64, (const char *a, struct stat64 *b), a, b)
FAIL(newfstatat, int, -1, fstatat, (int a, const char *b, struct stat *c, int d), a, b, c, d)
FAIL(newfstatat, int, -1, fstatat64, (int a, const char *b, struct stat64 *c, int d), a, b, c, d)
FAIL(fstatfs, int, -1, fstatvfs, (int a, struct statvfs *b), a, b)
FAIL(fstatfs, int, -1, fstatvfs64, (int a, struct statvfs64 *b), a, b)
FAIL(readlink, ssize_t, -1, readlink, (const char *a, char *b, size_t c), a, b, c)
FAIL(readlinkat, ssize_t, -1, readlinkat, (int a, const char *b, char *c, size_t d), a, b, c, d)
FAIL(access, int, -1, access, (const char *a, int b), a, b)
FAIL(faccessat2, int, -1, faccessat, (int a, const char *b, int c, int d), a, b, c, d)
FAIL(rename, int, -1, rename, (const char *a, const char *b), a, b)
FAIL(renameat2, int, -1, renameat2, (int a, const char *b, int c, const char *d, unsigned e), a, b,
	c, d, e)
FAIL(link, int, -1, link, (const char *a, const char *b), a, b)
FAIL(unlink, int, -1, unlink, (const char *a), a)
FAIL(unlinkat, int, -1, unlinkat, (int a, const char *b, int c), a, b, c)
FAIL(mkdir, int, -1, mkdir, (const char *a, mode_t b), a, b)
FAIL(chmod, int, -1, chmod, (const char *a, mode_t b), a, b)
FAIL(fchmod, int, -1, fchmod, (int a, mode_t b), a, b)
FAIL(fchmodat, int, -1, fchmodat, (int a, const char *b, mode_t c, int d), a, b, c, d)
FAIL(chown, int, -1, chown, (const char *a, uid_t b, gid_t c), a, b, c)
FAIL(fchown, int, -1, fchown, (int a, uid_t b, gid_t c), a, b, c)
FAIL(fdatasync, int, -1, fdatasync, (int a), a)
FAIL(fsync, int, -1, fsync, (int a), a)
FAIL(ftruncate, int, -1, ftruncate, (int a, off_t b), a, b)
FAIL(ftruncate, int, -1, ftruncate64, (int a, off64_t b), a, b)
FAIL(flock, int, -1, flock, (int a, int b), a, b)

/* A single byte is what libevent's signal handler writes to a pipe of its own, and 1,024 are what
 * it reads there: that does not fail. */
ssize_t read(int fd, void *data, size_t size)
{
	static ssize_t (*real)(int, void *, size_t);

	if (size != 1024 && hit("read")) {
		if (errno)
			return -1;
		size = size > 1 ? size / 2 : size;
	}
	if (!real)
		real = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
	return real(fd, data, size);
}

ssize_t write(int fd, const void *data, size_t size)
{
	static ssize_t (*real)(int, const void *, size_t);

	if (size != 1 && hit("write")) {
		if (errno)
			return -1;
		size /= 2;
	}
	if (!real)
		real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	return real(fd, data, size);
}

/* It is closed, and yet fails, as on a full disk of another machine (close(2)). */
int close(int fd)
{
	static int (*real)(int);
	bool fails = hit("close");
	int error = errno, r;

	if (!real)
		real = (int (*)(int))dlsym(RTLD_NEXT, "close");
	r = real(fd);
	if (!fails)
		return r;
	errno = error;
	return -1;
}

/* openat() takes one argument more than the other variadic ones. */
static int open_at(const char *name, int directory, const char *path, int flags, va_list list)
{
	int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, name);

	return hit("openat") ? -1 : real(directory, path, flags, va_arg(list, mode_t));
}

int openat(int directory, const char *path, int flags, ...)
{
	va_list list;
	int r;

	va_start(list, flags);
	r = open_at("openat", directory, path, flags, list);
	va_end(list);
	return r;
}

int openat64(int directory, const char *path, int flags, ...)
{
	va_list list;
	int r;

	va_start(list, flags);
	r = open_at("openat64", directory, path, flags, list);
	va_end(list);
	return r;
}

/* Descriptors, events and memory */
FAIL(epoll_create1, int, -1, epoll_create1, (int a), a)
FAIL(epoll_ctl, int, -1, epoll_ctl, (int a, int b, int c, struct epoll_event *d), a, b, c, d)
FAIL(epoll_wait, int, -1, epoll_wait, (int a, struct epoll_event *b, int c, int d), a, b, c, d)
FAIL(timerfd_create, int, -1, timerfd_create, (int a, int b), a, b)
FAIL(timerfd_settime, int, -1, timerfd_settime,
	(int a, int b, const struct itimerspec *c, struct itimerspec *d), a, b, c, d)
FAIL(eventfd2, int, -1, eventfd, (unsigned a, int b), a, b)
FAIL(memfd_create, int, -1, memfd_create, (const char *a, unsigned b), a, b)
FAIL(pipe2, int, -1, pipe2, (int a[2], int b), a, b)
FAIL(poll, int, -1, poll, (struct pollfd * a, nfds_t b, int c), a, b, c)
FAIL(ppoll, int, -1, ppoll,
	(struct pollfd * a, nfds_t b, const struct timespec *c, const sigset_t *d), a, b, c, d)
FAIL(mmap, void *, MAP_FAILED, mmap, (void *a, size_t b, int c, int d, int e, off_t f), a, b, c, d,
	e, f)
FAIL(mmap, void *, MAP_FAILED, mmap64, (void *a, size_t b, int c, int d, int e, off64_t f), a, b, c,
	d, e, f)
FAIL(madvise, int, -1, madvise, (void *a, size_t b, int c), a, b, c)
FAIL(getrandom, ssize_t, -1, getrandom, (void *a, size_t b, unsigned c), a, b, c)
FAIL_VARIADIC(fcntl, fcntl, a, b, int a, int b)
FAIL_VARIADIC(fcntl, fcntl64, a, b, int a, int b)
FAIL_VARIADIC(ioctl, ioctl, a, b, int a, unsigned long b)

/* Processes and threads */
FAIL(clone3, int, errno, posix_spawn,
	(pid_t * a, const char *b, const posix_spawn_file_actions_t *c, const posix_spawnattr_t *d,
		char *const e[], char *const f[]),
	a, b, c, d, e, f)
FAIL(pthread_create, int, errno, pthread_create,
	(pthread_t * a, const pthread_attr_t *b, void *(*c)(void *), void *d), a, b, c, d)
FAIL(waitid, int, -1, waitid, (idtype_t a, id_t b, siginfo_t *c, int d), a, b, c, d)
FAIL(wait4, pid_t, -1, waitpid, (pid_t a, int *b, int c), a, b, c)
FAIL(kill, int, -1, kill, (pid_t a, int b), a, b)
FAIL(prlimit64, int, -1, getrlimit, (__rlimit_resource_t a, struct rlimit *b), a, b)
FAIL(prlimit64, int, -1, setrlimit, (__rlimit_resource_t a, const struct rlimit *b), a, b)
FAIL(rt_sigaction, int, -1, sigaction, (int a, const struct sigaction *b, struct sigaction *c), a,
	b, c)

int prctl(int option, ...)
{
	unsigned long a, b, c, d;
	va_list list;

	va_start(list, option);
	a = va_arg(list, unsigned long), b = va_arg(list, unsigned long);
	c = va_arg(list, unsigned long), d = va_arg(list, unsigned long);
	va_end(list);
	return hit("prctl") ? -1 : (int)syscall(SYS_prctl, option, a, b, c, d);
}

/* Those for which the C library has no function. */
long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a, b, c, d, e, f;
	va_list list;

	va_start(list, number);
	a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
	d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
	va_end(list);
	if (number == SYS_pidfd_open && hit("pidfd_open"))
		return -1;
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return real(number, a, b, c, d, e, f);
}
