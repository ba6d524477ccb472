"""Faults of multicast, each made in namespaces (harness/lab.py), and hosts that are healthy."""

from harness.faults import firewalls, frames, healthy, host, network, sending
from harness.faults.table import FAULTS, HEALTHY, HONEST, WAYS, Fault

__all__ = ["FAULTS", "HEALTHY", "HONEST", "WAYS", "Fault"]
