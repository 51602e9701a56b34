"""One table of settings: command line before environment before files before defaults; and what will not do."""

import re
import ssl
from pathlib import Path

import pytest

from greenwire.command.configuration import Configuration, misspelt, table
from greenwire.errors import ConfigurationError
from greenwire.limits import DEFAULT
from greenwire.run_options import CommandOptions, RunOptions
from greenwire.settings import limit_rows, rows_of


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configured(given=None, environ=None, config=None):
    return Configuration(given or {}, environ or {}, config)


# key, (command line, environment, file): text; what comes out of each
ROWS = [
    ("workers", ("3", "4", "5"), (3, 4, 5)),
    ("bind", (("127.0.0.1:1", "unix:/x"), "[::1]:2,:3", ["127.0.0.1:4"]), None),
    ("reload", (True, "no", True), (True, False, True)),
    ("umask", ("022", "027", 0o077), (0o022, 0o027, 0o077)),
    ("certfile", ("/a", "/b", "/c"), ("/a", "/b", "/c")),
    (
        "certs",
        (("/a:/b", "/c"), "/a:/b,/c", [["/a", "/b"], "/c"]),
        ([("/a", "/b"), ("/c", None)], [("/a", "/b"), ("/c", None)], [("/a", "/b"), ("/c", None)]),
    ),
    ("cert-reqs", ("required", "optional", "none"), (ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL, ssl.CERT_NONE)),
    ("log-level", ("DEBUG", "warning", "error"), ("debug", "warning", "error")),
    ("limit-threads", ("1", "2", 3), (1, 2, 3)),
    ("limit-drain-s", ("0.5", "2", 3.5), (0.5, 2.0, 3.5)),
]


@pytest.mark.parametrize(("key", "said", "meant"), ROWS, ids=[row[0] for row in ROWS])
def test_precedence(elsewhere, key, said, meant):
    command, environment, file = said
    if meant is None:
        meant = (["127.0.0.1:1", "unix:/x"], ["[::1]:2", ":3"], ["127.0.0.1:4"])
    row = next(row for row in table() if row.key == key)
    environ = {row.envs[0]: environment}
    name = key.removeprefix("limit-")
    text = f"{'[limits]' if key != name else ''}\n{name} = {_toml(file)}\n"
    (elsewhere / "file.toml").write_text(text)
    (elsewhere / "pyproject.toml").write_text(
        f"[tool.greenwire{'.limits' if key != name else ''}]\n{name} = {_toml(file)}\n"
    )
    found = configured({key: command}, environ, "file.toml").value_of(row)
    assert found == (meant[0], f"command line --{key}")
    found = configured({}, environ, "file.toml").value_of(row)
    assert found == (meant[1], f"environment {row.envs[0]}")
    found = configured({}, {}, "file.toml").value_of(row)
    assert (found.value, found.source.split()[0]) == (meant[2], "file.toml")
    found = configured().value_of(row)
    assert (found.value, found.source.split()[0]) == (meant[2], "pyproject.toml")
    (elsewhere / "pyproject.toml").unlink()
    assert configured().value_of(row) == (row.default, "default")


def _toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).replace("'", '"')


# key, as it is written, as it is found; the folder is that of the file, or where the command was started
PATHS = [
    ("keyfile", "key.pem", "{}/key.pem"),
    ("ca-certs", "../ca.pem", "{}/../ca.pem"),
    ("pid", "/run/pid", "/run/pid"),
    ("access-log-file", "access.log", "{}/access.log"),
    ("access-log-file", "-", "-"),
    ("chdir", "site", "{}/site"),
    ("certs", ["a.pem:b.pem", "/c.pem"], [("{}/a.pem", "{}/b.pem"), ("/c.pem", None)]),
    ("bind", ["unix:http.sock", "127.0.0.1:80"], ["unix:{}/http.sock", "127.0.0.1:80"]),
    ("bind", ["unix:/run/s", "fd://3"], ["unix:/run/s", "fd://3"]),
]


@pytest.mark.parametrize(("key", "said", "meant"), PATHS)
@pytest.mark.parametrize("source", ["command line", "environment", "--config", "pyproject.toml"])
def test_a_relative_path_is_relative_to_whoever_names_it(elsewhere, source, key, said, meant):
    (elsewhere / "inner").mkdir()
    given, environ, config = {"chdir": "inner"} if key != "chdir" else {}, {}, None
    folder = elsewhere
    if source == "command line":
        given[key] = said
    elif source == "environment":
        environ["GREENWIRE_" + key.replace("-", "_").upper()] = said if isinstance(said, str) else ",".join(said)
    elif source == "--config":
        folder, config = elsewhere / "etc", "etc/file.toml"
        folder.mkdir()
        (folder / "file.toml").write_text(f"{key} = {_toml(said)}\n")
    else:
        folder = elsewhere / "inner" if given else elsewhere
        (folder / "pyproject.toml").write_text(f"[tool.greenwire]\n{key} = {_toml(said)}\n")
    found = configured(given, environ, config).found[key].value
    assert found == _placed(meant, str(folder))


def _placed(meant, folder):
    if isinstance(meant, str):
        return meant.replace("{}", folder)
    return type(meant)(_placed(each, folder) for each in meant) if meant is not None else None


def test_the_names_of_other_servers():
    environ = {"WEB_CONCURRENCY": "7", "PORT": "8080"}
    options = configured({}, environ).options
    assert (options.workers, options.bind) == (7, ["0.0.0.0:8080"])
    environ |= {"GREENWIRE_WORKERS": "2", "GREENWIRE_BIND": "127.0.0.1:1"}
    options = configured({}, environ).options
    assert (options.workers, options.bind) == (2, ["127.0.0.1:1"])


def test_limits_by_either_name(elsewhere):
    assert configured({"limit-threads": "9"}).options.bounded(DEFAULT).threads == 9
    assert configured({}, {"GREENWIRE_GRACEFUL_TIMEOUT": "3"}).options.bounded(DEFAULT).graceful_s == 3
    (elsewhere / "c.toml").write_text("graceful-timeout = 4\n[limits]\nthreads = 8\n")
    bounds = configured(config="c.toml").options.bounded(DEFAULT)
    assert (bounds.graceful_s, bounds.threads) == (4, 8)
    options = RunOptions.take({"threads": 5, "graceful_timeout": 6}, host=None, port=None, server_name=None)
    assert (options.bounded(DEFAULT).threads, options.bounded(DEFAULT).graceful_s) == (5, 6)


def test_keywords_of_run():
    options = RunOptions.take(
        {"workers": 4, "bind": "127.0.0.1:1", "reload": False, "umask": "022", "max_requests": 5},
        host=None,
        port=None,
        server_name=None,
    )
    assert (options.workers, options.bind, options.use_reloader, options.umask) == (4, ["127.0.0.1:1"], False, 0o022)
    assert options.supervised


WRONG = [
    ({"workers": "0"}, {}, "command line --workers: '0' will not do; it takes a whole number, 1 or more, or 'auto'"),
    ({"workers": "x"}, {}, "command line --workers: 'x'"),
    ({}, {"WEB_CONCURRENCY": "-1"}, "environment WEB_CONCURRENCY: '-1'"),
    ({"umask": "9"}, {}, "command line --umask: '9' will not do; it takes an octal number"),
    ({}, {"GREENWIRE_RELOAD": "maybe"}, "environment GREENWIRE_RELOAD: 'maybe' will not do; it takes true or false"),
    ({"metrics": "9100"}, {}, "command line --metrics: '9100' will not do; it takes an address such as"),
    ({"health": "health"}, {}, "it takes a path that begins with /"),
    ({"log-level": "loud"}, {}, "it takes debug, info"),
    ({"cert-reqs": "perhaps"}, {}, "it takes none, optional or required"),
    ({"certs": (":key",)}, {}, "it takes pairs of certificate file and key file"),
    ({"limit-threads": "many"}, {}, "command line --limit-threads: 'many'"),
]


@pytest.mark.parametrize(("given", "environ", "message"), WRONG)
def test_what_will_not_do_is_named_with_its_place(given, environ, message):
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        configured(given, environ)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("worker = 2", "c.toml: there is no setting 'worker'; did you mean 'workers'?"),
        ("[limits]\nthread = 2", "c.toml: there is no setting 'thread'; did you mean 'threads'?"),
        ("limits = 3", "c.toml: [limits] takes a table"),
        ("workers = ", "it is no TOML"),
        ("workers = true", "c.toml workers: True will not do"),
    ],
)
def test_files_that_will_not_do(elsewhere, text, message):
    (elsewhere / "c.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        configured(config="c.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tool = 3", "pyproject.toml: [tool] takes a table"),
        ("[tool]\ngreenwire = 3", "pyproject.toml: [tool.greenwire] takes a table"),
        ("[tool.greenwire]\nlimits = 3", "pyproject.toml: [tool.greenwire.limits] takes a table"),
    ],
)
def test_a_project_file_that_will_not_do(elsewhere, text, message):
    (elsewhere / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        configured()


def test_a_file_that_is_not_there():
    with pytest.raises(ConfigurationError, match=re.escape("config no.toml: No such file or directory")):
        configured(config="no.toml")


def test_a_limit_that_will_not_do_is_its_own_error():
    with pytest.raises(ConfigurationError, match="limit threads=0"):
        configured({"limit-threads": "0"}).options.bounded(DEFAULT)
    with pytest.raises(ConfigurationError, match="there is no limit 'thread'; did you mean 'threads'"):
        RunOptions(limits={"thread": 3}).bounded(DEFAULT)


def test_names_in_the_environment_that_are_misspelt():
    environ = {"GREENWIRE_WORKER": "2", "GREENWIRE_WORKERS": "2", "GREENWIRE_SHOP_SECRET": "x", "OTHER": ""}
    assert list(misspelt(table(), environ)) == [("GREENWIRE_WORKER", "GREENWIRE_WORKERS")]


def test_every_row_has_a_help_and_every_limit_is_in_the_table():
    for row in rows_of(CommandOptions):
        assert row.help, row.key
    assert {row.name for row in limit_rows()} == set(DEFAULT.__slots__)
    assert all(row.help for row in limit_rows())


def test_no_key_twice():
    keys = [key for row in table() for key in row.keys]
    assert len(keys) == len(set(keys))
    names = [name for row in table() for name in row.envs]
    assert len(names) == len(set(names))


def test_a_supervisor_is_needed_or_not():
    assert not RunOptions().supervised
    assert RunOptions(workers=2).supervised
    assert RunOptions(max_requests=1).supervised
    assert RunOptions(supervisor=True).supervised
    assert CommandOptions(use_reloader=True).supervised
    with pytest.raises(ConfigurationError, match="without a supervisor there is one worker"):
        _ = RunOptions(workers=2, supervisor=False).supervised
