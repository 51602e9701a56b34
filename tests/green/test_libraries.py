"""Libraries that know nothing of green threads, in a patched process: hundreds of calls at once in one thread.

No clock shows it: nobody is answered before the server has seen all of them at the same time. A call that blocked the
thread would wait for ever.
"""

import subprocess
import sys
import textwrap

import pytest

from support.postgres import PostgresServer
from support.redis import RedisServer
from support.rendezvous import Rendezvous, ftp, http, smtp

MANY = 500
CONNECTIONS = 100  # to PostgreSQL: each is a process of its own
WAIT_S = 120.0

PRELUDE = """
from greenwire import green
green.patch()
import sys
NUMBER, PLACE = int(sys.argv[1]), sys.argv[2]

def at_once(call, number=NUMBER):
    with green.Timeout(60):
        return list(green.GreenPool(number).imap(call, range(number)))
"""


@pytest.fixture(autouse=True)
def hub():
    """Each program has its own."""


def run(program, number, place):
    """Run *program* under ``patch()``; what it asserts holds, and it writes nothing to stderr."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PRELUDE + textwrap.dedent(program), str(number), str(place)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


# --- HTTP, mail, files

HTTP = {
    "http.client": """
        import http.client
        def call(number):
            connection = http.client.HTTPConnection(PLACE)
            for _ in range(2):
                connection.request("GET", f"/{number}")
                answer = connection.getresponse().read().decode()
            connection.close()
            return answer
        """,
    "urllib.request": """
        import urllib.request
        def call(number):
            with urllib.request.urlopen(f"http://{PLACE}/{number}") as answer:
                return answer.read().decode()
        """,
    "urllib3": """
        import urllib3
        pool = urllib3.PoolManager(maxsize=NUMBER, block=True)
        def call(number):
            return pool.request("GET", f"http://{PLACE}/{number}").data.decode()
        """,
    "requests": """
        import requests
        session = requests.Session()
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=NUMBER, pool_block=True))
        session.trust_env = False
        def call(number):
            return session.get(f"http://{PLACE}/{number}").text
        """,
    "httpx": """
        import httpx
        client = httpx.Client(limits=httpx.Limits(max_connections=NUMBER), timeout=60, trust_env=False)
        def call(number):
            return client.get(f"http://{PLACE}/{number}").text
        """,
}


@pytest.mark.parametrize("library", HTTP)
def test_http_clients(library):
    program = HTTP[library] + "\n        assert at_once(call) == [f'/{number}' for number in range(NUMBER)]\n"
    with Rendezvous(MANY, http) as server:
        run(program, MANY, f"127.0.0.1:{server.port}")
        assert server.most == MANY


def test_a_pool_of_connections_is_waited_for():
    """More calls than connections: they take turns, and all are answered."""
    program = """
        import urllib3
        pool = urllib3.HTTPConnectionPool(PLACE, maxsize=10, block=True)
        answers = at_once(lambda number: pool.request("GET", f"/{number}").data.decode())
        assert answers == [f"/{number}" for number in range(NUMBER)]
        """
    with Rendezvous(10, http) as server:
        run(program, 200, f"127.0.0.1:{server.port}")
        assert server.most == 10


def test_smtplib():
    program = """
        import smtplib
        host, port = PLACE.split(":")
        def call(number):
            with smtplib.SMTP(host, int(port)) as mail:
                return mail.sendmail("a@example.org", ["b@example.org"], f"Subject: {number}\\n\\ntext")
        assert at_once(call) == [{}] * NUMBER
        """
    with Rendezvous(MANY, smtp) as server:
        run(program, MANY, f"127.0.0.1:{server.port}")
        assert server.most == MANY


def test_ftplib():
    program = """
        import ftplib
        host, port = PLACE.split(":")
        def call(number):
            got = []
            with ftplib.FTP() as ftp:
                ftp.connect(host, int(port))
                ftp.login()
                ftp.retrbinary(f"RETR {number}", got.append)
            return b"".join(got)
        assert at_once(call) == [b"%d" % number for number in range(NUMBER)]
        """
    with Rendezvous(200, ftp) as server:
        run(program, 200, f"127.0.0.1:{server.port}")
        assert server.most == 200


# --- Redis


@pytest.fixture(scope="module")
def redis_server():
    with RedisServer() as server:
        yield server


def test_redis_calls_that_wait(redis_server):
    """All of them are blocked in the server at once; only then it gets what they wait for."""
    program = """
        import redis
        one = redis.Redis.from_url(PLACE, max_connections=NUMBER + 1)
        calls = [green.spawn(one.blpop, "line", timeout=60) for _ in range(NUMBER)]
        with green.Timeout(60):
            while one.info("clients")["blocked_clients"] < NUMBER:
                green.sleep(0.01)
            one.rpush("line", *range(NUMBER))
            assert sorted(int(call.wait()[1]) for call in calls) == list(range(NUMBER))
        """
    run(program, MANY, redis_server.unix_url)


def test_redis_pipelines_and_channels(redis_server):
    program = """
        import redis
        one = redis.Redis.from_url(PLACE, decode_responses=True, max_connections=NUMBER + 1)
        def listen(number):
            with one.pubsub() as channel:
                channel.subscribe("news")
                return next(message["data"] for message in channel.listen() if message["type"] == "message")
        calls = [green.spawn(listen, number) for number in range(NUMBER)]
        with green.Timeout(60):
            while one.pubsub_numsub("news")[0][1] < NUMBER:
                green.sleep(0.01)
            one.publish("news", "all")
            assert [call.wait() for call in calls] == ["all"] * NUMBER
        def count(number):
            with one.pipeline() as pipe:
                return pipe.incr("counter").set(f"key-{number}", number).get(f"key-{number}").execute()[2]
        assert at_once(count) == [str(number) for number in range(NUMBER)]
        assert one.get("counter") == str(NUMBER)
        """
    run(program, 200, f"redis://127.0.0.1:{redis_server.port}/0")


# --- PostgreSQL: each call waits in the server for one lock, until all do

LOCKED = """
def meet(keeper, ask, number):
    # ``ask(number)`` waits for the lock; *keeper* runs a statement and gives the first value of its answer
    keeper("select pg_advisory_lock(1)")
    calls = [green.spawn(ask, one) for one in range(number)]
    with green.Timeout(60):
        while keeper("select count(*) from pg_locks where not granted and locktype = 'advisory'") < number:
            green.sleep(0.02)
        keeper("select pg_advisory_unlock(1)")
        assert [call.wait() for call in calls] == list(range(number))
ASK = "select %s from (select pg_advisory_lock_shared(1)) lock, pg_advisory_unlock_shared(1)"
"""


@pytest.fixture(scope="module")
def postgres():
    with PostgresServer(3 * CONNECTIONS) as server:  # those of the program before may not have ended yet
        yield server


def test_psycopg(postgres):
    program = """
        import psycopg
        def connect():
            return psycopg.connect(host=PLACE, user="postgres", autocommit=True)
        def ask(number):
            with connect() as connection:
                return connection.execute(ASK, [number], prepare=False).fetchone()[0]
        with connect() as one:
            meet(lambda text: one.execute(text).fetchone()[0], lambda number: int(ask(number)), NUMBER)
        """
    run(LOCKED + textwrap.dedent(program), CONNECTIONS, postgres.folder)


def test_pg8000(postgres):
    program = """
        import pg8000.dbapi
        def connect():
            connection = pg8000.dbapi.connect(user="postgres", unix_sock=f"{PLACE}/.s.PGSQL.5432")
            connection.autocommit = True
            return connection
        def ask(number):
            connection = connect()
            try:
                return first(connection, ASK, [number])
            finally:
                connection.close()
        def first(connection, text, args=()):
            cursor = connection.cursor()
            cursor.execute(text, args)
            return cursor.fetchone()[0]
        one = connect()
        meet(lambda text: first(one, text), lambda number: int(ask(number)), NUMBER)
        one.close()
        """
    run(LOCKED + textwrap.dedent(program), CONNECTIONS, postgres.folder)


@pytest.mark.parametrize("driver", ["psycopg", "pg8000"])
def test_sqlalchemy_and_its_pool(postgres, driver):
    """The whole pool waits in the server at once; then more green threads than it has connections take turns."""
    program = """
        import sqlalchemy as sa
        from sqlalchemy.orm import DeclarativeBase, Session, mapped_column
        url, arguments = {
            "psycopg": ("postgresql+psycopg://postgres@/postgres", {"host": PLACE}),
            "pg8000": ("postgresql+pg8000://postgres@/postgres", {"unix_sock": f"{PLACE}/.s.PGSQL.5432"}),
        }[DRIVER]
        engine = sa.create_engine(url, connect_args=arguments, pool_size=NUMBER, max_overflow=0, pool_timeout=60)
        alone = sa.create_engine(url, connect_args=arguments, isolation_level="AUTOCOMMIT")
        lock = sa.text(ASK.replace("%s", "cast(:number as int)"))
        def ask(number):
            with engine.connect() as connection:
                return connection.execute(lock, {"number": number}).scalar()
        with alone.connect() as one:
            meet(lambda text: one.execute(sa.text(text)).scalar(), ask, NUMBER)

        class Base(DeclarativeBase):
            pass
        class Bid(Base):
            __tablename__ = f"bid_{DRIVER}"
            id = mapped_column(sa.Integer, primary_key=True)
            price = mapped_column(sa.Integer)
        Base.metadata.create_all(engine)
        def bid(number):
            with Session(engine) as session:
                session.add(Bid(price=number))
                session.commit()
                return session.scalar(sa.select(sa.func.count()).select_from(Bid).where(Bid.price == number))
        assert at_once(bid, 500) == [1] * 500
        assert engine.pool.checkedout() == 0
        engine.dispose()
        """
    run(LOCKED + f"DRIVER = {driver!r}\n" + textwrap.dedent(program), 20, postgres.folder)
