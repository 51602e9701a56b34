"""docs/migrate.md, "From eventlet, name by name": each name of ours exists, and each public one of eventlet is told."""

import importlib
import inspect
import re
from pathlib import Path

from greenwire import wsgi

DOCS = Path(__file__).parents[2] / "docs"
TABLE = (DOCS / "migrate.md").read_text().partition("## 7. From eventlet, name by name")[2]
ROWS = re.findall(r"^\| (`.+?) \| (.+?) \| (.*)\|$", TABLE, re.MULTILINE)
OURS = sorted({name for _, ours, _ in ROWS for name in re.findall(r"`([\w.]+)`", ours)})
THEIRS = {name for theirs, _, _ in ROWS for name in re.findall(r"`([\w.]+)`", theirs)}

# What ``eventlet`` 0.41 exports by itself, and the modules that people import.
EXPORTED = """
    connect listen serve StopServe wrap_ssl Event GreenPool GreenPile sleep spawn spawn_n spawn_after kill
    import_patched monkey_patch Queue Semaphore CappedSemaphore BoundedSemaphore Timeout with_timeout wrap_is_timeout
    is_timeout getcurrent TimeoutError exc_after call_after_global
""".split()
MODULES = "wsgi websocket green tpool queue event patcher hubs debug backdoor corolocal pools db_pool dagpool".split()

# eventlet.wsgi.server, in its order; only the one default differs.
PARAMETERS = {
    "log": None,
    "environ": None,
    "max_size": None,
    "max_http_version": "HTTP/1.1",
    "protocol": None,
    "server_event": None,
    "minimum_chunk_size": None,
    "log_x_forwarded_for": True,
    "custom_pool": None,
    "keepalive": True,
    "log_output": True,
    "log_format": '%(client_ip)s - - [%(date_time)s] "%(request_line)s" %(status_code)s %(body_length)s'
    " %(wall_seconds).6f",
    "url_length_limit": 8192,
    "debug": False,
    "socket_timeout": None,
    "capitalize_response_headers": True,
}


def found(name):
    """The module or the attribute of a module that *name* means."""
    if not name.startswith("greenwire."):
        name = f"greenwire.{name}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)


def test_each_name_of_ours_exists():
    assert len(ROWS) > 30
    assert len(OURS) > 35
    for name in OURS:
        assert found(name) is not None


def test_each_name_of_eventlet_is_told():
    assert [name for name in EXPORTED if name not in THEIRS] == []
    modules = {name.partition(".")[0] for name in THEIRS}
    assert [module for module in MODULES if module not in modules] == []


def test_names_in_the_remarks_exist():
    remarks = [name for _, _, remark in ROWS for name in re.findall(r"`((?:green|wsgi|greenwire)\.[\w.]+)", remark)]
    assert remarks
    for name in remarks:
        assert found(name) is not None


def test_the_parameters_of_the_server():
    parameters = inspect.signature(wsgi.server).parameters
    assert list(parameters) == ["sock", "site", *PARAMETERS, "limits"]
    assert {name: parameters[name].default for name in PARAMETERS} == PARAMETERS
    page = (DOCS / "green.md").read_text().partition("## A WSGI server in one call")[2]
    assert [name for name in parameters if f"| `{name}` |" not in page] == ["sock", "site"]
