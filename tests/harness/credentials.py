"""What programs show each other: certificates, NKeys and tokens of NATS. Made by openssl, in a directory of the test."""

import base64
import json
import os
import subprocess
import time
from types import SimpleNamespace

DER_KEY = 32  # bytes of an Ed25519 key, at the end of its DER
SEED, USER, ACCOUNT, OPERATOR = 18 << 3, 20 << 3, 0, 14 << 3  # the first letters of NKeys: S, U, A, O


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options).stdout


class Authority:
    """A CA, and what it has signed: NAME.pem and NAME.key."""

    def __init__(self, directory, name="ca"):
        self.directory, self.name = str(directory), name
        os.makedirs(self.directory, exist_ok=True)
        openssl("req", "-x509", "-newkey", "ed25519", "-noenc", "-keyout", self.path(name, "key"), "-out", self.path(name, "pem"),
                "-subj", f"/CN={name}", "-days", "30", "-addext", "keyUsage=critical,keyCertSign")
        self.ca = self.path(name, "pem")

    def path(self, name, suffix):
        return os.path.join(self.directory, f"{name}.{suffix}")

    def sign(self, name, *addresses, more=""):
        """A certificate with this common name, for these addresses and DNS names too, with more lines of extensions. Returns
        .certificate, .key and .ca."""
        names = ",".join(f"{'DNS' if address.strip('0123456789.') else 'IP'}:{address}" for address in (name, *addresses))
        request, extensions = self.path(name, "csr"), self.path(name, "ext")
        openssl("req", "-new", "-newkey", "ed25519", "-noenc", "-keyout", self.path(name, "key"), "-out", request,
                "-subj", f"/CN={name}")
        with open(extensions, "w") as file:
            file.write(f"subjectAltName={names}\n{more}")
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.path(self.name, "key"), "-CAcreateserial",
                "-days", "30", "-extfile", extensions, "-out", self.path(name, "pem"))
        return SimpleNamespace(certificate=self.path(name, "pem"), key=self.path(name, "key"), ca=self.ca)

    def sign_expired(self, name, *addresses):
        return self.sign_between("20000101000000Z", "20000201000000Z", name, *addresses)

    def sign_for_later(self, name, *addresses):
        """A certificate that is not valid yet."""
        return self.sign_between("20990101000000Z", "20990201000000Z", name, *addresses)

    def sign_between(self, begin, end, name, *addresses):
        """A certificate that is valid between these times."""
        made = self.sign(name, *addresses)
        with open(self.path("between", "cnf"), "w") as file:
            file.write("[ca]\ndefault_ca=here\n[here]\ndatabase=between.txt\nnew_certs_dir=.\ndefault_md=default\npolicy=any\nrand_serial=yes\n"
                       "unique_subject=no\n[any]\ncommonName=supplied\n")
        open(self.path("between", "txt"), "w").close()
        openssl("ca", "-batch", "-config", "between.cnf", "-cert", self.ca, "-keyfile", self.path(self.name, "key"), "-notext",
                "-in", self.path(name, "csr"), "-extfile", self.path(name, "ext"), "-out", made.certificate,
                "-startdate", begin, "-enddate", end, cwd=self.directory)
        return made


def crc16(data):
    """CRC-16/XMODEM."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc


def nkey_encode(*parts):
    data = b"".join(parts)
    return base64.b32encode(data + crc16(data).to_bytes(2, "little")).decode().rstrip("=")


def url64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class NKey:
    """An Ed25519 key as NATS writes it: .public to show, .seed_file with the secret."""

    def __init__(self, directory, name, kind=USER):
        os.makedirs(directory, exist_ok=True)
        self.pem, self.seed_file = os.path.join(directory, f"{name}.nk.pem"), os.path.join(directory, f"{name}.seed")
        self.directory = str(directory)
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.pem)
        public = openssl("pkey", "-in", self.pem, "-pubout", "-outform", "DER")[-DER_KEY:]
        secret = openssl("pkey", "-in", self.pem, "-outform", "DER")[-DER_KEY:]
        self.public = nkey_encode(bytes([kind]), public)
        self.seed = nkey_encode(bytes([SEED | kind >> 5, kind << 3 & 0xff]), secret)
        with open(self.seed_file, "w", opener=private) as file:
            file.write(f"{self.seed}\n")

    def sign(self, data):
        path = os.path.join(self.directory, "to-sign")
        with open(path, "wb") as file:
            file.write(data)
        return openssl("pkeyutl", "-sign", "-inkey", self.pem, "-rawin", "-in", path)

    def token(self, subject, name, kind, **claims):
        """A token (JWT) of NATS that this key signs for the subject."""
        head = url64(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
        body = {"jti": name, "iat": int(time.time()), "iss": self.public, "name": name, "sub": subject.public,
                "nats": {"type": kind, "version": 2, **claims}}
        text = f"{head}.{url64(json.dumps(body).encode())}"
        return f"{text}.{url64(self.sign(text.encode()))}"


def private(path, flags):
    return os.open(path, flags, 0o600)


NO_LIMITS = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1,
             "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}


class Operator:
    """A NATS operator with one account: .server is the configuration for the server, user() makes files with credentials."""

    def __init__(self, directory):
        self.directory = str(directory)
        self.operator = NKey(directory, "operator", OPERATOR)
        self.account = NKey(directory, "account", ACCOUNT)
        system = NKey(directory, "system", ACCOUNT)  # JetStream does not start without
        accounts = {self.account.public: self.operator.token(self.account, "sites", "account", limits=NO_LIMITS),
                    system.public: self.operator.token(system, "system", "account", limits={**NO_LIMITS, "disk_storage": 0,
                                                                                            "mem_storage": 0})}
        preload = ", ".join(f'{public}: "{token}"' for public, token in accounts.items())
        self.server = (f'operator: "{self.operator.token(self.operator, "hq", "operator")}"\n'
                       f'system_account: {system.public}\nresolver: MEMORY\nresolver_preload: {{ {preload} }}\n')

    def user(self, name, **permissions):
        """Permissions as in a token: pub={"allow": [...]}, sub={...}. Returns .path, the file, and what is in it: .token
        and .key."""
        user = NKey(self.directory, name)
        token = self.account.token(user, name, "user", subs=-1, data=-1, payload=-1, **permissions)
        path = os.path.join(self.directory, f"{name}.creds")
        with open(path, "w", opener=private) as file:
            file.write(f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
                       f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n")
        return SimpleNamespace(path=path, token=token, key=user)
