"""The image of packaging/Containerfile, run by podman: MCASTD_IMAGE names it. make check-systems builds it and runs this."""
