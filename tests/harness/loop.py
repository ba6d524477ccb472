"""How long the loop of the daemon is away."""

import threading
import time


def schedule_of(process, thread):
    """How long a thread has run on a processor, and has waited for one, in seconds (proc(5), schedstat)."""
    with open(f"/proc/{process}/task/{thread}/schedstat") as file:
        run, waited, _ = file.read().split()
        return int(run) / 1e9, int(waited) / 1e9


def busy_seconds(daemon):
    return schedule_of(daemon.process.pid, daemon.process.pid)[0]


class Loop:
    """Asks the daemon all the time while something happens, for the longest that its loop was away: busy, or held up. What
    the machine was busy with otherwise does not count."""

    def __init__(self, daemon):
        self.daemon, self.away = daemon, 0

    def time(self):
        return time.monotonic() - sum(schedule_of(*of)[1] for of in (
            (self.daemon.process.pid, self.daemon.process.pid), ("self", threading.get_native_id())))

    def ask(self):
        before = self.time()
        self.daemon.call("GetStatus")
        self.away = max(self.away, self.time() - before)

    def watch_while(self, action, line=None, timeout=30):
        """While action() is done, and until it has led to a line of the log. Returns how long action() took."""
        ended, shown = [], len(self.daemon.log())
        thread = threading.Thread(target=lambda: (action(), ended.append(time.monotonic())))
        started = time.monotonic()
        thread.start()
        self.watch(lambda: ended and (not line or line in self.daemon.log()[shown:]), timeout)
        thread.join()
        return ended[0] - started

    def watch(self, condition, timeout):
        until = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < until
            self.ask()
        for _ in range(100):
            self.ask()
