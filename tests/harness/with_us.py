"""Programs that do not outlive the tests, not even when they are killed.

with-us.c does in front of each what preexec_fn could do as well: but then Python forks itself whole for each, which costs
twenty milliseconds.
"""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile


@functools.cache
def program():
    """The path of with-us; any user may run it."""
    directory = tempfile.mkdtemp(prefix="mcastd-with-us-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.chmod(directory, 0o755)
    path = os.path.join(directory, "with-us")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "with-us.c")
    subprocess.run(["cc", "-O1", "-o", path, source], check=True)
    return path


def command(*words, cgroup=None):
    """The command of a program that ends with us, in a control group if one is named."""
    return [program(), *(["-g", cgroup] if cgroup else []), *words]


def start(words, **options):
    """subprocess.Popen of such a program."""
    return subprocess.Popen(command(*words), **options)
