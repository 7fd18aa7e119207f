"""A Hugging Face Hub on this machine: what huggingface_hub asks of the real one, and its failures.

It answers what the library needs for fetching: which files a repository has at a revision, where
each lies and what its hash is, and the files, large ones from another host, as from the real Hub's
storage. Everything asked is written down in `requests`.
"""

import hashlib
import json
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

LARGE = (".safetensors", ".bin", ".h5", ".msgpack", ".onnx")  # stored apart, by their sha256
STORAGE = "/storage/"


@dataclass
class Repository:
    """The files of every commit, and the branches and tags; who may read them.

    readers: the tokens that may, None for all. gated: who asks without one of them learns which
    files there are, but gets none.
    """

    commits: dict = field(default_factory=dict)  # commit -> {name of a file: its bytes}
    refs: dict = field(default_factory=dict)  # branch or tag -> commit
    readers: frozenset | None = None
    gated: bool = False


class LoopbackHub:
    """Repositories by their names, served while the block of a `with` runs.

    moved: old name of a repository -> new one. cuts: name of a file -> how often its connection is
    cut in the middle. damaged: files that are served with another byte. status: what every request
    is answered with instead, such as 500.
    """

    def __init__(self):
        self.repositories = {}
        self.moved = {}
        self.cuts = Counter()
        self.damaged = set()
        self.status = None
        self.requests = []

    def add(self, name, files, revision="main", **rights):
        """Add a commit of files, {name: bytes} or a directory, and let a branch stand for it."""
        if not isinstance(files, dict):
            root = Path(files)
            files = {
                path.relative_to(root).as_posix(): path.read_bytes()
                for path in root.rglob("*")
                if path.is_file()
            }
        repository = self.repositories.setdefault(name, Repository(**rights))
        digest = hashlib.sha1()
        for file in sorted(files):
            digest.update(file.encode() + b"\0" + files[file])
        commit = digest.hexdigest()
        repository.commits[commit] = files
        repository.refs[revision] = commit
        return commit

    def fetched(self):
        """Return the names of the files that were sent, whole or in part, in order."""
        return [name for method, name in self.requests if method == "GET" and name[:1] != "/"]

    def __enter__(self):
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LoopbackHub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.respond()

    def do_GET(self):
        self.respond()

    def respond(self):
        path = unquote(urlsplit(self.path).path)
        if self.hub.status is not None:
            self.hub.requests.append((self.command, path))
            self.send(self.hub.status)
        elif path.startswith(STORAGE):
            self.send_stored(path.removeprefix(STORAGE))
        elif "/tree/" in path:  # transformers looks for a folder that no BERT has
            self.send(404, **{"X-Error-Code": "EntryNotFound"})
        elif path.startswith("/api/models/"):
            self.hub.requests.append((self.command, path))
            name, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            self.send_listing(name, revision or "main")
        elif match := re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path):
            self.send_file(*match.groups())
        else:
            self.send(404, b"no such page")

    def repository(self, name, prefix, rest):
        """Return a repository that may be read, or answer why it may not."""
        if name in self.hub.moved:
            self.send(307, Location=quote(f"{prefix}{self.hub.moved[name]}{rest}"))
            return None
        found = self.hub.repositories.get(name)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        may_read = found is not None and (found.readers is None or token in found.readers)
        if found is None or not (may_read or found.gated):
            # Nobody learns whether a private repository exists.
            self.send(404 if token else 401, **{"X-Error-Code": "RepoNotFound"})
            return None
        if not may_read and prefix == "/":  # a file of a gated one
            self.send(403 if token else 401, **{"X-Error-Code": "GatedRepo"})
            return None
        return found

    def commit(self, repository, revision):
        commit = repository.refs.get(revision, revision)
        if commit not in repository.commits:
            self.send(404, **{"X-Error-Code": "RevisionNotFound"})
            return None
        return commit

    def send_listing(self, name, revision):
        rest = f"/revision/{revision}"
        repository = self.repository(name, "/api/models/", rest)
        commit = repository and self.commit(repository, revision)
        if not commit:
            return
        with_blobs = "blobs" in parse_qs(urlsplit(self.path).query)
        siblings = []
        for file, content in repository.commits[commit].items():
            siblings.append({"rfilename": file})
            if with_blobs:
                siblings[-1] |= {"size": len(content), "blobId": git_hash(content)}
                if file.endswith(LARGE):
                    sha256 = hashlib.sha256(content).hexdigest()
                    siblings[-1]["lfs"] = {
                        "sha256": sha256,
                        "size": len(content),
                        "pointerSize": 100,
                    }
        values = {"id": name, "modelId": name, "sha": commit, "siblings": siblings, "tags": []}
        self.send(200, json.dumps(values).encode(), **{"Content-Type": "application/json"})

    def send_file(self, name, revision, file):
        repository = self.repository(name, "/", f"/resolve/{revision}/{file}")
        commit = repository and self.commit(repository, revision)
        if not commit:
            return
        about = {"X-Repo-Commit": commit}
        content = repository.commits[commit].get(file)
        if content is None:
            self.send(404, **about, **{"X-Error-Code": "EntryNotFound"})
        elif file.endswith(LARGE):
            sha256 = hashlib.sha256(content).hexdigest()
            self.hub.requests.append((self.command, f"/to-storage/{file}"))
            # Another host, to which no token may be sent.
            place = f"http://localhost:{self.hub.port}{STORAGE}{name}/{commit}/{quote(file)}"
            self.send(
                302,
                Location=place,
                **about,
                **{"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))},
            )
        else:
            self.send_content(file, content, ETag=f'"{git_hash(content)}"', **about)

    def send_stored(self, path):
        assert "Authorization" not in self.headers, "a token was sent to another host"
        for name, repository in self.hub.repositories.items():
            for commit, files in repository.commits.items():
                for file, content in files.items():
                    if path == f"{name}/{commit}/{file}":
                        return self.send_content(file, content)
        return self.send(404)

    def send_content(self, file, content, **headers):
        self.hub.requests.append((self.command, file))
        if file in self.hub.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        status = 200
        if start:
            place = int(start[1])
            headers["Content-Range"] = f"bytes {place}-{len(content) - 1}/{len(content)}"
            content, status = content[place:], 206
        cut = self.command == "GET" and self.hub.cuts[file] > 0
        self.hub.cuts[file] -= cut
        self.send(status, content, length=len(content) // 2 if cut else None, **headers)

    def send(self, status, content=b"", length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:length])
        if length is not None:
            self.close_connection = True


def git_hash(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
