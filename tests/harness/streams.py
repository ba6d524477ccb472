"""Reading messages from a stream socket with a timeout, after which nothing of a message that has come in part is lost."""


class Stream:
    """Within "with stream:" one message is read: when that fails, it is read from its start the next time."""

    def __init__(self, sock):
        self.socket, self.buffer, self.at = sock, b"", 0

    def __enter__(self):
        self.start = self.at
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.at = self.start

    def more(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the peer closed the connection")
        self.buffer = self.buffer[self.start:] + data
        self.at -= self.start
        self.start = 0

    def read(self, count):
        while len(self.buffer) - self.at < count:
            self.more()
        self.at += count
        return self.buffer[self.at - count:self.at]

    def readline(self):
        """Without its end, which is CR LF."""
        while (end := self.buffer.find(b"\r\n", self.at)) < 0:
            self.more()
        line = self.buffer[self.at:end]
        self.at = end + 2
        return line
