"""Terminals: tmux, which shows what a person would see, and a bare pseudoterminal for what a program writes to one."""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import tempfile
import termios

from harness import with_us
from harness.waiting import TIMEOUT, wait_until

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\(B")


class Tmux:
    """A tmux server of our own with one window, in which a shell runs."""

    def __init__(self, width=80, height=24):
        self.directory = tempfile.mkdtemp(prefix="mcastd-tmux-")
        self.socket = os.path.join(self.directory, "socket")
        # Its options: none of whoever runs the tests. Without job control there is no SIGTSTP.
        self.run("-f", "/dev/null", "-u", "new-session", "-d", "-x", str(width), "-y", str(height),
                 "env PS1='ready$ ' TERM=screen-256color LC_ALL=C.UTF-8 bash --norc --noprofile -i")

    def __enter__(self):
        try:
            wait_until(lambda: "ready$" in self.text(), "the shell")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], stderr=subprocess.DEVNULL, timeout=TIMEOUT)
        shutil.rmtree(self.directory)

    def run(self, *arguments):
        return subprocess.run(["tmux", "-S", self.socket, *arguments], check=True, stdout=subprocess.PIPE, timeout=TIMEOUT,
                              env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm"}).stdout.decode()

    def text(self):
        return self.run("capture-pane", "-p")

    def lines(self):
        return self.text().split("\n")[:-1]

    def colored(self):
        """With the colours, as SGR sequences."""
        return self.run("capture-pane", "-p", "-e")

    def row(self, name):
        """The cells of the line that begins with the name, or None."""
        return next((line.split() for line in self.lines() if line.split()[:1] == [name]), None)

    def press(self, *keys):
        self.run("send-keys", *keys)

    def type(self, line):
        """A line for the shell."""
        self.run("send-keys", "-l", line)
        self.press("Enter")

    def resize(self, width, height):
        self.run("resize-window", "-x", str(width), "-y", str(height))

    def state(self):
        """Whether the alternate screen is shown, and the cursor."""
        return tuple(self.run("display-message", "-p", "#{alternate_on} #{cursor_flag}").split())

    def wait_for(self, text):
        wait_until(lambda: text in self.text(), f"{text!r} on the screen")


def run_in_terminal(command, columns=80, err_only=False, timeout=4 * TIMEOUT, **environment):
    """Runs a command with a terminal as its standard output and error, or as its error only. Returns its exit status and what
    it wrote there, with all escape sequences."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    env = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", **environment}
    env.pop("NO_COLOR" if "NO_COLOR" not in environment else "", None)
    process = with_us.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL if err_only else theirs,
                            stderr=theirs, env=env)
    os.close(theirs)
    output = b""
    try:
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # EIO: nobody has it open any more
                break
            if not data:
                break
            output += data
        return process.wait(timeout), output.decode().replace("\r\n", "\n")
    finally:
        os.close(ours)
        process.kill()
        process.wait()
