"""Refuse answers that no working project can be made of: one line for each, nothing left behind."""

import json
import keyword
import os
import re
import subprocess
import sys

# Rules may be loosened later, never tightened: `cruft update` asks them of existing projects.
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
DIRECTORY = re.compile(r"[a-z_][a-z0-9_]*")
WINDOWS_DEVICE = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]")
# Several lines, or characters that YAML or TOML cannot hold.
UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
# What opens an expression of Jinja or neuro-flow, spelt so that it opens none here.
EXPRESSION = re.compile(r"[{][%#{]|[$]\[\[")

# Written down, not asked of the interpreter: the answer must not depend on who bakes.
STANDARD_LIBRARY = frozenset(
    """
    abc aifc annotationlib antigravity argparse array ast asynchat asyncio asyncore atexit
    audioop base64 bdb binascii binhex bisect builtins bz2 calendar cgi cgitb chunk cmath cmd
    code codecs codeop collections colorsys compileall compression concurrent configparser
    contextlib contextvars copy copyreg crypt csv ctypes curses dataclasses datetime dbm decimal
    difflib dis distutils doctest dummy_threading email encodings ensurepip enum errno
    faulthandler fcntl filecmp fileinput fnmatch formatter fractions ftplib functools gc
    genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html http
    idlelib imaplib imghdr imp importlib inspect io ipaddress itertools json keyword lib2to3
    linecache locale logging lzma mailbox mailcap marshal math mimetypes mmap modulefinder
    msilib msvcrt multiprocessing netrc nis nntplib nt ntpath nturl2path numbers opcode operator
    optparse os ossaudiodev parser pathlib pdb pickle pickletools pipes pkgutil platform
    plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc
    pydoc_data pyexpat queue quopri random re readline reprlib resource rlcompleter runpy sched
    secrets select selectors shelve shlex shutil signal site smtpd smtplib sndhdr socket
    socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat statistics string
    stringprep struct subprocess sunau symbol symtable sys sysconfig syslog tabnanny tarfile
    telnetlib tempfile termios test textwrap this threading time timeit tkinter token tokenize
    tomllib trace traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest
    urllib uu uuid venv warnings wave weakref webbrowser winreg winsound wsgiref xdrlib xml
    xmlrpc zipapp zipfile zipimport zlib zoneinfo
    __future__ __init__ __main__ __pycache__ _abc _aix_support _android_support _apple_support
    _ast _ast_unparse _asyncio _bisect _blake2 _bootlocale _bootsubprocess _bz2 _codecs
    _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _collections
    _collections_abc _colorize _compat_pickle _compression _contextvars _crypt _csv _ctypes
    _ctypes_test _curses _curses_panel _datetime _dbm _decimal _dummy_thread _elementtree
    _frozen_importlib _frozen_importlib_external _functools _gdbm _hashlib _heapq _hmac _imp
    _interpchannels _interpqueues _interpreters _io _ios_support _json _locale _lsprof _lzma
    _markupbase _md5 _msi _multibytecodec _multiprocessing _opcode _opcode_metadata _operator
    _osx_support _overlapped _peg_parser _pickle _posixshmem _posixsubprocess _py_abc
    _py_warnings _pydatetime _pydecimal _pyio _pylong _pyrepl _queue _random _remote_debugging
    _scproxy _sha1 _sha2 _sha256 _sha3 _sha512 _signal _sitebuiltins _socket _sqlite3 _sre _ssl
    _stat _statistics _string _strptime _struct _suggestions _symtable _sysconfig _thread
    _threading_local _tkinter _tokenize _tracemalloc _types _typing _uuid _warnings _weakref
    _weakrefset _winapi _wmi _zoneinfo _zstd
    """.split()
)
DEPENDENCIES = frozenset(
    """
    _distutils_hack _pytest _yaml alembic annotated_types anyio ast_serialize certifi
    charset_normalizer click cloudpickle colorlog coreweave_evaluations distro filelock fsspec
    functorch git gitdb google greenlet h11 httpcore httpx idna iniconfig isympy jinja2 joblib librt
    mako markdown_it markupsafe mdurl mpmath mypy mypy_extensions mypyc narwhals networkx numpy
    nvidia opentelemetry optuna packaging pathspec pip pkg_resources platformdirs pluggy py pydantic
    pydantic_core pygments pynvml pytest requests rich ruff scipy sentry_sdk setuptools
    sitecustomize sklearn smmap sniffio sqlalchemy sympy threadpoolctl torch torchgen tqdm triton
    typing_extensions typing_inspection urllib3 usercustomize wandb xxhash yaml
    """.split()
)
OWN = frozenset("build config data dist env hypertrain model results tests train wandb".split())

# Removes what stands around the first folder, from the inside out, as soon as that is gone.
REMOVE = """
import os, sys, time
folder, *around = sys.argv[1:]
end = time.monotonic() + 5
while os.path.exists(folder) and time.monotonic() < end:
    time.sleep(0.002)
for outer in around:
    os.rmdir(outer)
"""


def name_problem(name: str) -> str:
    if not name.strip() or len(name) > 100 or UNWRITABLE.search(name):
        return "use 1 to 100 characters on one line, without control characters"
    if EXPRESSION.search(name):
        return "leave out a brace before another brace, % or #, and $ before [[: they are evaluated"
    return ""


def slug_problem(slug: str) -> str:
    if not SLUG.fullmatch(slug) or not 2 <= len(slug) <= 28:
        return (
            "use 2 to 28 small Latin letters, digits and single hyphens between them, "
            "a letter first, such as my-project"
        )
    if WINDOWS_DEVICE.fullmatch(slug):
        return "this name is a device on Windows, use another"
    return ""


def directory_problem(name: str) -> str:
    if not DIRECTORY.fullmatch(name) or len(name) > 40:
        return (
            "use 1 to 40 small Latin letters, digits and underscores, "
            "a letter or underscore first, such as modules"
        )
    taken = (
        ("a Python keyword", keyword.iskeyword(name)),
        ("a device on Windows", WINDOWS_DEVICE.fullmatch(name)),
        ("a module of Python itself", name in STANDARD_LIBRARY),
        ("a module that the project imports", name in DEPENDENCIES),
        ("a name that the project itself uses", name in OWN),
    )
    return next((f"this is {what}, use another, such as modules" for what, yes in taken if yes), "")


CHECKS = (
    ("project_name", name_problem),
    ("project_slug", slug_problem),
    ("code_directory", directory_problem),
)


def problems(answers: "dict[str, object]") -> "list[str]":
    found = []
    for key, check in CHECKS:
        answer = str(answers[key])
        problem = check(answer)
        if problem:
            shown = ascii(answer)
            found.append(f"{key} {shown[:60]}{'...' * (len(shown) > 60)}: {problem}")
    return found


def leave_nothing(slug: str, folder: str) -> None:
    """See to it that the folders go which a slash in the slug has made around `folder`.

    cookiecutter removes `folder` itself, but only when this hook has failed; hence a process that
    outlives it by a moment. Folders that hold anything stay.
    """
    parts = os.path.normpath(slug).split(os.sep)
    if len(parts) > 1 and parts[0] not in ("", os.pardir) and not os.path.isabs(slug):
        around = [folder]
        for _ in parts:
            around.append(os.path.dirname(around[-1]))
        command = [sys.executable, "-c", REMOVE, *around[: len(parts)]]
        nothing = subprocess.DEVNULL
        subprocess.Popen(command, cwd=around[-1], stdin=nothing, stdout=nothing, stderr=nothing)


if __name__ == "__main__":
    # An answer stays data whatever it holds: `tojson` escapes single quotes, a raw string the rest.
    answers = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip
    refused = problems(answers)
    if refused:
        leave_nothing(answers["project_slug"], os.getcwd())
    sys.exit("\n".join(refused) or 0)
