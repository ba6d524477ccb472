"""What people copy from README.md, doc/, man/ and etc/ passes the check and starts as the package installs it."""

import re

import pytest

from harness.documents import all_configurations

BLOCKS = all_configurations()
PROGRAM = re.compile('"(/(?:usr/)?bin/[^"]+)"')


def stand_in(system):
    """Puts something in the place of programs that are named and not here. Returns where."""
    missing = [path for block in BLOCKS.values() for path in PROGRAM.findall(block) if not system.exists(path)]
    for path in missing:
        system.write(path, "#!/bin/sh\nexec cat >/dev/null\n", 0o755)
    return missing


@pytest.fixture(scope="module")
def results(system):
    """Each configuration as an instance of its own, all at once: what the check says, and whether it runs."""
    names = [f"copied{number}" for number in range(len(BLOCKS))]
    for number, (name, block) in enumerate(zip(names, BLOCKS.values(), strict=True)):
        for theirs, own in (("/var/log/mcastd", f"/var/log/mcastd-{name}"), ("/run/mcastd/", f"/run/mcastd-{name}/"),
                            (":9184", f":{9200 + number}")):
            block = block.replace(theirs, own)
        system.write(f"/etc/mcastd/{name}.conf", block)
    units = " ".join(f"mcastd@{name}" for name in names)
    programs = stand_in(system)
    try:
        system.run("sh", "-c", "for name; do mcastd -c /etc/mcastd/$name.conf --check >/run/$name.check 2>&1; echo $? >>/run/$name.check"
                               " & done; wait", "sh", *names, timeout=300)
        system.try_run("sh", "-c", f"systemctl start {units}", timeout=300)
        active = system.try_run("sh", "-c", f"systemctl is-active {units}").stdout.split()
        yield {block: (system.read(f"/run/{name}.check").decode(), state)
               for block, name, state in zip(BLOCKS, names, active, strict=True)}
    finally:
        system.try_run("sh", "-c", f"systemctl stop {units}")
        system.try_run("sh", "-c", "systemctl stop 'mcastd@copied*.socket'; systemctl reset-failed; rm -rf /etc/mcastd/copied*"
                                   " /var/log/mcastd-copied* /run/mcastd-copied* /run/copied*")
        for path in programs:
            system.remove(path)


@pytest.mark.parametrize("block", BLOCKS)
def test_each_configuration_passes_the_check_and_starts(results, block):
    words, state = results[block]
    assert words.endswith("\n0\n") and "in the sandbox of mcastd@copied" in words, f"{words}\n{BLOCKS[block]}"
    assert state == "active", BLOCKS[block]
