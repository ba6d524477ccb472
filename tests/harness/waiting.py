"""Waiting for a condition, as no test ever sleeps and hopes."""

import time

TIMEOUT = 15  # far more than anything takes, also on a busy machine


def wait_until(condition, what, timeout=TIMEOUT):
    """Returns the first true value of condition(). What it waits for is said when it never comes."""
    deadline = time.monotonic() + timeout
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
