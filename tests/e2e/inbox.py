"""A webhook in a container: it keeps the bodies that are posted, and returns them as one JSON array."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Inbox(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    received: list[object] = []  # noqa: RUF012  (shared by all requests)

    def do_POST(self) -> None:
        self.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(json.dumps(self.received).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 8000), Inbox).serve_forever()
