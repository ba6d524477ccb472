"""Rules of nft(8) on what comes in by one device: what they have counted, dropped and doubled."""

import json

from harness.discovery import find, need

CHAIN = """table netdev {device} {{
	counter lost {{ }}
	counter doubled {{ }}
	chain in {{ type filter hook ingress device "{device}" priority 0; }}
}}
"""


class Ingress:
    """A device of a namespace, whose rules take away some datagrams to a port, and double some of the others."""

    def __init__(self, host, device):
        need("nft")
        self.host, self.device = host, device
        self.run(CHAIN.format(device=device))

    def run(self, text):
        self.host.run(find("nft"), "-f", "-", input=text)

    def begin(self, group, port, lose="", double="", to=""):
        """lose and double are conditions: numgen random mod 100 < 3, say. The copies leave by the device "to"."""
        match = f"ip daddr {group} udp dport {port}"
        rules = [f"{match} {lose} counter name lost drop"] if lose else []
        rules += [f'{match} {double} counter name doubled dup to "{to}"'] if double else []
        self.run("".join(f"add rule netdev {self.device} in {rule}\n" for rule in rules))

    def end(self):
        """All passes again. Returns how many were lost and doubled since the last time."""
        self.run(f"flush chain netdev {self.device} in")
        answer = json.loads(self.host.run(find("nft"), "--json", "reset", "counters", "table", "netdev", self.device))
        counts = {item["counter"]["name"]: item["counter"]["packets"] for item in answer["nftables"] if "counter" in item}
        return counts["lost"], counts["doubled"]

    def lost(self):
        """How many until now."""
        answer = json.loads(self.host.run(find("nft"), "--json", "list", "counter", "netdev", self.device, "lost"))
        return next(item["counter"]["packets"] for item in answer["nftables"] if "counter" in item)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run(f"delete table netdev {self.device}")
