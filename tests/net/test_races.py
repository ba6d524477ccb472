"""A daemon that root starts for another user, in directories of that user, who wants root to change other files: by what it
finds on its way, and by what somebody puts there at the last moment."""

import errno
import os
import pwd
import random
import shutil
import signal
import socket
import stat
import subprocess

import pytest

from harness import with_us
from harness.daemon import MCASTD
from harness.topology import die_with_us
from net.test_identity import USER, place

assert place  # the fixture

pytestmark = pytest.mark.skipif(
    open("/proc/self/uid_map").read().split()[2] == "1", reason="in a user namespace of one user, there is no other")

UID = pwd.getpwnam(USER).pw_uid


def describe(path):
    """What an attacker wants to change of a file. Not its number of links: whoever may make one changes that."""
    status = os.lstat(path)
    content = None
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            content = file.read()
    elif stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    elif stat.S_ISDIR(status.st_mode):
        content = sorted(os.listdir(path))
    return status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid, content


def make_victims(directory):
    """Files of root's outside of what the daemon is told to use."""
    victims = [str(directory / name) for name in ("file", "directory", "socket")]
    directory.mkdir(exist_ok=True)
    (directory / "file").write_text("root's")
    (directory / "directory").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(victims[2])
    for path in (victims[0], victims[2]):
        os.chmod(path, 0o600)
    return victims


class Run:
    """A start of the daemon, until it runs or has ended."""

    def __init__(self, net, path, umask=0o022):
        # LeakSanitizer cannot trace a process that has become another user, and not for good yet (ptrace(2)).
        environment = {**os.environ, "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"}
        with net.host:
            self.process = with_us.start(
                [MCASTD, "-c", str(path)], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                umask=umask)
        self.log = b""
        self.started = False
        while not self.started and (line := self.process.stderr.readline()):
            self.log += line
            self.started = b" started: " in line

    def end(self, number=signal.SIGTERM):
        if self.started:
            self.process.send_signal(number)
        self.log += self.process.stderr.read()
        self.process.stderr.close()
        assert self.process.wait() in (0, 1, 78, -signal.SIGKILL), self.log.decode()
        assert b"Sanitizer" not in self.log and b"runtime error" not in self.log, self.log.decode()


def race(names, victims):
    """In a process of the user's: replaces each path, as soon as it is there, by a link to a victim."""
    junk = 0
    while True:
        for name in names:
            try:
                if os.readlink(name):
                    continue
            except OSError as error:
                if error.errno != errno.EINVAL:
                    continue  # it is not there, or in no directory any more
            try:
                os.rename(name, f"{name}.{junk}")
                os.symlink(victims[junk % len(victims)], name)
                junk += 1
            except OSError:
                continue


def start_racer(names, victims):
    child = os.fork()
    if child:
        return child
    try:
        die_with_us()
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(UID, UID, UID)
        race(names, victims)
    finally:
        os._exit(0)


def empty(directory):
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        try:
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        except OSError:
            pass  # the racer was here


def attack(net, place, paths, raced, tries):
    """Starts the daemon again and again, while paths in the user's own directory are replaced. Returns how often it ran."""
    home = place / "home"
    home.mkdir()
    os.chown(home, UID, -1)
    victims = make_victims(place / "victims")
    before = [describe(path) for path in victims]
    config = place / "mcastd.conf"
    config.write_text(f"""
groups: {{ news: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; socket_mode = "0666"; }}; }};
user = "{USER}";
control: {{ socket = "{place}/{paths['control']}"; }};
run_directory = "{place}/{paths['run']}";
""")
    racer = start_racer([str(home / name) for name in raced], victims)
    running = 0
    try:
        for number in range(tries):
            run = Run(net, config)
            running += run.started
            run.end(signal.SIGKILL if number % 2 else signal.SIGTERM)
            assert [describe(path) for path in victims] == before, f"won at try {number + 1}: {run.log.decode()}"
            empty(home)
    finally:
        os.kill(racer, signal.SIGKILL)
        os.waitpid(racer, 0)
    return running


ROUNDS = pytest.mark.parametrize("tries", [25, pytest.param(2000, marks=pytest.mark.long)])


@ROUNDS
def test_who_replaces_run_directory_while_it_is_made_wins_nothing(net, place, tries):
    attack(net, place, {"control": "mcastd.sock", "run": "home/run"}, ["run", "run/groups"], tries)


@ROUNDS
def test_who_replaces_a_socket_while_it_is_made_wins_nothing(net, place, tries):
    sockets = ["mcastd.sock", "run/groups/.news", "run/groups/news"]
    attack(net, place, {"control": "home/mcastd.sock", "run": "home/run"}, sockets, tries)


# What is on the way


def is_roots(path):
    """Whether only root can change where a path of a directory leads. A second opinion on daemon/only_root.c."""
    path, at = os.path.abspath(path), "/"
    for name in ["", *path.strip("/").split("/")]:
        at = os.path.join(at, name)
        status = os.lstat(at)
        if status.st_uid != 0:
            return False
        if stat.S_ISLNK(status.st_mode):
            if not is_roots(os.path.realpath(at)):
                return False
        elif not status.st_mode & stat.S_ISVTX and status.st_mode & 0o022:
            return False
    return True


def tree(top):
    """All that is in a directory: path and description."""
    found = {}
    for parent, directories, files in os.walk(top):
        for name in [*directories, *files]:
            path = os.path.join(parent, name)
            found[path] = describe(path)
    return found


def plant(random, path, targets):
    """Puts something, or nothing, where a socket or a directory is to be made."""
    kind = random.choice(["nothing"] * 16 + ["symlink", "dangling", "hardlink", "fifo", "file", "socket", "directory", "shared"])
    owner = random.choice([0, UID])
    target = random.choice(targets)
    if kind == "symlink":
        os.symlink(target, path)
    elif kind == "dangling":
        os.symlink(os.path.join(os.path.dirname(target), f"new{random.randrange(99)}"), path)
    elif kind == "hardlink":
        os.link(next(t for t in targets if not os.path.isdir(t)), path)
        return
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "file":
        with open(path, "w") as file:
            file.write("x")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path)
    elif kind in ("directory", "shared"):
        os.mkdir(path)
        os.chmod(path, 0o755 if kind == "directory" else random.choice([0o1777, 0o777, 0o2775]))
    else:
        return
    os.lchown(path, owner, owner and 65534)


def build(random, top, victims):
    """Directories in each other, of root and of the user, open and sticky, and links between them. Returns the paths that
    there are for a file to be made in."""
    places = [str(top)]
    for number in range(random.randrange(2, 7)):
        path = os.path.join(random.choice(places), f"d{number}")
        if random.random() < 0.25:
            os.symlink(random.choice([*places, victims[1]]), path)
        else:
            os.mkdir(path)
            os.chmod(path, random.choice([0o755, 0o755, 0o755, 0o1777, 0o777, 0o700, 0o2775]))
        owner = random.choice([0, UID])
        os.lchown(path, owner, owner and 65534)
        places.append(path)
    return places


def try_paths(net, top, seed):
    """One random start. Returns whether the daemon ran."""
    chance = random.Random(seed)
    top.mkdir()
    victims = make_victims(top / "victims")
    places = build(chance, top, victims)
    control, run = (os.path.join(chance.choice(places), name) for name in ("c.sock", "run"))
    for path in (control, run, os.path.join(run, "groups"), os.path.join(run, "groups", ".news")):
        try:
            plant(chance, path, victims)
        except OSError:
            pass  # nothing can be put there
    config = top / "mcastd.conf"
    config.write_text(f"""
groups: {{ news: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; }}; }};
user = "{USER}"; control: {{ socket = "{control}"; }}; run_directory = "{run}";
""")
    before = tree(top)
    started = Run(net, config, umask=chance.choice([0, 0o022, 0o077]))
    during = tree(top)
    started.end(chance.choice([signal.SIGTERM, signal.SIGKILL]))
    asked = {os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)) for path in (control, run)}
    for found in (during, tree(top)):
        check_tree(before, found, asked, f"seed {seed}: {control}, {run}: {started.log.decode()}")
    return started.started


def check_tree(before, after, asked, story):
    for path, was in before.items():
        if was == after.get(path) or was[3] == UID:
            continue
        if stat.S_ISDIR(was[2]) and path in after:
            assert was[:5] == after[path][:5], f"{path} has changed; {story}"
        else:
            assert stat.S_ISSOCK(was[2]) and path in asked | user_may_remove(before, path), f"{path} has changed; {story}"
    for path in after.keys() - before.keys():
        assert after[path][3] == UID or (path in asked and is_roots(os.path.dirname(path))), f"{path} is new; {story}"


def user_may_remove(before, path):
    """{path}, where it is in a directory of the user's, or one that everybody may write to and that is not sticky."""
    parent = before.get(os.path.dirname(path))
    return {path} if parent and (parent[3] == UID or parent[2] & 0o1002 == 0o002) else set()


@pytest.mark.parametrize("starts", [25, pytest.param(200, marks=pytest.mark.long)])
def test_whatever_is_on_the_way_nothing_but_the_daemons_own_files_changes(net, place, starts, say):
    running = sum(try_paths(net, place / f"s{seed}", seed) for seed in range(starts))
    assert running > starts / 10
    say(f"{starts} random start paths: {running} daemons ran, nothing else was changed")
