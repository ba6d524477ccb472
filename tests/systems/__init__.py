"""Other systems than this machine: minimal roots of Debian, and what has to work in each: make check-systems."""
