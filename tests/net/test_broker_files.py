"""Files that handlers of brokers show to them, as mcastd --check sees them: what cannot be what it is meant to be is named, and the key
or the command that mends it. No broker is needed."""

import os
from glob import glob

import pytest

from harness.credentials import Authority, NKey, openssl
from harness.daemon import MCASTD, run_mcastd
from harness.modules import version

BUILT = {os.path.basename(path).removesuffix(".so")
         for path in glob(os.path.join(os.path.dirname(MCASTD), "lib", "mcastd", version(), "*.so"))}
SERVERS = {"nats": 'servers = "tls://127.0.0.1:1";', "mqtt": 'servers = "mqtts://127.0.0.1:1";', "kafka": 'brokers = "127.0.0.1:1"; tls = true;'}
LOGIN = {"nats": 'username = "x";', "mqtt": 'username = "x";', "kafka": 'username = "x"; sasl = "PLAIN";'}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What is right, and the file of lines that are nothing."""
    authority = Authority(tmp_path_factory.mktemp("files"))
    authority.site, authority.seed = authority.sign("here"), NKey(authority.directory, "here").seed_file
    authority.other = authority.sign("other")
    authority.expired, authority.later = authority.sign_expired("expired"), authority.sign_for_later("later")
    authority.locked = authority.path("locked", "key")
    openssl("pkey", "-in", authority.site.key, "-aes256", "-passout", "pass:x", "-out", authority.locked)
    authority.nothing, authority.password = authority.path("nothing", "txt"), authority.path("password", "txt")
    for path, text in (authority.nothing, "two\nlines\n"), (authority.password, "secret\n"):
        with open(path, "w") as file:
            file.write(text)
    return authority


@pytest.fixture
def check(tmp_path):
    """Exit status and words of a check of a handler with these keys."""
    def check(kind, keys):
        if kind not in BUILT:
            pytest.skip(f"there is no module {kind} in this build")
        path = tmp_path / "mcastd.conf"
        path.write_text(f'handlers: {{ hq: {{ type = "{kind}"; site = "here"; {SERVERS[kind]} {keys} }}; }};\n')
        result = run_mcastd("--check", "-c", str(path))
        return result.returncode, result.stderr

    return check


@pytest.mark.parametrize("kind", SERVERS)
def test_files_that_are_right_pass(check, made, kind):
    keys = f'ca = "{made.ca}"; certificate = "{made.site.certificate}"; key = "{made.site.key}"; '
    assert check(kind, keys + LOGIN[kind] + f'password_file = "{made.password}";') == (0, "")


def test_a_seed_that_is_right_passes(check, made):
    assert check("nats", f'nkey = "{made.seed}";') == (0, "")


@pytest.mark.parametrize("kind", SERVERS)
def test_a_password_of_two_lines_is_named(check, made, kind):
    status, errors = check(kind, LOGIN[kind] + f'password_file = "{made.nothing}";')
    assert status == 78 and f"handlers.hq.password_file: {made.nothing}: must have one line of at most" in errors


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("key", ["ca", "certificate", "key"])
def test_what_is_no_certificate_and_no_key_is_named(check, made, kind, key):
    files = {"ca": made.ca, "certificate": made.site.certificate, "key": made.site.key, key: made.nothing}
    status, errors = check(kind, " ".join(f'{name} = "{path}";' for name, path in files.items()))
    assert status == 78 and "handlers.hq" in errors and made.nothing in errors


@pytest.mark.parametrize("kind", SERVERS)
def test_each_file_that_is_missing_is_named_with_its_key(check, kind):
    keys = "".join(f'{key} = "/nowhere/{key}"; ' for key in ("ca", "certificate", "key", "password_file"))
    status, errors = check(kind, keys + LOGIN[kind])
    lines = [line.split("handlers.hq.")[1] for line in errors.splitlines() if "handlers.hq." in line]
    assert status == 78 and lines == [f"{key}: /nowhere/{key}: No such file or directory"
                                      for key in ("ca", "certificate", "key", "password_file")]


@pytest.mark.parametrize("kind", SERVERS)
def test_a_file_that_is_missing_in_a_directory_that_is_there_is_named_as_that(check, tmp_path, kind):
    status, errors = check(kind, f'ca = "{tmp_path}/ca.pem";')
    assert status == 78 and f"handlers.hq.ca: {tmp_path}/ca.pem: No such file or directory" in errors


@pytest.mark.parametrize("kind", SERVERS)
def test_a_key_with_a_passphrase_is_named_as_that(check, made, kind):
    status, errors = check(kind, f'certificate = "{made.site.certificate}"; key = "{made.locked}";')
    assert status == 78 and f"handlers.hq.key: {made.locked}: has a passphrase" in errors


@pytest.mark.parametrize("kind", SERVERS)
def test_a_key_of_another_certificate_is_named_as_that(check, made, kind):
    status, errors = check(kind, f'certificate = "{made.site.certificate}"; key = "{made.other.key}";')
    assert status == 78 and f"handlers.hq.key: {made.other.key}: is not the key of the first certificate in {made.site.certificate}" in errors


@pytest.mark.parametrize("kind", SERVERS)
def test_an_authority_that_is_cut_off_is_named_as_that(check, made, kind):
    path = made.path("cut", "pem")
    with open(made.ca) as whole, open(path, "w") as cut:
        text = whole.read()
        cut.write(text + text[:len(text) // 2])
    status, errors = check(kind, f'ca = "{path}";')
    assert status == 78 and f"handlers.hq.ca: {path}: certificate 2 in it is broken" in errors


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("which, words", [("expired", "has expired at "), ("later", "is valid from 2099-01-01 00:00:00 UTC on only")])
def test_an_own_certificate_that_is_not_valid_now_is_a_warning(check, made, kind, which, words):
    own = getattr(made, which)
    status, errors = check(kind, f'certificate = "{own.certificate}"; key = "{own.key}";')
    assert status == 0 and f"handlers.hq: warning: certificate: {own.certificate}: {words}" in errors


@pytest.mark.parametrize("keys, cause", [("nkey", "must have one line"), ("credentials", "has no NKey seed")])
def test_what_is_no_seed_is_named(check, made, keys, cause):
    status, errors = check("nats", f'{keys} = "{made.nothing}";')
    assert status == 78 and f"handlers.hq: {made.nothing}: {cause}" in errors


@pytest.mark.parametrize("kind", SERVERS)
def test_a_name_without_credentials_is_named_with_what_passes_it_on(check, monkeypatch, tmp_path, kind):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    status, errors = check(kind, 'ca = "hq.pem";')
    assert status == 78 and "LoadCredential=hq.pem:FILE" in errors
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    status, errors = check(kind, 'ca = "hq.pem";')
    assert status == 78 and f"{tmp_path}/hq.pem: No such file or directory: give the service LoadCredential=hq.pem:FILE" in errors
