"""The names that are looked for, and what is said about each."""

from __future__ import annotations

from typing import Final

#: What Flask had once, and what stands in its place.
REMOVED: Final = {
    "Markup": "from markupsafe import Markup",
    "escape": "from markupsafe import escape",
    "safe_join": "from werkzeug.utils import safe_join",
    "_request_ctx_stack": "use flask.request_ctx, g or has_request_context()",
    "_app_ctx_stack": "use flask.app_ctx, g or has_app_context()",
    "JSONEncoder": "write a class for app.json instead: flask.json.provider.DefaultJSONProvider",
    "JSONDecoder": "write a class for app.json instead: flask.json.provider.DefaultJSONProvider",
    "ext": "import the package itself: flask_login, not flask.ext.login",
}

#: The same for attributes of an application.
REMOVED_FROM_APP: Final = {
    "env": "use app.debug, or a key of your own in app.config",
    "json_encoder": "set app.json to a provider of your own",
    "json_decoder": "set app.json to a provider of your own",
    "session_cookie_name": "set app.config['SESSION_COOKIE_NAME']",
    "templates_auto_reload": "set app.config['TEMPLATES_AUTO_RELOAD']",
    "send_file_max_age_default": "set app.config['SEND_FILE_MAX_AGE_DEFAULT']",
    "use_x_sendfile": "set app.config['USE_X_SENDFILE']",
    "propagate_exceptions": "set app.config['PROPAGATE_EXCEPTIONS']",
    "got_first_request": "nothing takes its place",
    "before_first_request_funcs": "do it where the application is made",
}

#: And for what applications and blueprints register.
REMOVED_HOOKS: Final = {
    "before_first_request": "do it where the application is made, or in @app.before_serving",
    "before_app_first_request": "do it where the application is made, or in @app.before_serving",
}

#: Keys of the configuration that nothing reads any more.
REMOVED_KEYS: Final = {
    "JSON_AS_ASCII": "set app.json.ensure_ascii",
    "JSON_SORT_KEYS": "set app.json.sort_keys",
    "JSONIFY_MIMETYPE": "set app.json.mimetype",
    "JSONIFY_PRETTYPRINT_REGULAR": "set app.json.compact",
    "PRESERVE_CONTEXT_ON_EXCEPTION": "nothing takes its place",
}

#: What gives something to await in ``async def`` code, in both namespaces.
AWAITED: Final = frozenset(
    {
        "render_template",
        "render_template_string",
        "send_file",
        "send_from_directory",
        "stream_template",
        "stream_template_string",
    }
)

#: The same, but under the compatibility namespace it is a value that has been read already.
READ_BEFORE: Final = frozenset(
    {
        "request.data",
        "request.files",
        "request.form",
        "request.json",
        "request.values",
    }
)
READ_BEFORE_CALLS: Final = frozenset({"request.get_data", "request.get_json"})

_RUN_SYNC = "await current_app.run_sync(...)"

#: What blocks: a name, with all below it.
BLOCKING: Final = {
    "bcrypt.checkpw": _RUN_SYNC,
    "bcrypt.hashpw": _RUN_SYNC,
    "boto3": "aioboto3, or " + _RUN_SYNC,
    "celery.result.AsyncResult": _RUN_SYNC,
    "ftplib.FTP": _RUN_SYNC,
    "httpx.Client": "httpx.AsyncClient",
    "httpx.delete": "httpx.AsyncClient",
    "httpx.get": "httpx.AsyncClient",
    "httpx.patch": "httpx.AsyncClient",
    "httpx.post": "httpx.AsyncClient",
    "httpx.put": "httpx.AsyncClient",
    "httpx.request": "httpx.AsyncClient",
    "mysql.connector.connect": _RUN_SYNC,
    "MySQLdb.connect": _RUN_SYNC,
    "open": _RUN_SYNC,
    "os.system": "asyncio.create_subprocess_shell",
    "paramiko": _RUN_SYNC,
    "psycopg.connect": "psycopg.AsyncConnection",
    "psycopg2.connect": _RUN_SYNC,
    "pymongo.MongoClient": "pymongo.AsyncMongoClient",
    "pymysql.connect": _RUN_SYNC,
    "redis.Redis": "redis.asyncio",
    "redis.StrictRedis": "redis.asyncio",
    "redis.from_url": "redis.asyncio",
    "requests.Session": "httpx.AsyncClient",
    "requests.delete": "httpx.AsyncClient",
    "requests.get": "httpx.AsyncClient",
    "requests.head": "httpx.AsyncClient",
    "requests.options": "httpx.AsyncClient",
    "requests.patch": "httpx.AsyncClient",
    "requests.post": "httpx.AsyncClient",
    "requests.put": "httpx.AsyncClient",
    "requests.request": "httpx.AsyncClient",
    "smtplib.SMTP": _RUN_SYNC,
    "smtplib.SMTP_SSL": _RUN_SYNC,
    "socket.create_connection": "asyncio.open_connection",
    "sqlite3.connect": _RUN_SYNC,
    "subprocess.call": "asyncio.create_subprocess_exec",
    "subprocess.check_call": "asyncio.create_subprocess_exec",
    "subprocess.check_output": "asyncio.create_subprocess_exec",
    "subprocess.run": "asyncio.create_subprocess_exec",
    "time.sleep": "await asyncio.sleep(...)",
    "urllib.request.urlopen": "httpx.AsyncClient",
    "werkzeug.security.check_password_hash": _RUN_SYNC,
    "werkzeug.security.generate_password_hash": _RUN_SYNC,
}

#: Classes of extensions, and what of their instances blocks.
BLOCKING_INSTANCES: Final = {
    "flask_bcrypt.Bcrypt": {"check_password_hash", "generate_password_hash"},
    "flask_caching.Cache": {"clear", "delete", "get", "get_many", "set", "set_many"},
    "flask_mail.Mail": {"connect", "send", "send_message"},
    "flask_sqlalchemy.SQLAlchemy": {
        "create_all", "drop_all", "first_or_404", "get_or_404", "one_or_404", "paginate", "session",
    },
}  # fmt: skip
INSTANCE_ADVICE: Final = "leave the view 'def', or " + _RUN_SYNC
#: Methods of an ORM's session that ask the database nothing.
HARMLESS: Final = frozenset({"add", "add_all", "expunge", "expunge_all"})

#: Methods of a Celery task that talk to its broker.
BROKER: Final = frozenset({"apply_async", "delay"})
BROKER_ADVICE: Final = "it talks to the broker: " + _RUN_SYNC

#: What cannot go together with an event loop.
FAILS: Final = {
    "eventlet.monkey_patch": "greenlets do not go with an event loop: leave it out",
    "gevent.monkey.patch_all": "greenlets do not go with an event loop: leave it out",
    "nest_asyncio.apply": "it patches asyncio, and uvloop refuses it: leave it out",
}

_SERVE = "serve it with 'asyncflask run' or uvicorn"

#: WSGI servers that are started by the project's own code.
SERVERS: Final = {
    "cheroot.wsgi.Server": _SERVE,
    "eventlet.wsgi.server": _SERVE,
    "gevent.pywsgi.WSGIServer": _SERVE,
    "waitress.serve": _SERVE,
    "werkzeug.serving.run_simple": _SERVE,
    "wsgiref.simple_server.make_server": _SERVE,
}

#: What is not needed any more.
ADAPTERS: Final = {
    "a2wsgi.WSGIMiddleware": "the application is an ASGI application already",
    "asgiref.wsgi.WsgiToAsgi": "the application is an ASGI application already",
    "uvicorn.middleware.wsgi.WSGIMiddleware": "the application is an ASGI application already",
}

#: Options of ``app.run``.
RUN_OPTIONS: Final = {
    "passthrough_errors": "leave it out",
    "processes": "asyncflask run --workers N",
    "reloader_interval": "it has no effect",
    "reloader_type": "it has no effect",
    "request_handler": "leave it out",
    "static_files": "use static_folder",
    "threaded": "it has no effect: app.config['WORKER_THREADS'] is the number of threads",
    "use_debugger": "it has no effect: errors are shown as pages in debug mode",
    "use_evalex": "it has no effect: there is no console",
}

#: What registers something with an application or a blueprint, which ends when it starts.
SETUP: Final = frozenset(
    {
        "add_url_rule",
        "after_request",
        "before_request",
        "context_processor",
        "errorhandler",
        "register_blueprint",
        "register_error_handler",
        "teardown_appcontext",
        "teardown_request",
    }
)

#: Decorators that make a function a view.
ROUTES: Final = frozenset({"delete", "get", "patch", "post", "put", "route"})
#: The base classes whose methods, called like HTTP's, are views.
VIEW_CLASSES: Final = frozenset({"MethodView", "Resource"})

_ASGI = "uvicorn module:app, or gunicorn -k uvicorn_worker.UvicornWorker module:app"

#: Commands in server files: a pattern, the server, and what to do.
SERVER_COMMANDS: Final = (
    (
        r"\b(?:gevent|eventlet)\b",
        "workers of gevent or eventlet",
        f"they cannot be used, for they have no threads beside the event loop. {_ASGI}",
    ),
    (
        r"\bgunicorn\b(?!.*(?:uvicorn|asgi))",
        "gunicorn",
        f"it works as a WSGI server, without WebSockets. Better: {_ASGI}",
    ),
    (r"\buwsgi\b", "uWSGI", f"it works as a WSGI server, without WebSockets. Better: {_ASGI}"),
    (
        r"\bwaitress-serve\b",
        "waitress",
        f"it works as a WSGI server, without WebSockets. Better: {_ASGI}",
    ),
    (r"\bflask\b.*\brun\b", "flask run", "asyncflask --flask-extensions run"),
)
#: The files that start servers.
SERVER_FILES: Final = (
    "*.ini",
    "*.service",
    "*.sh",
    "Containerfile*",
    "Dockerfile*",
    "Makefile",
    "Procfile*",
    "app.y*ml",
    "compose*.y*ml",
    "docker-compose*.y*ml",
    "fly.toml",
    "gunicorn*.py",
    "render.y*ml",
)
