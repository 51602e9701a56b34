"""nginx and HAProxy in front of a server, each a process of the test's own on a port that the test has opened."""

import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from getpass import getuser
from pathlib import Path
from types import TracebackType

import pytest

from .waiting import TIMEOUT_S

_NGINX = """
daemon off;
worker_processes 1;
user {user};
error_log stderr notice;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream app {{ server {upstream}; keepalive 8; }}
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-Port "";
      proxy_set_header Forwarded "";
    }}
  }}
}}
"""
_HAPROXY = """
global
  maxconn 200
defaults
  mode {mode}
  timeout connect 10s
  timeout client 30s
  timeout server 30s
frontend in
  bind fd@{descriptor}
  default_backend app
backend app
  server app {upstream} {options}
"""


def needed(command: str) -> str:
    """The path of *command*. Skips the test where there is none, but not in CI."""
    found = shutil.which(command) or shutil.which(command, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        assert not os.environ.get("CI"), f"the {command} command is missing"
        pytest.skip(f"the {command} command is missing")
    return found


class _Front:
    """A process that is given a listening socket, so that its port is sure to be free and open."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def _run(self, command: Sequence[str], **environment: str) -> None:
        self._process = subprocess.Popen(
            command,
            env=os.environ | environment,
            pass_fds=[self._listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(TIMEOUT_S)


class Nginx(_Front):
    """``with Nginx(folder, "127.0.0.1:5000") as front:``; *upstream* may be ``unix:/path``, too."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self._command = needed("nginx")
        super().__init__()
        self._file = folder / "nginx.conf"
        self._file.write_text(_NGINX.format(user=getuser(), folder=folder, upstream=upstream, port=self.port))

    def __enter__(self) -> "Nginx":
        self._run([self._command, "-c", str(self._file), "-e", "stderr"], NGINX=f"{self._listening.fileno()};")
        return self


class HAProxy(_Front):
    """*options* are those of its line ``server``, as ``send-proxy-v2``; *mode* is ``http`` or ``tcp``."""

    def __init__(self, folder: Path, upstream: str, options: str, mode: str = "http") -> None:
        self._command = needed("haproxy")
        super().__init__()
        self._file = folder / "haproxy.cfg"
        self._file.write_text(
            _HAPROXY.format(mode=mode, upstream=upstream, options=options, descriptor=self._listening.fileno())
        )

    def __enter__(self) -> "HAProxy":
        self._run([self._command, "-db", "-f", str(self._file)])
        return self
