"""A stranger's run of doc/nothing-arrives.md: a script does something to a host that receives a group, and somebody who does not know
what it was asks mcastctl doctor, pastes what stands under "fix", and sees the datagrams."""

import contextlib
import os
import random
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.documents import PAGES, ROOT, read
from harness.faults import FAULTS
from harness.strangers import NOBODY
from harness.waiting import wait_until
from net.doctor.reader import Reader, begin, fixes
from net.doctor.trial import situation

pytestmark = pytest.mark.waits

BY_NAME = {fault.name: fault for fault in FAULTS}

# What can be fixed on the host, or in the configuration of its daemon.
FIXED_HERE = [
    "rp_filter_strict", "rp_filter_strict_with_another_way_back", "rp_filter_loose_without_a_route", "no_ipv4_address_and_loose_rp_filter",
    "input_drops_the_port", "input_policy_drops_v6", "prerouting_drops", "iptables_nft_input_policy_drops", "iptables_legacy_input_drops",
    "output_drops_reports", "switch_forgot_the_host", "other_port", "other_source", "other_interface", "joined_on_the_loopback_interface",
    "no_such_interface", "interface_is_a_port_of_a_bridge", "interface_down", "ipv6_disabled_v6", "frames_over_the_mtu",
    "too_many_memberships", "the_sender_is_blocked", "the_sender_is_blocked_among_others", "other_source_than_two", "bursts_over_the_receive_buffer", "two_interfaces_on_one_segment", "igmp_version_2_forced_with_sources",
]
# On the host alone, so that it needs no daemon.
FIXED_WITHOUT_A_DAEMON = [
    "rp_filter_strict", "rp_filter_strict_with_another_way_back", "rp_filter_loose_without_a_route", "no_ipv4_address_and_loose_rp_filter",
    "input_drops_the_port", "input_policy_drops_v6", "prerouting_drops", "iptables_nft_input_policy_drops", "iptables_legacy_input_drops",
    "output_drops_reports", "interface_down", "ipv6_disabled_v6", "frames_over_the_mtu", "too_many_memberships",
]
CHOSEN = 5

IS_WRITTEN = "WRITE_PAGES" in os.environ  # the pages then get what is said now


def play(office, name, with_daemon=True):
    """Returns the number of lines that were pasted or written."""
    with situation(BY_NAME[name]) as lab, contextlib.ExitStack() as stack:
        lab.begin()
        reader = Reader(office, lab, stack.enter_context(begin(lab)) if with_daemon else None)
        try:
            status, text = reader.ask()
            assert status == 1
            lines = fixes(text)
            assert lines, "there is nothing to paste"
            for line in lines:
                reader.obey(line)
            assert reader.sees_datagrams()
            wait_until(reader.is_told_that_all_is_well, "the doctor to find nothing")
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}\n{reader.told}") from error
        return len(lines)


def test_five_faults_chosen_at_random_end_with_what_the_doctor_says(office):
    seed = os.environ.get("SEED") or str(random.randrange(1 << 32))
    chosen = random.Random(seed).sample(FIXED_HERE, CHOSEN)
    print(f"SEED={seed}: {', '.join(chosen)}")
    with ThreadPoolExecutor(CHOSEN) as pool:
        pasted = list(pool.map(lambda name: play(office, name), chosen))
    assert all(pasted)


@pytest.mark.long
@pytest.mark.parametrize("played", FIXED_HERE)
def test_a_fault_ends_with_what_the_doctor_says(results, office, played):
    assert results("played", lambda name: play(office, name))[played]


@pytest.mark.long
@pytest.mark.parametrize("played_alone", FIXED_WITHOUT_A_DAEMON)
def test_a_fault_ends_with_what_the_doctor_says_without_a_daemon(results, office, played_alone):
    assert results("played_alone", lambda name: play(office, name, with_daemon=False))[played_alone]


# What the pages say

RECIPE = "doc/nothing-arrives.md"
CAUSE = re.compile(r"ROW\(\w+, \"([a-z0-9-]+)\"")


def test_the_recipe_has_each_cause_in_its_table():
    table = re.search(r"## By symptom\n(.*?)\n## ", read(RECIPE), re.DOTALL)[1]
    causes = set(CAUSE.findall(read("src/ctl/doctor/rows.h")))
    assert len(causes) > 40
    assert set(re.findall(r"`([a-z0-9-]+)`", table)) == causes


EXAMPLE = re.compile(r"<!-- shows: (\w+) -->\n\n    \$ (sudo )?(mcastctl .*)\n((?:    .+\n)+)")
SHOWN_PATH = "/etc/mcastd/conf.d/news.conf"
EXAMPLES = {f"{page}-{match[1]}-{'root' if match[2] else 'user'}": match for page in PAGES for match in EXAMPLE.finditer(read(page))}


def ask_as_shown(office, name):
    """What a command of a page says now, as the page has it: of a daemon at its usual place."""
    fault, sudo, command = EXAMPLES[name].group(1, 2, 3)
    with situation(BY_NAME[fault]) as lab, contextlib.ExitStack() as stack:
        lab.begin()
        daemon = stack.enter_context(begin(lab)) if "news" in command else None
        for prepare in lab.before_look:
            prepare()
        wait = "3s" if IS_WRITTEN else "1s"
        _, text = Reader(office, lab, daemon).run(f"{command} --wait {wait}", user=0 if sudo else NOBODY)
    if daemon:
        text = text.replace(daemon.config_path, SHOWN_PATH).replace(f" -s {daemon.control_path}", "")
    return "".join(f"    {line}\n" for line in text.splitlines())


def without_numbers(text):
    return re.sub(r"\d+(\.\d)?", "N", text)


def show(office, name):
    """Of a few datagrams, which are all that a busy machine may send in the time, the doctor is not certain: it is asked again."""
    for _ in range(3):
        text = ask_as_shown(office, name)
        if IS_WRITTEN or without_numbers(text) == without_numbers(EXAMPLES[name][4]):
            break
    return text


def write(name, text):
    match = EXAMPLES[name]
    page = next(page for page in PAGES if name.startswith(f"{page}-"))
    was = read(page)
    with open(os.path.join(ROOT, page), "w") as file:
        file.write(was.replace(match[0], match[0].replace(match[4], text)))


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_page_shows_what_the_doctor_says(results, office, example):
    text = results("example", lambda name: show(office, name))[example]
    if IS_WRITTEN:
        write(example, text)
    else:
        assert without_numbers(text) == without_numbers(EXAMPLES[example][4]), "to write the pages again: WRITE_PAGES=1"
