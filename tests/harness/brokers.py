"""Brokers in a host of the tests: nats-server, alone or as a cluster of three, and mosquitto. Each has its own directory, and ends
with the block that it was started for. They are started, stopped, killed and halted again and again, and keep what they stored.
None of them is installed for the tests alone: what is not there is a reason to skip."""

import json
import os
import signal
import socket
import subprocess
import urllib.request
from contextlib import ExitStack

from harness import with_us
from harness.discovery import find, need
from harness.nats import Nats, NatsError
from harness.waiting import TIMEOUT, wait_until

CLIENT_PORT, CLUSTER_PORT, MONITOR_PORT, MQTT_PORT, MQTTS_PORT = 4222, 6222, 8222, 1883, 8883

ELECTION_TIMEOUT = 60  # seconds; it takes four to ten on a machine that has nothing else to do


class Broker:
    """One process, of which start() makes a new one. program and arguments are what a kind of broker sets."""

    program = None

    def __init__(self, host, directory, name, address, port):
        need(self.program)
        self.host, self.name, self.address, self.port = host, name, address, port
        self.directory = os.path.join(str(directory), name)
        os.makedirs(self.directory, exist_ok=True)
        self.config_path, self.log_path = self.path("conf"), self.path("log")
        self.process = None

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def write(self, name, text):
        """Returns the path."""
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        self.kill()
        if kind and os.path.exists(self.log_path):
            print(f"--- {self.name}\n{self.log()[-8000:]}")

    def arguments(self):
        raise NotImplementedError

    def launch(self):
        """Starts it without waiting until it answers."""
        assert not self.process, f"{self.name} runs"
        with open(self.log_path, "ab") as log, self.host:
            self.process = with_us.start([find(self.program), *self.arguments()], stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=log, cwd=self.directory)

    def start(self):
        self.launch()
        try:
            wait_until(self.answers, f"{self.name} to answer")
        except BaseException:
            self.kill()
            print(self.log()[-8000:])
            raise
        return self

    def answers(self):
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.log()[-8000:]}"
        try:
            with self.host, socket.create_connection((self.address, self.port), 1):
                return True
        except OSError:
            return False

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Ends it as its service would."""
        self.signal(signal.SIGTERM)
        self.process.wait(TIMEOUT)
        self.process = None

    def kill(self):
        """SIGKILL; also to end it whatever its state."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self):
        """Neither reads nor writes; connections stay."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: self.state() == "T", f"{self.name} to be stopped")

    def resume(self):
        self.signal(signal.SIGCONT)

    def state(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]

    def cpu(self):
        """Seconds of processor time that it has had, all its threads."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self):
        """Bytes of memory that it has."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tls_block(tls, verify, name="tls"):
    if not tls:
        return ""
    return (f'{name} {{ cert_file: "{tls.certificate}", key_file: "{tls.key}", ca_file: "{tls.ca}", '
            f'verify: {str(verify).lower()} }}\n')


class NatsServer(Broker):
    """A nats-server with JetStream on a directory. tls is a certificate of credentials.py; more is lines for its configuration,
    such as "authorization { ... }"; config replaces all of it."""

    program = "nats-server"

    def __init__(self, host, directory, name="n1", address=None, port=CLIENT_PORT, tls=None, verify=True, cluster="",
                 more="", config=None):
        super().__init__(host, directory, name, address or host.v4, port)
        self.write("conf", config or (
            f'listen: "{self.address}:{port}"\nhttp: "127.0.0.1:{MONITOR_PORT}"\nserver_name: {name}\n'
            f'jetstream {{ store_dir: "{self.path("store")}", max_mem: 1G, max_file: 8G }}\n'
            f'{tls_block(tls, verify)}{cluster}{more}'))

    @property
    def url(self):
        return f"nats://{self.address}:{self.port}"

    def arguments(self):
        return "-c", self.config_path

    def reload(self):
        """Reads its configuration again, which write("conf", ...) has changed."""
        before = self.log().count("Reloaded")
        self.signal(signal.SIGHUP)
        wait_until(lambda: self.log().count("Reloaded") > before, f"{self.name} to have reloaded")

    def client(self, **options):
        return Nats(self.host, self.address, self.port, **options)

    def monitor(self, path):
        """What its monitoring port says: monitor("varz"), "connz", "jsz?streams=true"."""
        with self.host, urllib.request.urlopen(f"http://127.0.0.1:{MONITOR_PORT}/{path}", timeout=5) as answer:
            return json.load(answer)


class NatsCluster:
    """Three nats-servers, each in a host of its own. configs are their configurations, where they are others."""

    def __init__(self, hosts, directory, tls=None, verify=True, more="", configs=(None, None, None)):
        routes = ", ".join(f'"nats://{host.v4}:{CLUSTER_PORT}"' for host in hosts)
        self.servers = []
        for number, host in enumerate(hosts):
            cluster = (f'cluster {{ name: sites, listen: "{host.v4}:{CLUSTER_PORT}", routes: [{routes}] }}\n')
            certificate = tls[number] if tls else None
            self.servers.append(NatsServer(host, directory, f"n{number + 1}", tls=certificate, verify=verify, cluster=cluster,
                                           more=more, config=configs[number]))
        self.stack = ExitStack()

    def __enter__(self):
        with self.stack:
            # One after the other: of three that connect to each other at once, one may never hear of the leader.
            for server in self.servers:
                self.stack.push(server.__exit__)
                server.launch()
                wait_until(server.answers, f"{server.name} to answer")
            self.wait_elected()
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *error):
        self.stack.__exit__(*error)

    @property
    def urls(self):
        return [server.url for server in self.servers]

    def running(self):
        return [server for server in self.servers if server.process]

    def wait_elected(self):
        """Until the running servers agree on who leads JetStream, and that one sees all of them."""
        def elected():
            answers = [server.monitor("jsz").get("meta_cluster", {}) for server in self.running()]
            leaders = {answer.get("leader") for answer in answers}
            size = max(len([peer for peer in answer.get("replicas") or [] if peer.get("current")]) for answer in answers)
            return len(leaders) == 1 and None not in leaders and size >= len(self.running()) - 1

        wait_until(elected, "the cluster to have elected a leader", ELECTION_TIMEOUT)

    def client(self, **options):
        """A connection to a server that runs."""
        return self.running()[0].client(**options)

    def server(self, name):
        return next(server for server in self.servers if server.name == name)

    def leader(self, stream, **options):
        """The server that leads a stream, once one does."""
        def found():
            try:
                with self.client(**options) as client:
                    return client.leader(stream)
            except (NatsError, TimeoutError):
                return None

        return self.server(wait_until(found, f"a leader of stream {stream}", ELECTION_TIMEOUT))

    def wait_current(self, stream, **options):
        """Until every replica of a stream has all of it."""
        def current():
            try:
                with self.client(**options) as client:
                    cluster = client.stream(stream, timeout=1)["cluster"]
            except (NatsError, TimeoutError):
                return False
            replicas = cluster.get("replicas") or []
            return cluster.get("leader") and replicas and all(replica["current"] and not replica.get("offline")
                                                              for replica in replicas)

        wait_until(current, f"the replicas of stream {stream} to be current", ELECTION_TIMEOUT)


class Mosquitto(Broker):
    """A mosquitto that keeps what it is given on a directory. passwords is {user: password}; acl the text of its file; more is
    lines for its configuration; config replaces all of it. In both $DIR is its directory. A log_type of all has a line for each message."""

    program = "mosquitto"

    def __init__(self, host, directory, name="mosquitto", address=None, port=MQTT_PORT, tls=None, verify=False, passwords=None,
                 acl=None, persistence=True, log_type="all", more="", config=None):
        super().__init__(host, directory, name, address or host.v4, port)
        lines = [f"listener {port} {self.address}"]
        if tls:
            lines += [f"cafile {tls.ca}", f"certfile {tls.certificate}", f"keyfile {tls.key}"]
            lines += ["require_certificate true", "use_identity_as_username true"] if verify else []
        if passwords:
            path = self.write("passwords", "".join(f"{user}:{password}\n" for user, password in passwords.items()))
            need("mosquitto_passwd")
            subprocess.run([find("mosquitto_passwd"), "-U", path], check=True, stdout=subprocess.DEVNULL)
        lines += [f"password_file {self.path('passwords')}"] if passwords else ["allow_anonymous true"]
        if acl:
            lines += [f"acl_file {self.write('acl', acl)}"]
        if persistence:
            lines += ["persistence true", f"persistence_location {self.directory}/"]
        lines += ["log_dest stderr", *(f"log_type {kind}" for kind in log_type.split()), "set_tcp_nodelay true", "max_queued_messages 0"]
        # Where it starts as root it would go on as a user who cannot write here.
        text = config or "\n".join([*lines, more, ""])
        self.write("conf", text.replace("$DIR", self.directory) + "user root\n")

    @property
    def url(self):
        return f"mqtt://{self.address}:{self.port}"

    def arguments(self):
        return "-c", self.config_path

    def save(self):
        """Writes what it has to its directory now."""
        database = self.path("mosquitto.db")
        before = os.stat(database).st_mtime_ns if os.path.exists(database) else 0
        self.signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(database) and os.stat(database).st_mtime_ns > before, "mosquitto to save")
