"""What has to work on each system, step by step. A step is a function that takes the root; its first line says what it shows. It
returns a note, raises Failed, or raises LeftOut with the reason."""

import re

from systems.root import BASE, Failed, LeftOut

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
    root.test("package", "make deb; rm -f /var/cache/apt/archives/mcastd_*; cp build/deb/mcastd_*.deb /var/cache/apt/archives/")
    output = root.test("package", "lintian --allow-root --pedantic --fail-on error,warning,pedantic build/deb/*.changes")
    if output.strip():
        raise Failed("lintian is not silent")
    return "lintian finds nothing"


def install(root, archive):
    """that package on a bare machine: installed, run, purged without a trace"""
    root.clear("install", archive)
    root.install("install", r"""
        cd /; list() { cat /etc/passwd /etc/group /etc/shadow /etc/gshadow
            find / -xdev \( -path /tmp -o -path /var/cache -o -path /var/lib/dpkg -o -path /var/log/apt \) -prune -o -print; }
        apt-get -qy --no-install-recommends install $(dpkg-deb -f /var/cache/apt/archives/mcastd_*.deb Depends | tr ',' '\n' |
            sed 's/ (.*//; s/ *|.*//; s/ //g' | sort -u) >/dev/null
        list | sort >/tmp/before
        apt-get -qy --no-install-recommends install /var/cache/apt/archives/mcastd_*.deb
        getent passwd mcastd; mcastd --check; mcastctl --version
        install -d -o mcastd /var/log/mcastd; touch /etc/mcastd/conf.d/mine.conf
        dpkg --purge mcastd
        list | sort >/tmp/after
        diff /tmp/before /tmp/after""")
    return "purged without a trace"


def check(root, archive):
    """make check, the second command of README.md: unit and network tests, and the service tests in a systemd of the root"""
    root.clear("check", archive)
    root.install("check", "apt-get -qy install make >/dev/null; packaging/install-deps check")
    output = root.test("check", "make check WERROR=1")
    counts = output.strip().splitlines()[-1]
    if "SKIPPED what needs a systemd" in output:
        raise Failed("the service tests were skipped")
    return counts


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
    """packaging/Containerfile: built on the root, and run by podman"""
    root.install("check", f"""
        apt-get -qy --no-install-recommends install podman buildah >/dev/null
        podman rmi --all --force >/dev/null
        tar -C {BASE} -c . | podman import - localhost/debian
        {LIMITS}
        buildah bud --isolation chroot --network host $limits --build-arg BASE=localhost/debian -f packaging/Containerfile \
            -t mcastd .""")
    size = root.test("check", "podman image inspect --format '{{.Size}}' localhost/mcastd; podman image inspect"
                              " --format '{{.Size}}' localhost/debian").split()
    counts = root.test("check", """
        MCASTD=$PWD/build/check/mcastd MCASTCTL=$PWD/build/check/mcastctl MCASTD_IMAGE=localhost/mcastd \
            tests/run --image""").strip().splitlines()[-1]
    if not re.match(r"\d+ passed, 0 failed$", counts):
        raise Failed(counts)
    return f"{counts}; {(int(size[0]) - int(size[1])) / 1e6:.0f} MB over its base"


STEPS = [demo, package, install, check, varlinkctl, image]
