"""mcastd as a service of the booted system: by the name of its unit, as an operator handles it."""

import json

from harness.daemon import Control, balance
from harness.waiting import wait_until

RUNNING = "active"


class Service:
    def __init__(self, system, instance=None):
        self.system = system
        self.instance = instance
        self.name = f"mcastd-{instance}" if instance else "mcastd"
        self.unit = f"mcastd@{instance}.service" if instance else "mcastd.service"
        self.socket_unit = self.unit.replace(".service", ".socket")
        self.control_path = f"/run/{self.name}.sock"
        self.configuration = f"/etc/mcastd/{instance}.conf" if instance else "/etc/mcastd/conf.d/test.conf"
        self.drop_ins = f"/etc/systemd/system/{self.unit}.d"
        self.since = system.now()

    # What an operator does

    def configure(self, text):
        self.system.write(self.configuration, text)

    def drop_in(self, name, text):
        self.system.write(f"{self.drop_ins}/{name}.conf", text)
        self.systemctl("daemon-reload")

    def systemctl(self, *arguments):
        return self.system.run("systemctl", *arguments)

    def start(self, config):
        self.configure(config)
        self.systemctl("start", self.unit)

    def restart(self):
        self.systemctl("restart", self.unit)

    def reload(self):
        self.systemctl("reload", self.unit)

    def kill(self, signal):
        self.systemctl("kill", "--kill-whom=main", f"--signal={signal}", self.unit)

    def ctl(self, *arguments, **options):
        return self.system.run("mcastctl", "-s", self.control_path, *arguments, **options)

    def show(self, name, unit=None):
        return self.systemctl("show", "--value", f"--property={name}", unit or self.unit).strip()

    @property
    def pid(self):
        """Of the main process, as the system numbers it; "0" when there is none."""
        return self.show("MainPID")

    def process_status(self):
        """/proc/PID/status of the main process."""
        lines = self.system.run("cat", f"/proc/{self.pid}/status").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def log(self):
        """What the unit, and systemd about it, have said since this began."""
        return "\n".join(entry["MESSAGE"] for entry in self.system.entries("-u", self.unit, since=self.since)
                         if isinstance(entry["MESSAGE"], str))

    def wait_restarted(self, pid):
        """Until another process runs than that one, and says that it is ready."""
        wait_until(lambda: self.pid not in (pid, "0") and self.show("ActiveState") == RUNNING,
                   f"{self.unit} to be started again")

    # What programs see

    def connect(self, terminator=b"\0"):
        return Control(self.system.path(self.control_path), terminator)

    def call(self, method, **parameters):
        with self.connect() as control:
            return control.call(method, **parameters)

    def group(self, name):
        return next(group for group in self.call("ListGroups")["groups"] if group["name"] == name)

    def states(self, name):
        """The states of a group's memberships by interface."""
        return {membership["interface"]: membership["state"] for membership in self.group(name)["memberships"]}

    def handler(self, name):
        return next(handler for handler in self.call("ListHandlers")["handlers"] if handler["name"] == name)

    def wait_received(self, name, count=1):
        wait_until(lambda: self.group(name)["received"] >= count, f"{count} datagrams of {name}")

    def assert_balanced(self):
        for handler in self.call("GetStats")["handlers"]:
            assert balance(handler) == 0, json.dumps(handler)

    # Afterwards

    def clean_up(self):
        """Everything as it was before the test. The daemon must have kept its accounts, and be able to stop."""
        try:
            if self.show("ActiveState") == RUNNING:
                self.assert_balanced()
                self.systemctl("stop", self.unit)
                assert self.show("Result") == "success"
        finally:
            print(self.log())  # pytest shows it when the test has failed
            self.system.try_run("systemctl", "kill", "--signal=KILL", self.unit)
            self.systemctl("stop", self.unit, self.socket_unit)
            for path in (self.configuration, self.drop_ins):
                if self.system.exists(path):
                    self.system.remove(path)
            self.systemctl("daemon-reload")
            self.system.try_run("systemctl", "reset-failed", self.unit, self.socket_unit)
