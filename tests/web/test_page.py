"""The status page, in a real browser."""

import json
import re
import time
import urllib.request

import pytest

from harness.daemon import Daemon
from harness.peers import send
from harness.waiting import TIMEOUT, wait_until
from web.false_status import FalseStatus, group

URL = "http://127.0.0.1:9184/"
CONFIG = """
groups: {
    news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["archive"]; };
    small: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; receive_buffer = "4K"; };
    absent: { address = "233.252.0.3"; port = 5004; interfaces = ["eth9"]; };
};
handlers: { archive: { type = "file"; path = "$DIR/archive"; }; };
http: { listen = ["127.0.0.1:9184"]; };
"""
MANY = 10000
HOSTILE = "<img src=x onerror=alert(1)>"

# Of the row of a group: what is in its columns.
ROW = """(() => {
    const row = [...document.querySelectorAll('#groups tbody tr')].find(
        (tr) => tr.querySelector('th.name span')?.textContent === NAME);
    return row ? Object.fromEntries([...row.cells].map((cell, i) => [document.querySelectorAll('#groups thead th')[i].dataset.key,
        cell.innerText.trim()])) : null;
})()"""
FRAMES = """new Promise((done) => {
    const scroller = document.getElementById('groups-scroller');
    let frames = 0, start = 0;
    function next(now) {
        start = start || now;
        scroller.scrollTop += 60;
        if (now - start > 3000)
            done(frames * 1000 / (now - start));
        else
            requestAnimationFrame(next);
        frames++;
    }
    requestAnimationFrame(next);
})"""


def row(page, name):
    return page.run(ROW.replace("NAME", json.dumps(name)))


def is_connected(page):
    return page.text("#connection") == "connected"


def open_page(page, url=URL):
    page.open(url)
    wait_until(lambda: is_connected(page), "the page to be connected")


def number(text):
    return float(text.replace(",", "")) if text and text != "–" else -1


def names(page):
    return page.run("[...document.querySelectorAll('#groups tbody th.name span:first-child')].map((span) => span.textContent)")


def type_text(page, text):
    for letter in text:
        page.press(letter)


@pytest.fixture(scope="module")
def daemon(net):
    with Daemon(net.host, CONFIG) as daemon:
        daemon.wait_joined("news", "small")
        yield daemon


def test_the_page_loads_without_an_error_and_asks_nobody_else(daemon, page):
    open_page(page)
    wait_until(lambda: len([url for url in page.requested() if url.endswith("status.json")]) >= 2, "two answers")
    assert not page.problems()
    assert {url for url in page.requested() if not url.startswith("data:")} == {URL, URL + "status.json"}


def test_what_its_policy_does_not_know_does_not_run(daemon, page):
    open_page(page)
    page.run("""(() => {
        const script = document.createElement('script');
        script.textContent = 'window.hasRun = true';
        document.body.append(script);
    })()""")
    assert page.run("window.hasRun") is None
    assert page.run("fetch('http://192.0.2.99/').then(() => 'went', () => 'refused')") == "refused"


def test_a_group_that_waits_says_what_for(daemon, page):
    open_page(page)
    assert row(page, "absent")["state"] == "◐ waiting"
    page.run("document.querySelector('#groups tbody tr:nth-child(2) button').click()")
    assert "eth9" in page.text("tr.detail") and "waiting for" in page.text("tr.detail")
    assert "no interface eth9" in page.text("tr.detail")


def test_the_rate_of_a_group_is_within_a_tenth_of_the_real_one(net, daemon, page, blast):
    open_page(page)
    with blast.stream(net.peer, "233.252.0.1", 5004, 100, rate=500):
        def is_near():
            """Against the daemon's own counter, over the seconds in which the page was asked."""
            start, began = daemon.group("news")["received"], time.monotonic()
            shown = [number(row(page, "news")["rate"]) for _ in wait_for_answers(page, 2)]
            real = (daemon.group("news")["received"] - start) / (time.monotonic() - began)
            return abs(shown[-1] - real) <= real / 10
        wait_until(lambda: number(row(page, "news")["rate"]) > 0, "a rate")
        wait_until(is_near, "the rate that is real", 2 * TIMEOUT)


def wait_for_answers(page, count):
    """Yields after each of the next answers to the page."""
    for _ in range(count):
        before = len(page.seen("Network.loadingFinished"))
        wait_until(lambda: len(page.seen("Network.loadingFinished")) > before, "an answer")
        yield


def test_a_loss_is_seen_within_three_seconds(net, daemon, page, blast):
    open_page(page)
    daemon.pause()
    blast(net.peer, "233.252.0.2", 5004, 2000, 1000)
    daemon.resume()
    began = time.monotonic()
    wait_until(lambda: "buffer full" in row(page, "small")["lost"], "the loss")
    assert time.monotonic() - began < 3
    assert "is-bad" in page.run("document.querySelector('#groups td.lost.is-fresh').className")
    assert page.text("#states").count("1 losing") == 1


def test_the_page_says_when_the_daemon_is_gone_and_goes_on_when_it_is_back(net, page, start, directory):
    config = CONFIG.replace("9184", "9185")
    first = start(config, directory=directory)
    open_page(page, URL.replace("9184", "9185"))
    send(net.peer, b"one", "233.252.0.1", 5004)
    wait_until(lambda: row(page, "news")["last"] != "never", "the datagram")
    first.stop()
    wait_until(lambda: "no answer since" in page.text("#connection"), "the page to notice")
    assert page.run("document.title") == "gone: mcastd"
    second = start(config, directory=directory)
    wait_until(lambda: is_connected(page), "the page to be connected again")
    second.wait_joined("news")
    wait_until(lambda: send(net.peer, b"two", "233.252.0.1", 5004) and number(row(page, "news")["rate"]) > 0, "what comes after that")


def test_an_event_is_seen(net, daemon, page):
    open_page(page)
    net.host.ip("link add eth9 type veth peer name eth9-peer", "address add 203.0.113.9/24 dev eth9", "link set eth9 up",
                "link set eth9-peer up")
    try:
        wait_until(lambda: "absent on eth9: joined" in page.text("#events-list"), "the event")
        wait_until(lambda: row(page, "absent")["state"] == "● joined", "the state")
    finally:
        net.host.ip("link del eth9")


def test_the_name_of_an_interface_is_text(net, page, start):
    net.host.ip("link add name <b>x type veth peer name <i>y", "link set <b>x up", "link set <i>y up")
    try:
        config = CONFIG.replace("9184", "9186").replace('"eth9"', '"<b>x"')
        start(config)
        open_page(page, URL.replace("9184", "9186"))
        page.run("document.querySelector('#groups tbody tr:nth-child(2) button').click()")
        assert "<b>x" in page.text("tr.detail")
        assert page.run("document.querySelectorAll('main b, main i').length") == 0
    finally:
        net.host.ip("link del <b>x")


def test_no_text_from_outside_becomes_markup(net, page):
    memberships = [{"interface": HOSTILE, "state": HOSTILE, "error": HOSTILE, "sinceMs": 1}]
    handler = {"name": HOSTILE, "type": HOSTILE, "error": HOSTILE, "received": 1, "queuePercent": 1, "dropped": {HOSTILE: 1},
               "input": {"taken": 1, "dropped": {HOSTILE: 1}}}
    event = {member: HOSTILE for member in (
        "event", "state", "group", "interface", "handler", "source", "timestamp", "membership", "why", "otherInterface")}
    hostile = group(HOSTILE, address=HOSTILE, handlers=[HOSTILE], inputs=[HOSTILE], sources=[HOSTILE], memberships=memberships,
                    senders=[{"source": HOSTILE, "sourcePort": HOSTILE, "interface": HOSTILE, "received": 1}],
                    outgoing=[{"interface": HOSTILE, "error": HOSTILE, "notSent": 1}])
    events = [event, {**event, "event": "membership"}, {**event, "event": "silence"}, {**event, "event": "sameNetworkTwice"}]
    with FalseStatus(net.host, version=HOSTILE, groups=[hostile], handlers=[handler], events=events) as server:
        open_page(page, server.url)
        page.run("document.querySelector('#groups tbody th button').click()")
        shown = page.run("document.body.innerText")
        assert shown.count(HOSTILE) >= 15, shown
        assert page.run("document.images.length") == 0
        assert not page.seen("Page.javascriptDialogOpening")
        assert not [url for url in page.requested() if url.endswith("/x")]


def test_counters_that_begin_again_are_no_rate(net, page):
    """A daemon that has not kept its counters: what it counts from zero is neither negative nor a jump."""
    status = {"groups": [group("news", received=10**9)]}
    with FalseStatus(net.host, **status) as server:
        open_page(page, server.url)
        wait_until(lambda: row(page, "news")["rate"] == "0", "two answers")
        for received, started in (5, 2000), (10**9, 3000):
            server.status = {**server.status, "startedMs": started, "groups": [group("news", received=received)]}
            shown = [row(page, "news")["rate"] for _ in wait_for_answers(page, 2)]
            assert set(shown) <= {"–", "0"}, shown


def test_what_is_lost_is_what_the_daemon_says(net, page):
    dropped = {"rate": 1000, "strip": 600, "loop": 200, "ttl": 30, "queue": 4}
    handler = {"name": "hq", "type": "nats", "dropped": dropped, "input": {"dropped": {"own": 5000, "duplicate": 60000, "size": 5}},
               "lost": {"queue": 4, "inputSize": 5}}
    with FalseStatus(net.host, handlers=[handler]) as server:
        open_page(page, server.url)
        assert page.text("#lost") == "9"
        assert page.run("document.querySelector('#handlers tbody td.lost').textContent") == "9input size +1"
        assert "rate 1,000 · strip 600 · loop 200 · ttl 30 · in: own 5,000 · in: duplicate 60,000" in page.text("#handlers tbody th.name")


def test_an_answer_that_is_nonsense_is_no_answer(net, page):
    with FalseStatus(net.host, groups=[group("news")]) as server:
        open_page(page, server.url)
        server.make = lambda: b"{"
        wait_until(lambda: "no answer since" in page.text("#connection"), "the page to notice")
        del server.make
        wait_until(lambda: is_connected(page), "the page to be connected again")


def test_a_page_that_nobody_sees_does_not_ask(daemon, page):
    def hide(is_hidden):
        page.run(f"""Object.defineProperty(document, 'hidden', {{configurable: true, value: {json.dumps(is_hidden)}}});
            document.dispatchEvent(new Event('visibilitychange'))""")

    open_page(page)
    hide(True)
    before = len(page.requested())
    page.run("new Promise((done) => setTimeout(done, 2500))")
    assert len(page.requested()) <= before + 1
    before = len(page.requested())
    hide(False)
    wait_until(lambda: len(page.requested()) > before, "the page to ask again")


@pytest.fixture
def three(net, page):
    groups = [group("b2", received=5), group("b10", received=7), group("a", address="233.252.0.9", received=6)]
    with FalseStatus(net.host, groups=groups) as server:
        open_page(page, server.url)
        yield page


def test_the_filter_shows_what_has_its_words(three):
    three.press("/")
    type_text(three, "b")
    assert names(three) == ["b2", "b10"]
    type_text(three, "10")
    assert names(three) == ["b10"]
    three.press("Escape")
    assert names(three) == ["a", "b2", "b10"]


def test_a_click_on_a_heading_sorts(three):
    def click(key):
        three.run(f"document.querySelector('#groups th[data-key={key}] button').click()")
        return three.run(f"document.querySelector('#groups th[data-key={key}]').getAttribute('aria-sort')"), names(three)

    assert click("received") == ("descending", ["b10", "a", "b2"])
    assert click("received") == ("ascending", ["b2", "a", "b10"])
    assert click("name") == ("ascending", ["a", "b2", "b10"])
    assert click("address") == ("ascending", ["b2", "b10", "a"])
    assert three.run("document.querySelectorAll('#groups th[aria-sort]').length") == 1


def test_the_keyboard_is_enough(three):
    three.press("ArrowDown")
    three.press("ArrowDown")
    assert three.run("document.activeElement.textContent").startswith("b2")
    three.press("Enter")
    assert three.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert "eth0" in three.text("tr.detail")
    three.press("Escape")
    assert three.run("document.querySelector('tr.detail')") is None
    three.press("End")
    assert three.run("document.activeElement.textContent").startswith("b10")
    three.press("Home")
    assert three.run("document.activeElement.textContent").startswith("a")


def test_on_a_telephone_nothing_is_cut_off_at_the_side(three):
    three.resize(360, 740)
    assert three.run("document.documentElement.scrollWidth") <= 360
    assert three.run("document.getElementById('groups-scroller').scrollWidth") <= 360
    assert three.run("getComputedStyle(document.getElementById('handlers')).display") == "none"
    three.run("document.querySelector('nav [data-part=handlers]').click()")
    assert three.run("getComputedStyle(document.getElementById('handlers')).display") != "none"


def many_groups():
    return "".join(f'g{i:05}: {{ address = "239.1.{i >> 8}.{i & 255}"; port = 5004; interfaces = ["eth0"]; receive_buffer = "4K"; }};\n'
                   for i in range(MANY))


def longest_piece(net, url):
    """Of the answers, which keeps the event loop away, in seconds of the processor."""
    with net.host, urllib.request.urlopen(url + "metrics", timeout=TIMEOUT) as answer:
        return float(re.search(rb"^mcastd_http_longest_piece_seconds (\S+)$", answer.read(), re.MULTILINE)[1])


def test_ten_thousand_groups_do_not_hurt_the_page(net, page, start, release, say):
    daemon = start(f"groups: {{ {many_groups()} }};\nhttp: {{ listen = [\"127.0.0.1:9187\"]; }};\n", binary=release)
    wait_until(lambda: daemon.call("GetStatus")["memberships"]["joined"] == MANY, "all groups to be joined", 4 * TIMEOUT)
    url = URL.replace("9184", "9187")
    open_page(page, url)
    assert page.text("#groups-count") == f"{MANY:,}"
    frames = []
    wait_until(lambda: frames.append(page.run(FRAMES)) or frames[-1] >= 30, "30 frames a second, on a machine that others use, too")
    assert page.run("document.querySelectorAll('#groups tbody tr').length") < 80
    page.press("End")
    assert page.run("document.activeElement.textContent").startswith(f"g{MANY - 1:05}")
    say(f"10,000 groups: {frames} frames/s, longest piece of an answer {longest_piece(net, url) * 1000:.2f} ms")
    daemon.kill()  # leaving ten thousand groups takes seconds


@pytest.mark.parametrize("width, height, is_dark", [(1280, 800, False), (1280, 800, True), (360, 740, False)])
def test_axe_finds_nothing_serious(net, page, axe, width, height, is_dark):
    groups = [group("news", received=5, kernelDropped=3, lost={"kernel": 3}), group("quiet", silent=True),
              group("absent", memberships=[{"interface": "eth9", "state": "waiting", "error": "no interface eth9"}]),
              group("broken", memberships=[{"interface": "eth0", "state": "failed", "error": "Operation not permitted"}])]
    handlers = [{"name": "archive", "type": "pcapng", "received": 5, "queuePercent": 90, "queued": 9, "dropped": {"queue": 3}, "lost": {"queue": 3},
                 "error": "disk full"}]
    events = [{"event": "silence", "state": "begin", "group": "quiet", "milliseconds": 5000, "timestamp": "2026-11-29T17:00:00Z"}]
    with FalseStatus(net.host, groups=groups, handlers=handlers, events=events) as server:
        page.resize(width, height)
        page.be_dark(is_dark)
        open_page(page, server.url)
        page.run("document.querySelector('#groups tbody th button').click()")
        page.run(axe + "; 0")
        violations = page.run("axe.run().then((result) => result.violations)")
    serious = [(found["id"], found["impact"], [node["html"] for node in found["nodes"]]) for found in violations]
    assert not serious, serious
