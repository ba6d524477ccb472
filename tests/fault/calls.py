"""The system calls that the daemon makes, and how each is made to fail: with every error that is named here. A test
compares the list with what strace(1) shows.

EPERM stands for a filter of system calls (SystemCallFilter= of a unit), ENOSYS for a kernel that is older, SHORT for a call
that reads or writes half of what it could. malloc and pthread_create are no system calls, and stand here all the same.
"""

CALLS = {
    "malloc": "ENOMEM",
    "pthread_create": "EAGAIN",

    "accept4": "EMFILE ENFILE ECONNABORTED ENOMEM EPERM EINTR EAGAIN",
    "access": "EACCES",
    "bind": "EADDRINUSE EADDRNOTAVAIL ENODEV ENOMEM EPERM",
    "chmod": "EPERM EROFS",
    "clone3": "EAGAIN ENOMEM EACCES EPERM",
    "close": "EIO EINTR",
    "connect": "ECONNREFUSED EAGAIN ENETUNREACH EPERM",
    "epoll_create1": "EMFILE ENOMEM",
    "epoll_ctl": "ENOMEM ENOSPC EPERM",
    "epoll_wait": "EINTR",
    "eventfd2": "EMFILE ENOMEM",
    "faccessat2": "EACCES",
    "fchmod": "EPERM EROFS EINVAL",
    "fcntl": "EMFILE EINVAL",
    "fdatasync": "EIO ENOSPC EINTR",
    "flock": "EWOULDBLOCK EIO ENOLCK",
    "fstat": "EIO EACCES ENOMEM",  # newfstatat before glibc 2.39
    "fstatfs": "EIO ENOSYS",
    "ftruncate": "EIO EPERM ENOSPC",
    "getdents64": "EIO",
    "getrandom": "EAGAIN ENOSYS EPERM",
    "getpeername": "ENOTCONN ENOBUFS",
    "getsockname": "ENOBUFS",
    "getsockopt": "EINVAL ENOPROTOOPT",
    "ioctl": "EINVAL ENODEV EPERM",
    "kill": "EPERM",
    "link": "EPERM EEXIST EMLINK",
    "listen": "EADDRINUSE ENOMEM",
    "lseek": "ESPIPE",
    "madvise": "EINVAL",
    "memfd_create": "EMFILE ENOMEM ENOSYS",
    "mkdir": "EACCES ENOSPC EROFS",
    "mmap": "ENOMEM EPERM",
    "newfstatat": "EIO EACCES ENOMEM",
    "openat": "EMFILE ENFILE EACCES EROFS ENOSPC EINTR",
    "pidfd_open": "EMFILE ENOSYS EPERM",
    "pipe2": "EMFILE ENFILE",
    "poll": "EINTR ENOMEM",
    "ppoll": "EINTR ENOMEM",
    "prctl": "EPERM",
    "pread64": "EIO EINTR SHORT",
    "prlimit64": "EPERM",
    "pwrite64": "EIO ENOSPC SHORT",
    "read": "EIO EINTR EAGAIN SHORT",
    "readlink": "EACCES ENOENT",
    "readlinkat": "EACCES",
    "readv": "ECONNRESET EIO EINTR EAGAIN",
    "recvfrom": "ENOMEM ENOBUFS EINTR EAGAIN",
    "recvmmsg": "ENOMEM ENOBUFS EINTR EAGAIN ENETDOWN ECONNREFUSED EPERM",
    "recvmsg": "ENOMEM EINTR EAGAIN ECONNREFUSED",
    "renameat2": "EACCES EIO EINVAL ENOSYS",
    "rt_sigaction": "EINVAL",
    "sendmmsg": "ENOBUFS EPERM ENETUNREACH EAGAIN EINVAL EINTR SHORT",
    "sendmsg": "ENOBUFS EPERM EIO ENOMEM EAGAIN EINTR ECONNREFUSED",
    "sendto": "ENOBUFS EPERM ENOMEM EAGAIN EINTR ECONNREFUSED EPIPE",
    "setsockopt": "ENOBUFS ENODEV ENOMEM EPERM ENOPROTOOPT",
    "shutdown": "ENOTCONN",
    "socket": "EMFILE ENFILE ENOMEM EPERM EAFNOSUPPORT",
    "timerfd_create": "EMFILE ENOMEM ENOSYS",
    "timerfd_settime": "EINVAL",
    "unlink": "EACCES EROFS",
    "unlinkat": "EACCES EROFS",
    "wait4": "ECHILD EINTR",
    "waitid": "ECHILD EINTR",
    "write": "ENOSPC EIO EDQUOT EINTR EAGAIN EPIPE SHORT",
    "writev": "EPIPE ECONNRESET EIO EINTR EAGAIN",
}

# Those of the above that a trace of what the tests do does not show.
UNSEEN = {
    "fstat": "before glibc 2.39 it is newfstatat",
    "kill": "a program that does not end by itself",
    "link": "where a file system has no renameat2(2)",
    "malloc": "no system call",
    "pthread_create": "no system call",
    "pwrite64": "the gap of a reader that does not read",
    "timerfd_settime": "the time between two rounds of reading, where datagrams keep coming",
}

# Those that only the C library makes, or that cannot fail where the daemon makes them: none of these is made to fail.
LEFT_ALONE = {
    **dict.fromkeys("arch_prctl brk execve exit exit_group mprotect munmap rseq set_robust_list set_tid_address".split(),
                    "the C library's, as it starts, allocates and ends"),
    **dict.fromkeys("futex rt_sigprocmask rt_sigreturn sched_yield sigaltstack".split(), "of threads and signals"),
    **dict.fromkeys("capget geteuid getegid getgid getpid getresuid gettid getuid uname umask".split(), "cannot fail"),
    "socketpair": "made only where the service manager is slow to read",
    **dict.fromkeys("clock_gettime gettimeofday clock_nanosleep restart_syscall".split(), "of time, cannot fail"),
}
