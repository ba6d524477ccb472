"""All cases of the bench, in the order of the table."""

import cases_receive

ALL = [*cases_receive.CASES]


def chosen(beginnings):
    """The cases whose names begin so; all without."""
    return [case for case in ALL if not beginnings or case.name.startswith(tuple(beginnings))]


def draw(path, rows):
    pass
