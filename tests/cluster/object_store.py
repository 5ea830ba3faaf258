"""A small object store on loopback that speaks as much of S3 as s3fs and Inspect ask for."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

BUCKET = "shelf"


class Handler(BaseHTTPRequestHandler):
    """One request; objects lie in the server's dictionary by key, with the time of their writing."""

    protocol_version = "HTTP/1.1"

    def parse_request(self):
        if not super().parse_request():
            return False
        split = urlsplit(self.path)
        bucket, _, self.key = unquote(split.path).lstrip("/").partition("/")
        self.asked = {name: values[0] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if bucket != BUCKET:
            self.answer(404, b"<Error><Code>NoSuchBucket</Code><Message>no such bucket</Message></Error>")
        return bucket == BUCKET

    def do_PUT(self):
        self.server.objects[self.key] = (self.body, time.time())
        self.answer(200, ETag=f'"{md5(self.body).hexdigest()}"')

    def do_POST(self):
        """Remove several."""
        for key in re.findall("<Key>(.*?)</Key>", self.body.decode()):
            self.server.objects.pop(unescape(key), None)
        self.answer(200, b"<DeleteResult></DeleteResult>")

    def do_GET(self):
        if "list-type" in self.asked:
            return self.listing()
        if self.key not in self.server.objects:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>")
        data, at = self.server.objects[self.key]
        about = {"ETag": f'"{md5(data).hexdigest()}"', "Last-Modified": formatdate(at, usegmt=True)}
        if not (span := self.headers.get("Range")):
            return self.answer(200, data, **about)
        start, end = span.removeprefix("bytes=").split("-")
        first = int(start) if start else len(data) - int(end)
        part = data[first : int(end) + 1 if start and end else None]
        about["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        return self.answer(206, part, **about)

    do_HEAD = do_GET

    def listing(self):
        prefix, delimiter = self.asked.get("prefix", ""), self.asked.get("delimiter") or "\0"
        found = {}
        for key, (data, at) in self.server.objects.items():
            if not key.startswith(prefix):
                continue
            child, folder, _ = key.removeprefix(prefix).partition(delimiter)
            when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at))
            about = f"<Size>{len(data)}</Size><LastModified>{when}</LastModified>"
            name, shown = escape(prefix + child + folder), "CommonPrefixes" if folder else "Contents"
            inside = f"<Prefix>{name}</Prefix>" if folder else f"<Key>{name}</Key>{about}"
            found[name] = f"<{shown}>{inside}</{shown}>"
        self.answer(200, f"<ListBucketResult>{''.join(found.values())}</ListBucketResult>".encode())

    def answer(self, code, body=b"", **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if self.command != "HEAD" else b"")

    def log_message(self, *_):
        """Says nothing."""


@contextmanager
def store():
    """Its objects, and the environment in which clients find it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.objects = True, {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    try:
        yield server.objects, keys | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
    finally:
        server.shutdown()
        server.server_close()
