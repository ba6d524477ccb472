"""All cases of the bench, in the order of the table."""

from bench import cases_brokers, cases_groups, cases_instructions, cases_life, cases_local, cases_many, cases_receive, cases_record, cases_relay, cases_scale, cases_send, cases_sequence, plot

ALL = [
    *cases_receive.CASES,
    *cases_groups.CASES,
    *cases_record.CASES,
    *cases_sequence.CASES,
    *cases_relay.CASES,
    *cases_local.CASES,
    *cases_send.CASES,
    *cases_many.CASES,
    *cases_brokers.CASES,
    *cases_life.CASES,
    *cases_instructions.CASES,
    *cases_scale.CASES,
]


def chosen(beginnings):
    """The cases whose names begin so; all without."""
    return [case for case in ALL if not beginnings or case.name.startswith(tuple(beginnings))]


def draw(path, rows):
    """Draws the series that were measured, if any were."""
    panels = []
    for series in cases_scale.SERIES:
        start = f"scale/{series.name}/"
        points = [(int(row.name[len(start):]), row.spread.median) for row in rows if row.name.startswith(start)]
        if points:
            panels.append((series.axis, points))
    if panels:
        plot.draw(path, panels)
    return bool(panels)
