"""mcastd in a place of its own, and modules that the tests make for it."""

import os
import shutil
import subprocess

from harness.daemon import MCASTD, ROOT


def version():
    with open(os.path.join(ROOT, "VERSION")) as file:
        return file.read().strip()


class Place:
    """A copy of mcastd in bin/ of a directory, and room for modules beside it."""

    def __init__(self, directory, bin_name="bin", binary=MCASTD):
        self.directory = str(directory)
        self.trace = os.path.join(self.directory, "trace")
        self.mcastd = os.path.join(self.directory, bin_name, "mcastd")
        os.makedirs(os.path.dirname(self.mcastd))
        shutil.copy(binary, self.mcastd)

    def module(self, name, of_version=None, below=""):
        return os.path.join(self.directory, below, "lib", "mcastd", of_version or version(), f"{name}.so")

    def make_module(self, name, of_version=None, below="", symbol="engine"):
        """One that leaves "NAME VERSION" in the trace when it is opened."""
        path = self.module(name, of_version, below)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        source = os.path.join(ROOT, "tests", "harness", "module.c")
        subprocess.run(
            ["cc", "-std=gnu17", "-D_GNU_SOURCE", "-fPIC", "-shared", "-fvisibility=hidden", f"-I{ROOT}/src",
             f'-DTRACE="{name} {of_version or version()}"', f"-DSYMBOL={symbol}", "-o", path, source], check=True)
        return path

    def opened(self):
        """What the modules that were opened have left, in their order."""
        if not os.path.exists(self.trace):
            return []
        with open(self.trace) as file:
            return file.read().splitlines()
