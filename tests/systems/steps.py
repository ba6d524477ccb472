"""What has to work on each system, step by step. A step is a function that takes the root; its first line says what it shows. It
returns a note, raises Failed, or raises LeftOut with the reason."""

import re

from systems.root import BASE, Failed, LeftOut

ARCHIVES = "/var/cache/apt/archives"
WANTED_VARLINKCTL = 257  # validate-idl and calls with --more
# Those of this machine: buildah of Debian 13 raises them, which takes CAP_SYS_RESOURCE.
LIMITS = 'limits="--ulimit nofile=$(ulimit -Hn) --ulimit nproc=$(ulimit -Hp | sed s/unlimited/-1/)"'


def demo(root, archive):
    """make demo, the first command of README.md, on a bare machine"""
    root.clear("demo", archive)
    root.install("demo", "apt-get -qy install make >/dev/null; packaging/install-deps demo")
    output = root.test("demo", "make demo WERROR=1")
    if "Both datagrams went out" not in output:
        raise Failed("the datagrams did not come back")
    return "2 datagrams"


def package(root, archive):
    """make deb on a bare machine, and lintian"""
    root.clear("package", archive)
    root.install("package", "apt-get -qy install make >/dev/null; packaging/install-deps packages")
    root.test("package", f"make deb; rm -f {ARCHIVES}/mcastd*; cp $(ls build/deb/*.deb | grep -v dbgsym) {ARCHIVES}")
    output = root.test("package", "lintian --allow-root --pedantic --fail-on error,warning,pedantic build/deb/*.changes")
    if output.strip():
        raise Failed("lintian is not silent")
    return "lintian finds nothing"


# All files but those of the sources and of apt's and dpkg's own books, and who the users are.
LIST = r"""list() { { cat /etc/passwd /etc/group /etc/shadow /etc/gshadow; find / -xdev \( -path /srv -o -path /tmp -o -path /var/cache \
    -o -path /var/lib/dpkg -o -path /var/log/apt \) -prune -o -print; } | sort >/srv/$1; }
"""
NATS = 'handlers: { hq: { type = "nats"; servers = "nats://192.0.2.1"; site = "here"; }; };'


def install(root, archive):
    """those packages on a bare machine: installed, run beside real brokers, purged without a trace"""
    root.clear("install", archive)
    root.install("install", f"""{LIST}
        apt-get -qy --no-install-recommends install python3 $(for package in {ARCHIVES}/mcastd*.deb; do
            dpkg-deb -f $package Depends; done | tr ',' '\\n' | sed 's/ (.*//; s/ *|.*//; s/ //g' | grep -v ^mcastd | sort -u) >/dev/null
        for broker in nats-server mosquitto; do
            apt-get -qy --no-install-recommends install $broker >/dev/null || echo "$broker cannot be had"; done
        list before
        apt-get -qy --no-install-recommends install {ARCHIVES}/mcastd_*.deb
        getent passwd mcastd; mcastd --check; mcastctl --version
        echo '{NATS}' >/srv/nats.conf
        mcastd --check -c /srv/nats.conf 2>/srv/errors && exit 1; grep 'handlers.hq: type nats: install mcastd-nats' /srv/errors
        apt-get -qy --no-install-recommends install $(ls {ARCHIVES}/mcastd-*.deb)
        mcastd --check -c /srv/nats.conf""")
    output = root.test("install", "cd tests; MCASTD=/usr/bin/mcastd MCASTCTL=/usr/bin/mcastctl python3 -B -m systems.brokers")
    root.install("install", f"""{LIST}
        dpkg --remove mcastd-nats; mcastd --check; mcastd --check -c /srv/nats.conf && exit 1
        dpkg --remove mcastd-mqtt mcastd-kafka; [ ! -e /usr/lib/mcastd ]
        install -d -o mcastd /var/log/mcastd; touch /etc/mcastd/conf.d/mine.conf
        dpkg --purge mcastd-nats mcastd-mqtt mcastd-kafka mcastd
        list after; diff /srv/before /srv/after""")
    modules = re.findall(r"^(nats|mqtt|kafka): (.*)$", output, re.MULTILINE)
    if [name for name, _ in modules] != ["nats", "mqtt", "kafka"]:
        raise Failed("a module was not tried")
    return "; ".join(f"{name} {said}" for name, said in modules) + "; purged without a trace"


def check(root, archive):
    """make check, the second command of README.md: unit and network tests, and the service tests in a systemd of the root"""
    root.clear("check", archive)
    root.install("check", "apt-get -qy install make >/dev/null; packaging/install-deps check")
    output = root.test("check", "make check WERROR=1")
    counts = output.strip().splitlines()[-1]
    if "SKIPPED what needs a systemd" in output:
        raise Failed("the service tests were skipped")
    return counts


def brokers(root, archive):
    """the tests with brokers, those of this system and its libraries of clients"""
    root.clear("brokers", archive)
    root.install("brokers", "apt-get -qy install make >/dev/null; packaging/install-deps peers")
    output = root.test("brokers", "make check-peers WERROR=1 PYTEST_ARGS='" + " ".join(
        f"tests/peers/test_{name}.py" for name in ("brokers", "nats", "mqtt", "kafka")) + "'")
    return output.strip().splitlines()[-1]


def varlinkctl(root, archive):
    """varlinkctl of the system's systemd against the control socket"""
    version = root.test("check", "systemctl --version").split()[1].split(".")[0].partition("~")[0]
    if int(version) < WANTED_VARLINKCTL:
        raise LeftOut(f"systemd {version} has none, or one that cannot do all of it")
    counts = root.test("check", """
        MCASTD=$PWD/build/check/mcastd MCASTCTL=$PWD/build/check/mcastctl tests/run --systems
        """).strip().splitlines()[-1]
    if "skipped" in counts:
        raise Failed(counts)
    return f"systemd {version}: {counts}"


def image(root, archive):
    """packaging/Containerfile: built on the root without and with modules, and run by podman"""
    def build(name, *arguments):
        return (f"buildah bud --isolation chroot --network host $limits --build-arg BASE=localhost/debian {' '.join(arguments)} "
                f"-f packaging/Containerfile -t {name} .\n")

    root.install("check", f"""
        apt-get -qy --no-install-recommends install podman buildah nats-server >/dev/null
        podman rmi --all --force >/dev/null
        tar -C {BASE} -c . | podman import - localhost/debian
        {LIMITS}
        {build("mcastd")}{build("mcastd-modules", '--build-arg MODULES="nats mqtt kafka"')}""")
    sizes = [int(size) for size in root.test("check", "podman image inspect --format '{{.Size}}' " + " ".join(
        f"localhost/{name}" for name in ("debian", "mcastd", "mcastd-modules"))).split()]
    counts = root.test("check", """
        MCASTD=$PWD/build/check/mcastd MCASTCTL=$PWD/build/check/mcastctl MCASTD_IMAGE=localhost/mcastd \
            MCASTD_IMAGE_MODULES=localhost/mcastd-modules tests/run --image""").strip().splitlines()[-1]
    if not re.match(r"\d+ passed, 0 failed$", counts):
        raise Failed(counts)
    return f"{counts}; {(sizes[1] - sizes[0]) / 1e6:.0f} MB over its base, with all modules {(sizes[2] - sizes[0]) / 1e6:.0f} MB"


STEPS = [demo, package, install, check, brokers, varlinkctl, image]
