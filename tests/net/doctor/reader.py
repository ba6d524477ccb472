"""Somebody who has read doc/nothing-arrives.md and knows nothing else: asks the doctor, does what it says, and asks again."""

import os
import re
import subprocess

from harness import with_us
from harness.daemon import Daemon
from harness.waiting import TIMEOUT, wait_until
from net.doctor.trial import ENVIRONMENT, target_of

GROUP = "news"
EVERYBODY = 'allow_send = ["user:root", "user:nobody"]; allow_receive = ["user:root"];'

# What stands for something that only the reader knows.
CAPITALS = {"ADDRESS": "192.0.2.2", "LENGTH": "24", "NAME": "eth0"}

NOT_FOUND = 127  # what sh says; some commands only show more

KEY = re.compile(r"# in the group (\S+) of (\S+): ((\w+) = .*?;)")
REMOVE = re.compile(r"# in the group (\S+) of (\S+): remove (\w+)$")
LABEL = re.compile(r"^  (\w*) +(.*)$")


def config(lab):
    """As a reader has it: a key a line."""
    keys = [f'address = "{lab.group}";', f"port = {lab.port};"]
    for name, values in ("interfaces", lab.interfaces), ("sources", lab.sources):
        if values:
            quoted = ", ".join(f'"{value}"' for value in values)
            keys.append(f"{name} = [{quoted}];")
    lines = "".join(f"    {key}\n" for key in (*keys, lab.settings, EVERYBODY) if key)
    return f"groups: {{\n  {GROUP}: {{\n{lines}  }};\n}};\nhandlers: {{ {lab.handlers} }};\n"


def change_key(text, group, name, line):
    """The configuration with a line in the group, which takes the place of the one with that key. An empty line removes it."""
    begin = re.search(rf"^ *{group}: \{{\n", text, re.MULTILINE).end()
    end = begin + re.search(r"^  \};", text[begin:], re.MULTILINE).start()
    block, count = re.subn(rf"^ *{name} = .*\n", lambda _: f"    {line}\n", text[begin:end], flags=re.MULTILINE)
    return text[:begin] + (block if count or not line else f"    {line}\n{block}") + text[end:]


def fixes(text):
    """The lines under "fix" of each cause, and not those of notes."""
    label, is_cause, found = "", False, []
    for line in text.splitlines():
        match = LABEL.match(line)
        if not match:
            label, is_cause = "", False
            continue
        label = match[1] or label
        if label in ("cause", "note"):
            is_cause = label == "cause"
        elif label == "fix" and is_cause:
            found.append(match[2])
    return found


class Reader:
    """At a shell of root on the host."""

    def __init__(self, office, lab, daemon=None):
        self.office, self.lab, self.daemon = office, lab, daemon
        self.word = GROUP if daemon else f"'{target_of(lab)}'"
        self.told = ""  # all that was on the screen

    def run(self, command, user=0):
        environment = {**ENVIRONMENT, "PATH": f"{self.office.directory}:{ENVIRONMENT['PATH']}", "MCASTD_SOCKET": self.socket()}
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        with self.lab.host:
            child = with_us.start([*become, "sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, cwd="/", env=environment)
        with child:
            try:
                output, _ = child.communicate(timeout=TIMEOUT)
            finally:
                child.kill()
        self.told += f"# {command}\n{output}"
        return child.returncode, output

    def socket(self):
        return self.daemon.control_path if self.daemon else "/nonexistent/mcastd.sock"

    def ask(self):
        """Returns the exit status and the text."""
        for prepare in self.lab.before_look:
            prepare()
        return self.run(f"mcastctl doctor {self.word} --wait 1s")

    def obey(self, line):
        """Does what a line under "fix" says."""
        if key := KEY.match(line):
            group, path, setting, name = key.groups()
            self.write(path, group, name, self.fill_in(setting))
        elif remove := REMOVE.match(line):
            group, path, name = remove.groups()
            self.write(path, group, name, "")
        elif not line.startswith("#") or "ADDRESS" in line:
            command = self.fill_in(re.sub("^#.*: ", "", line))
            status, _ = self.run(command)
            assert status in (0, NOT_FOUND) or command.startswith("mcastctl doctor"), "what is to be pasted fails"

    def write(self, path, group, name, setting):
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(change_key(text, group, name, setting))
        self.told += f"# {setting or f'without {name}'} written to {path}\n"

    @staticmethod
    def fill_in(line):
        for word, value in CAPITALS.items():
            line = line.replace(word, value)
        return line

    def sees_datagrams(self):
        status, _ = self.run(f"mcastctl tail {self.word} --count 5 --timeout 5s")
        return status == 0

    def is_told_that_all_is_well(self):
        return self.run(f"mcastctl doctor {self.word} --wait 500ms")[0] == 0


def begin(lab):
    """The daemon with the group, that has joined where it can."""
    daemon = Daemon(lab.host, config(lab), wrapper=lab.wrapper)
    os.chmod(daemon.directory, 0o711)
    for start in lab.on_start:
        start(daemon)
    wait_until(lambda: all(membership["state"] == "joined" or membership["error"] for membership in daemon.group(GROUP)["memberships"]),
               "the join")
    return daemon
