"""mcastd --check as root: it says of an installation what systemd then makes of it. Each case is a configuration and what an
operator has done around it; the check must name what is wrong, and pass exactly what starts. NAME is that of the instance."""

import shlex
from dataclasses import dataclass

import pytest

from harness.service import EXAMPLES, Service
from harness.waiting import wait_until


def group(keys="", handlers="", port=5004):
    return f"""groups: {{ news: {{ address = "233.252.0.1"; port = {port}; interfaces = ["eth0"];
  {'handlers = ["out"];' if handlers else ''} {keys} }}; }};
handlers: {{ {handlers} }};
"""


def file(path):
    return group(handlers=f'out: {{ type = "file"; path = "{path}"; }};')


def http(item):
    return group() + f'http: {{ listen = ["{item}"]; }};\n'


def program(path="/usr/local/libexec/NAME"):
    return group(handlers=f'out: {{ type = "exec"; command = ["{path}"]; }};')


def broker(ca):
    """A handler that shows nothing to its broker, and knows it by a file."""
    return group(handlers=f'out: {{ type = "mqtt"; servers = "mqtts://192.0.2.1"; site = "here"; ca = "{ca}"; }};')


# A certificate that nobody but root and systemd can read.
SECRET = "/etc/mcastd/NAME.secrets"
MAKE_SECRET = f"install -d -m 700 {SECRET} && openssl req -x509 -newkey ed25519 -noenc -keyout /dev/null -out {SECRET}/ca.pem" \
    f" -subj /CN=ca 2>/dev/null && chmod 600 {SECRET}/ca.pem"
PASSED_ON = f"LoadCredential=ca.pem:{SECRET}/ca.pem"

SOCKET = group('socket = true; socket_group = "telemetry";')
KEEPING = group(handlers='out: { type = "udp"; address = "192.0.2.9"; port = 9; keep_source = true; };')


@dataclass
class Case:
    config: str
    shell: str = "true"  # what root does before
    drop_in: str = ""  # in the unit
    example: str = ""  # a drop-in of the examples
    says: tuple = ()  # what the check prints, be it an error or a warning
    user: str = "mcastd"


# What the unit refuses.
BROKEN = {
    "recordings-elsewhere": Case(file("/srv/recordings/NAME"), says=("/srv/recordings/NAME", "Read-only", "/var/log/mcastd-NAME;",
                                                                            "recordings-elsewhere.conf")),
    "missing-directory-elsewhere": Case(file("/srv/none-NAME/news"), says=("/var/log/mcastd-NAME;", "chown it to mcastd",
                                                                           "recordings-elsewhere.conf")),
    "directory-of-root-elsewhere": Case(file("/srv/root-NAME/news"), "mkdir -p /srv/root-NAME",
                                        says=("/var/log/mcastd-NAME;", "chown it to mcastd", "recordings-elsewhere.conf")),
    "recording-in-a-home": Case(file("/home/NAME/news"), "install -d -o mcastd /home/NAME",
                                says=("does not see /home (ProtectHome=)", "/var/log/mcastd-NAME", "recordings-elsewhere.conf",
                                      "ProtectHome=read-only")),
    "recording-in-a-directory-of-tmp": Case(file("/tmp/NAME/news"), "install -d -o mcastd /tmp/NAME",
                                            says=("a /tmp of its own (PrivateTmp=)", "use /var/log/mcastd-NAME\n")),
    "http-in-a-directory-of-tmp": Case(http("/tmp/NAME/http.sock"), "install -d -o mcastd /tmp/NAME",
                                       says=("a /tmp of its own (PrivateTmp=)", "use a path in /run/mcastd-NAME\n")),
    "http-in-run": Case(http("/run/NAME.sock"), says=("http.listen", "/run/NAME.sock: ", "makes sockets in /run/mcastd-NAME:")),
    "http-on-a-low-port": Case(http("127.0.0.1:80"), says=("http.listen", "Permission denied", "privileged-ports.conf")),
    "no-directory": Case(file("/var/log/mcastd-NAME/none/news"), says=("/var/log/mcastd-NAME/none/news", "create its directory")),
    "file-of-root": Case(file("/var/log/mcastd-NAME/root"), "install -d -o mcastd -g mcastd -m 750 /var/log/mcastd-NAME && touch /var/log/mcastd-NAME/root &&"
                         " chmod 600 /var/log/mcastd-NAME/root", says=("/var/log/mcastd-NAME/root", "Permission denied", "user")),
    "fifo": Case(file("/var/log/mcastd-NAME/fifo"), "install -d -o mcastd /var/log/mcastd-NAME && mkfifo -m 666 /var/log/mcastd-NAME/fifo",
                 says=("/var/log/mcastd-NAME/fifo", "it is a pipe or socket")),
    "directory-as-a-file": Case(file("/var/log/mcastd-NAME/d"), "install -d -o mcastd /var/log/mcastd-NAME /var/log/mcastd-NAME/d",
                                says=("/var/log/mcastd-NAME/d", "give the path of a file")),
    "device": Case(file("/dev/ttyS9"), says=("/dev/ttyS9",)),
    "unreadable-file-of-directory": Case(group(), "install -m 600 /dev/null /etc/mcastd/NAME.d/secret.conf",
                                      says=("/etc/mcastd/NAME.d/secret.conf", "Permission denied")),
    "fifo-in-directory": Case(group(), "mkfifo /etc/mcastd/NAME.d/fifo.conf",
                           says=("/etc/mcastd/NAME.d/fifo.conf", "not a regular file")),
    "socket-group": Case(SOCKET, says=("groups.news", "telemetry", "socket-group.conf", "SupplementaryGroups=telemetry",
                                       "SystemCallFilter=@chown")),
    "socket-group-without-membership": Case(SOCKET, drop_in="SystemCallFilter=@chown", says=("socket-group.conf",)),
    "something-at-the-place-of-a-group-socket": Case(
        group("socket = true;"), "install -d -o mcastd /run/mcastd-NAME /run/mcastd-NAME/groups && touch /run/mcastd-NAME/groups/news",
        says=("/run/mcastd-NAME/groups/news", "is not a socket; remove it")),
    "run-directory-elsewhere": Case('run_directory = "/srv/run-NAME";\n' + group("socket = true;"), "install -d -o mcastd /srv/run-NAME",
                                    says=("/srv/run-NAME", "Read-only", "makes sockets in /run/mcastd-NAME:")),
    "program-in-a-home": Case(program("/home/NAME"), "install -m 755 /bin/true /home/NAME", says=("/home", "command")),
    "program-of-root-only": Case(program(), "install -D -m 700 /bin/true /usr/local/libexec/NAME",
                                 says=("/usr/local/libexec/NAME", "may not be executed by the daemon's user")),
    "program-where-nothing-may-be-executed": Case(
        program(), "install -D -m 755 /bin/true /usr/local/libexec/NAME", drop_in="NoExecPaths=/usr/local/libexec/NAME",
        says=("/usr/local/libexec/NAME", "noexec")),
    "command-of-one-string": Case(program("/usr/local/libexec/logger -t feed"),
                                  says=("""write ["/usr/local/libexec/logger", "-t", "feed"]""",)),
    "program-in-a-home-without-the-drop-in": Case(program("/home/NAME"), "install -m 755 /bin/true /home/NAME",
                                                  says=("does not see /home (ProtectHome=)", "handler-programs.conf")),
    "no-program": Case(program("/usr/local/libexec/none"), says=("/usr/local/libexec/none", "No such file")),
    "no-user-of-the-configuration": Case('user = "nobody-here";\n' + group(), says=("user", "nobody-here")),
    "no-user-of-the-unit": Case(group(), drop_in="User=nobody-here", says=("mcastd@NAME.service", "user credentials", "useradd --system nobody-here")),
    "no-group-of-the-unit": Case(group(), drop_in="SupplementaryGroups=none-here", says=("mcastd@NAME.service", "groupadd --system")),
    "path-of-a-drop-in": Case(group(), drop_in="ReadWritePaths=/srv/none-NAME", says=("mcastd@NAME.service", "/srv/none-NAME")),
    "no-credential": Case(group(), example="credentials", says=("mcastd@NAME.service", "systemd cannot start it")),
    "no-secret-of-a-broker": Case(broker("ca.pem"), drop_in=f"LoadCredential=gone:/none\nLoadCredential=\n{PASSED_ON}", says=(
        "mcastd@NAME.service", "systemd cannot start it", f"; LoadCredential=ca.pem names {SECRET}/ca.pem: No such file or directory\n")),
    "no-secret-of-an-instance": Case(group(), drop_in="LoadCredential=ca.pem:/etc/mcastd/%%i.ca",
                                     says=("LoadCredential=ca.pem names /etc/mcastd/%i.ca: No such file or directory",)),
    "no-secret-by-its-instance": Case(group(), drop_in="LoadCredential=ca.pem:/etc/mcastd/%i.ca",
                                      says=("LoadCredential=ca.pem names /etc/mcastd/NAME.ca: No such file or directory",)),
    "secret-that-no-drop-in-names": Case(broker("ca.pem"), MAKE_SECRET, says=("handlers.out", "ca.pem", "LoadCredential=ca.pem:FILE")),
    "secret-that-a-drop-in-names-otherwise": Case(broker("ca.pem"), MAKE_SECRET, drop_in=PASSED_ON.replace("=ca.pem", "=ca"),
                                                  says=("handlers.out", "/ca.pem: No such file", "LoadCredential=ca.pem:FILE")),
    "secret-of-root": Case(broker(f"{SECRET}/ca.pem"), MAKE_SECRET, drop_in=PASSED_ON,
                           says=("handlers.out", f"{SECRET}/ca.pem: Permission denied", "LoadCredential=")),
    "secret-in-a-home": Case(broker("/home/NAME.pem"), "touch /home/NAME.pem", says=("does not see /home (ProtectHome=)", "LoadCredential=")),
    "log-directory-is-a-file": Case(group(), "rm -rf /var/log/mcastd-NAME && touch /var/log/mcastd-NAME",
                                    says=("mcastd@NAME.service", "systemd cannot start it")),
    "no-netlink": Case(group(), drop_in="RestrictAddressFamilies=\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
                       says=("watching the network interfaces", "add AF_NETLINK to RestrictAddressFamilies=")),
    "capability-that-stays": Case(KEEPING, drop_in="AmbientCapabilities=CAP_NET_RAW\nCapabilityBoundingSet=CAP_NET_RAW",
                                  says=("CAP_NET_RAW", "SystemCallFilter=capset")),
}

# What starts, as it is or with less than the configuration wants.
FINE = {
    "plain": Case(group("socket = true;", handlers='out: { type = "file"; path = "/var/log/mcastd-NAME/out"; };')),
    "recordings-with-the-drop-in": Case(file("/srv/recordings/NAME"), example="recordings-elsewhere"),
    "secret-of-root-that-systemd-passes-on": Case(broker("ca.pem"), MAKE_SECRET, drop_in=PASSED_ON),
    "socket-group-with-the-drop-in": Case(SOCKET, example="socket-group"),
    "program-in-a-home-with-the-drop-in": Case(program("/home/NAME"), "install -m 755 /bin/true /home/NAME",
                                               example="handler-programs"),
    "keep-source-with-the-drop-in": Case(KEEPING, example="relay-keeps-source"),
    "keep-source": Case(KEEPING, says=("warning", "relay-keeps-source.conf")),
    "low-port": Case(group(port=320), says=("warning", "port 320", "privileged-ports.conf")),
    "large-buffer": Case(group('receive_buffer = "64M";'), says=("warning", "receive_buffer", "large-buffers.conf")),
    "no-interpreter": Case(program(), "echo '#!/usr/bin/none' >/usr/local/libexec/NAME; chmod 755 /usr/local/libexec/NAME",
                           says=("warning", "its interpreter, /usr/bin/none: No such file")),
    "no-program-at-all": Case(program(), "echo hello >/usr/local/libexec/NAME; chmod 755 /usr/local/libexec/NAME",
                              says=("warning", "it is no program and does not begin with #!")),
    "carriage-returns": Case(program(), r"printf '#!/bin/sh\r\nexit 0\r\n' >/usr/local/libexec/NAME; chmod 755 /usr/local/libexec/NAME",
                             says=("warning", "CR LF, save it with LF")),
    "carriage-return-of-an-argument": Case(program(), r"printf '#!/usr/bin/env sh\r\n' >/usr/local/libexec/NAME; chmod 755 /usr/local/libexec/NAME",
                                           says=("warning", "CR LF, save it with LF")),
    "http-in-the-private-tmp": Case(http("/tmp/NAME.sock"), says=("warning", "http.listen", "PrivateTmp=", "/run/mcastd-NAME\n")),
    "run-directory-in-the-private-tmp": Case('run_directory = "/tmp/NAME";\n' + group("socket = true;"),
                                             says=("warning", "run_directory", "PrivateTmp=", "/run/mcastd-NAME\n")),
    "recording-in-a-home-with-the-drop-in": Case(file("/home/NAME/news"), "install -d -o mcastd /home/NAME",
                                                 drop_in="ReadWritePaths=/home/NAME\nProtectHome=read-only"),
    "private-tmp": Case(group(handlers='out: { type = "unix"; path = "/tmp/program"; };'),
                        says=("warning", "/tmp/program", "PrivateTmp=")),
    "recording-in-the-private-tmp": Case(file("/tmp/news"), says=("warning", "/tmp/news", "PrivateTmp=", "removed when it stops",
                                                                     "use /var/log/mcastd-NAME\n")),
    "no-socket": Case(group(handlers='out: { type = "unix"; path = "/etc/passwd"; };'),
                      says=("warning", "/etc/passwd is no socket")),
    "few-files": Case("groups: {" + "".join(f'g{i}: {{ address = "233.252.1.{i}"; port = 5004; interfaces = ["eth0"]; }};'
                                           for i in range(100)) + "};", drop_in="LimitNOFILE=120",
                      says=("warning", "100 groups", "LimitNOFILE=")),
    "many-sources": Case(group("sources = [%s];" % ", ".join(f'"192.0.2.{i}"' for i in range(100, 120))),
                         says=("warning", "20", "igmp_max_msf")),
    "another-user": Case(group("socket = true;"), drop_in="User=bob", user="bob"),
}


CASES = {f"case{number}": case for number, case in enumerate((*BROKEN.values(), *FINE.values()))}
NAMES = dict(zip((*BROKEN, *FINE), CASES, strict=True))

RUN = """
mcastd -c /etc/mcastd/$1.conf --check >/run/$1.out 2>/run/$1.err; echo $? >/run/$1.status
systemctl start mcastd@$1 2>/dev/null; echo $? >>/run/$1.status
systemctl is-active mcastd@$1 >>/run/$1.status
journalctl --sync; journalctl -q -o cat -u mcastd@$1 >/run/$1.log
systemctl stop mcastd@$1 mcastd@$1.socket
"""


def prepare(system, name, case):
    def fill(text):
        return text.replace("NAME", name)

    drop_ins = f"/etc/systemd/system/mcastd@{name}.service.d"
    system.write(f"/etc/mcastd/{name}.conf", fill(case.config))
    if case.drop_in:
        system.write(f"{drop_ins}/case.conf", fill(f"[Service]\n{case.drop_in}\n"))
    if case.example:
        system.write(f"{drop_ins}/{case.example}.conf", system.read(f"{EXAMPLES}/{case.example}.conf").decode())
    return fill(case.shell)


@pytest.fixture(scope="module")
def results(system):
    """All cases at once, each an instance of its own: status and words of the check, and whether systemd starts it."""
    shell = ["systemd-sysusers --inline 'u bob -' 'g telemetry -'", "mkdir -p /usr/local/libexec",
             "install -d -o mcastd -m 750 /srv/recordings"]
    for name, case in CASES.items():
        shell += [f"mkdir -p /etc/mcastd/{name}.d", prepare(system, name, case)]
    try:
        system.run("sh", "-ec", "\n".join(shell))
        system.run("systemctl", "daemon-reload")
        system.run("sh", "-c", f"for name; do sh -c {shlex.quote(RUN)} sh $name & done; wait", "sh", *CASES, timeout=300)
        yield {name: [system.read(f"/run/{name}.{kind}").decode() for kind in ("status", "out", "err", "log")] for name in CASES}
    finally:
        system.try_run("sh", "-c", "systemctl stop 'mcastd@case*'; rm -rf /run/case* /run/mcastd-case* /etc/mcastd/case*"
                                   " /etc/systemd/system/mcastd@case* /var/log/mcastd-case* /srv/* /home/case* /usr/local/libexec/case*;"
                                   "systemctl daemon-reload; systemctl reset-failed")


def assert_agrees(results, name, starts):
    """Whether the check passes is whether the unit starts, and both are as the case has it."""
    case, (status, output, errors, _) = CASES[NAMES[name]], results[NAMES[name]]
    assert status.split() == (["0", "0", "active"] if starts else ["78", "1", status.split()[2]]), output + errors
    if starts:
        assert f"checked as user {case.user} in the sandbox of mcastd@{NAMES[name]}.service" in output
    assert not [word for word in case.says if word.replace("NAME", NAMES[name]) not in errors], errors
    if not case.says:
        assert [line for line in errors.splitlines() if "receive_buffer" not in line] == []


@pytest.mark.parametrize("name", BROKEN)
def test_what_the_unit_refuses_is_named_by_the_check(results, name):
    assert_agrees(results, name, starts=False)


@pytest.mark.parametrize("name", FINE)
def test_what_starts_passes_the_check(results, name):
    assert_agrees(results, name, starts=True)


# What is found by looking at files is not found again at a start.
DOUBTS = ["no-interpreter", "no-program-at-all", "carriage-returns", "private-tmp", "recording-in-the-private-tmp", "http-in-the-private-tmp",
          "run-directory-in-the-private-tmp", "no-socket"]


@pytest.mark.parametrize("name", DOUBTS)
def test_a_start_logs_what_the_check_warns_of(results, name):
    log = results[NAMES[name]][3]
    assert not [word for word in CASES[NAMES[name]].says if word.replace("NAME", NAMES[name]) not in log], log


@pytest.mark.parametrize("name", ["recordings-elsewhere", "missing-directory-elsewhere", "recording-in-a-home", "http-in-run",
                                  "http-on-a-low-port"])
def test_a_start_that_fails_says_what_the_check_says(results, name):
    log = results[NAMES[name]][3]
    assert not [word for word in CASES[NAMES[name]].says if word.replace("NAME", NAMES[name]) not in log], log


def test_a_reload_logs_what_the_check_warns_of(service):
    service.start(group())
    service.configure(file("/tmp/news"))
    service.reload()
    wait_until(lambda: "handlers.out: warning: /tmp/news is seen by the service alone" in service.log(), "the warning")


RECORDING = group("socket = true;", handlers='out: { type = "file"; path = "/var/log/mcastd/news"; };')


@pytest.fixture
def recording(system):
    """A file that the daemon may write."""
    system.run("sh", "-c", "d=/var/log/mcastd; install -d -o mcastd -g mcastd -m 750 $d; install -o mcastd -g mcastd /dev/null $d/news")
    yield "/var/log/mcastd/news"
    system.try_run("rm", "-f", "/var/log/mcastd/news")


@pytest.mark.usefixtures("recording")
def test_what_the_running_daemon_holds_is_not_in_the_way(service):
    service.start(RECORDING)
    pid = service.pid
    assert "no errors" in service.system.run("mcastd", "--check")
    service.configure(RECORDING.replace("port = 5004", "port = 5006"))
    assert "no errors" in service.system.run("mcastd", "--check")
    service.reload()
    assert service.pid == pid


def test_what_another_program_holds_is_in_the_way(service, recording):
    service.configure(RECORDING)
    pid = service.system.run("sh", "-c", f"flock {recording} sleep 60 >/dev/null 2>&1 & echo $!")
    try:
        wait_until(lambda: "FLOCK" in service.system.run("cat", "/proc/locks"), "the lock")
        status, words = service.system.fail("mcastd", "--check")
        assert status == 78 and "another program writes to it" in words
        service.system.fail("systemctl", "start", "mcastd")
    finally:
        service.system.try_run("pkill", "-P", pid.strip())


@pytest.mark.usefixtures("recording")
def test_what_another_instance_writes_is_in_the_way(service, system):
    lab = Service(system, "lab")
    service.start(RECORDING)
    lab.configure(RECORDING)
    try:
        lab.drop_in("elsewhere", "[Service]\nReadWritePaths=/var/log/mcastd\n")
        status, words = system.fail("mcastd", "-c", lab.configuration, "--check")
        assert status == 78 and "another program writes to it" in words
        system.fail("systemctl", "start", lab.unit)
    finally:
        lab.clean_up()


def test_a_masked_unit_is_named(service):
    service.systemctl("mask", "--runtime", "mcastd.service")
    try:
        status, words = service.system.fail("mcastd", "--check")
        assert status == 78 and "masked" in words
    finally:
        service.systemctl("unmask", "--runtime", "mcastd.service")


@pytest.mark.usefixtures("recording")
def test_changed_files_of_the_unit_that_systemd_has_not_read_are_named(service):
    service.drop_in("a", "[Service]\n")
    service.start(RECORDING)
    service.system.write(f"{service.drop_ins}/b.conf", "[Service]\nUser=nobody-here\n")
    check = service.system.try_run("mcastd", "--check")
    assert check.returncode == 0 and "systemctl daemon-reload" in check.stderr


@pytest.mark.usefixtures("recording")
def test_a_check_leaves_nothing_behind_and_the_daemon_alone(service):
    service.start(RECORDING)
    before, pid = service.system.run("ls", "/run", "/run/systemd/system"), service.pid
    service.system.run("mcastd", "--check")
    service.configure("nonsense = 1;")
    service.system.fail("mcastd", "--check")
    assert service.system.run("ls", "/run", "/run/systemd/system") == before
    assert "check-" not in service.systemctl("list-units", "--all", "--plain", "--no-legend", "check-*")
    assert service.pid == pid and service.states("news") == {"eth0": "joined"}


@pytest.mark.parametrize("user", ["root", "bin"])
def test_a_check_of_another_file_does_not_start_the_service_by_its_socket(service, user):
    """The control socket of the file is the one that systemd listens at."""
    service.configure(group())
    service.systemctl("start", service.socket_unit)
    service.system.write("/run/other.conf", group())
    service.system.try_run("mcastd", "-c", "/run/other.conf", "--check", user=user)
    service.system.run("mcastd", "-c", "/run/other.conf", "--check", user=user)
    assert service.show("NRestarts") == "0" and service.show("ActiveState") == "inactive"
    assert service.show("NConnections", service.socket_unit) == service.show("NAccepted", service.socket_unit) == "0"
    assert service.show("SubState", service.socket_unit) == "listening"


@pytest.fixture
def other(system):
    """Another configuration than that of the service."""
    system.write("/srv/git/other.conf", group())
    yield "/srv/git/other.conf"
    system.remove("/srv/git")


@pytest.mark.parametrize("drop_in", ["Environment=MCASTD_CONFIG=/srv/git/other.conf", "ExecStart=\nExecStart=/usr/local/sbin/mcastd -c /srv/git/other.conf"],
                         ids=["environment", "command"])
def test_a_unit_that_reads_another_configuration_is_told(service, other, drop_in):
    service.drop_in("other", f"[Service]\n{drop_in}\n")
    check = service.system.try_run("mcastd", "--check")
    assert check.returncode == 0 and "1 warning" in check.stdout
    assert f"warning: mcastd.service reads {other}, and nothing of this file" in check.stderr


def test_a_link_into_a_checkout_is_checked_in_the_sandbox_by_a_relative_path_as_well(service, other):
    service.system.run("ln", "-s", other, "/etc/mcastd/lab.conf")
    try:
        for path in ("lab.conf", "../mcastd/lab.conf", "/etc/mcastd/lab.conf"):
            words = service.system.run("sh", "-c", 'cd /etc/mcastd && exec mcastd -c "$0" --check', path)
            assert "in the sandbox of mcastd@lab.service" in words, words
    finally:
        service.system.remove("/etc/mcastd/lab.conf")


INTERRUPT = """
env --default-signal=INT,QUIT mcastd --check >/run/interrupted 2>&1 & pid=$!
until systemctl list-units --plain --no-legend 'check-*' | grep -q activating; do sleep 0.02; done
kill -$1 $pid; wait $pid; echo $?; cat /run/interrupted; rm /run/interrupted
"""


@pytest.mark.parametrize("number", [2, 3, 15])
def test_a_check_that_a_signal_ends_leaves_nothing_behind(service, number):
    system = service.system
    system.write("/usr/local/libexec/slow", "#!/bin/sh\nexec sleep 60\n", mode=0o755)
    service.configure(group())
    service.drop_in("slow", "[Service]\nExecStart=\nExecStart=/usr/local/libexec/slow\n")
    before = system.run("ls", "/run/systemd/system")
    assert system.run("sh", "-c", INTERRUPT, "sh", str(number)) == f"{128 + number}\n"
    assert system.run("ls", "/run/systemd/system") == before and "mcastd-check" not in system.run("ls", "/run")
    assert "check-" not in service.systemctl("list-units", "--all", "--plain", "--no-legend", "check-*")


@pytest.mark.usefixtures("recording")
def test_another_user_is_told_that_only_root_sees_what_the_unit_sees(service):
    service.configure(RECORDING)
    check = service.system.try_run("mcastd", "--check", user="bin")
    assert check.returncode == 0 and "only read, by user bin: root can check it as its unit runs" in check.stdout
