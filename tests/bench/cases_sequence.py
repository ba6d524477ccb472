"""What it costs to see what never came, and to merge two feeds, beside the same without it."""

from bench.case import FLOOD, Comparison
from bench.receivers import counting, mcastd, mcastd_config, merge_config, recorder
from bench.report import Limit

RTP = FLOOD.changed(layout="rtp")
SEQUENCE = 'sequence = "rtp";'

# To two groups, which have the same numbers. One buffer that the kernel cuts is for one group only.
BOTH = RTP.changed(segmented=False, rate=0, groups=2)

without = "mcastd without it"
# Where datagrams are only counted, the kernel copies neither payload nor sender.
reading = mcastd("mcastd that reads senders", keys='expect_senders = ["192.0.2.0/24"];')
merger = counting("mcastd", merge_config(SEQUENCE))

CASES = [
    Comparison("sequence/count", 'count only, 64 B, sequence = "rtp"', mcastd(keys=SEQUENCE), mcastd(without), Limit(at_most=1.25),
               less=False, load=RTP),
    Comparison("sequence/reading", 'count only, 64 B, sequence = "rtp"', mcastd(keys=SEQUENCE), reading, Limit(at_most=1.25),
               less=False, load=RTP, quick=False),
    Comparison("sequence/integer", 'count only, 64 B, sequence = "u32@4"', mcastd(keys='sequence = "u32@4";'), reading,
               less=False, load=RTP),
    Comparison("sequence/raw", 'raw file recorder, 64 B, sequence = "rtp"', recorder(keys=SEQUENCE), recorder(), Limit(at_most=1.1),
               less=False, load=RTP),
    Comparison("sequence/json", 'json file recorder, 64 B, sequence = "rtp"', recorder(form="json", keys=SEQUENCE),
               recorder(form="json"), Limit(at_most=1.1), less=False, load=RTP, quick=False),
    Comparison("merge/count", "two groups merged by RTP, 64 B, count only", merger, counting("mcastd, two groups", mcastd_config(groups=2)),
               Limit(at_most=1.3), less=False, load=BOTH),
    Comparison("merge/numbered", "two groups merged by RTP, 64 B, count only", merger,
               counting("mcastd, two groups with sequence", mcastd_config(SEQUENCE, groups=2)), less=False, load=BOTH),
]
