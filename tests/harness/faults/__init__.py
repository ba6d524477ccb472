"""Faults of multicast, each made in namespaces (harness/lab.py), and hosts that are healthy."""

from harness.faults import firewalls, frames, healthy, host, network, sending  # noqa: F401  (they add to the table)
from harness.faults.table import FAULTS, HEALTHY, HONEST, STRANGER, WAYS, Fault

__all__ = ["FAULTS", "HEALTHY", "HONEST", "STRANGER", "WAYS", "Fault"]
