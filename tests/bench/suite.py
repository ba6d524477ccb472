"""All cases of the bench, in the order of the table."""

import cases_life
import cases_many
import cases_receive
import cases_record
import cases_relay
import cases_send

ALL = [*cases_receive.CASES, *cases_record.CASES, *cases_relay.CASES, *cases_send.CASES,
       *cases_many.CASES, *cases_life.CASES]


def chosen(beginnings):
    """The cases whose names begin so; all without."""
    return [case for case in ALL if not beginnings or case.name.startswith(tuple(beginnings))]


def draw(path, rows):
    pass
