"""Look whether the W&B key is ready for the platform and say what to type next.

Looks, never acts: no network, no CLI call, nothing written, the key itself never shown. Whatever
goes wrong in here, the project stands; and stdout stays clean, `cruft diff` would pass it on.
"""

import os
import re
import stat
from collections import namedtuple
from shutil import which

# What wandb 0.31 accepts: a JWT, or 40 and more characters, after the first dash if there is one.
KEY = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+|\w{40,}|[^-]*-[\w-]{40,}")
MACHINE = re.compile(r"[\w.:-]+", re.ASCII)
WANDB_MACHINE = re.compile(r"wandb|coreweave")

# FILE and ENTRY stand for State.file and State.netrc: cookiecutter would render braces.
KEY_STATES = {
    "ready": "FILE looks right",
    "missing": "there is no FILE",
    "folder": "FILE is not a file",
    "unreadable": "FILE cannot be read",
    "empty": "FILE is empty",
    "misshapen": "FILE holds no W&B key (40 or more letters and digits)",
    "open": "others can read FILE",
    "environment": "WANDB_API_KEY is set, but there is no FILE",
    "netrc": "wandb is logged in here, but there is no FILE",
}

# What makes the key ready, where it is not just to be written into FILE.
READ_NETRC = "'import netrc, sys; print(netrc.netrc(sys.argv[1]).hosts[sys.argv[2]][2])'"
# Nobody else can read the file at any time: `chmod` afterwards would leave a moment.
SH_WRITE = "(umask 077; printf %s 'YOUR_WANDB_KEY' > FILE)"
SH = {
    "folder": f"mv FILE FILE.old && {SH_WRITE}",
    "empty": f"rm FILE && {SH_WRITE}",
    "misshapen": f"rm FILE && {SH_WRITE}",
    "unreadable": "chmod 600 FILE",
    "open": "chmod 600 FILE",
    "environment": '(umask 077; printf %s "$WANDB_API_KEY" > FILE)',
    "netrc": f'(umask 077; printf %s "$(python3 -c {READ_NETRC} ENTRY)" > FILE)',
}
POWERSHELL_WRITE = "Set-Content -NoNewline FILE 'YOUR_WANDB_KEY'"
POWERSHELL = {
    "folder": f"Rename-Item FILE wandb-token.old; {POWERSHELL_WRITE}",
    "unreadable": 'icacls FILE /grant "$($env:USERNAME):R"',
    "environment": "Set-Content -NoNewline FILE $WANDB_API_KEY",
    "netrc": f"Set-Content -NoNewline FILE (python -c {READ_NETRC} ENTRY)",
}


# cli: "neuro", "apolo" or "" if neither is on PATH; file: where the key belongs, as sh takes it;
# key: one of KEY_STATES; netrc: file and machine of a key that wandb itself keeps, likewise.
State = namedtuple("State", "cli logged_in file key netrc")


def secret_state(home: str, environ: "dict[str, str]") -> State:
    path = environ.get("PATH", "")
    name = environ.get("WANDB_SECRET_FILE", "")
    if not name:
        file = "~/wandb-token.txt"
    elif os.path.isabs(name):
        file = '"$WANDB_SECRET_FILE"'
    else:
        file = '"$HOME/$WANDB_SECRET_FILE"'
    key = key_state(os.path.join(home, name or "wandb-token.txt"))
    netrc = netrc_entry(home, environ)
    if key == "missing" and KEY.fullmatch(environ.get("WANDB_API_KEY", "")):
        key = "environment"
    elif key == "missing" and netrc:
        key = "netrc"
    return State(
        cli=next((cli for cli in ("neuro", "apolo") if which(cli, path=path)), ""),
        logged_in=logged_in(home, environ),
        file=file,
        key=key,
        netrc=netrc,
    )


def key_state(path: str) -> str:
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            return "folder"
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            text = file.read(10_000)
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "unreadable"
    key = text.strip()
    if not key:
        return "empty"
    if not KEY.fullmatch(key):
        return "misshapen"
    return "open" if os.name == "posix" and mode & 0o077 else "ready"


def logged_in(home: str, environ: "dict[str, str]") -> bool:
    """The CLI keeps its login in a file `db`; to open it would be to read a token."""
    folders = (
        environ.get("APOLO_CONFIG") or os.path.join(home, ".apolo"),
        environ.get("NEUROMATION_CONFIG") or os.path.join(home, ".neuro"),
    )
    return any(os.path.exists(os.path.join(folder, "db")) for folder in folders)


def netrc_entry(home: str, environ: "dict[str, str]") -> str:
    if environ.get("NETRC"):
        shown, path = '"$NETRC"', environ["NETRC"]
    else:
        names = (name for name in (".netrc", "_netrc") if os.path.exists(os.path.join(home, name)))
        name = next(names, ".netrc")
        shown, path = f'"$HOME/{name}"', os.path.join(home, name)
    if not os.path.isfile(path):
        return ""
    from netrc import netrc  # seldom needed, and every import delays the bake

    try:
        machines = netrc(path).hosts
    except Exception:  # not ours to complain about: wandb does
        return ""
    server = environ.get("WANDB_BASE_URL", "").partition("//")[2].partition("/")[0]
    for machine, (_, _, key) in machines.items():
        meant = machine == server if server else WANDB_MACHINE.search(machine)
        if meant and MACHINE.fullmatch(machine) and KEY.fullmatch(key or ""):
            return f"{shown} {machine}"
    return ""


def advice(state: State, slug: str, powershell: bool) -> "list[str]":
    cli = state.cli or "neuro"
    flow = "apolo-flow" if cli == "apolo" else "neuro-flow"
    then = "; " if powershell else " && "

    venv = "python -m venv .venv; .venv/Scripts/Activate.ps1"
    if not powershell:
        venv = "python3 -m venv .venv && . .venv/bin/activate"
    sweep = [venv, "pip install -r requirements.txt -c constraints.txt", "python -m hypertrain"]

    found, account = [], []
    if not state.cli:
        found.append("no CLI (neuro or apolo) on PATH")
        account.append("pip install apolo-all")
    if not state.logged_in:
        found.append("not logged in to the platform")
        account.append(f"{cli} login")
    found.append(KEY_STATES[state.key])

    steps = [then.join(account)] if account else []
    if state.key != "ready" and powershell:
        steps.append(POWERSHELL.get(state.key, POWERSHELL_WRITE))
    elif state.key != "ready":
        steps.append(SH.get(state.key, SH_WRITE))
    steps.append('{} secret add wandb-token "@{}"'.format(cli, state.file.strip('"')))

    lines = [
        "A sweep on this machine, without any account:",
        f"    cd {slug}",
        f"    {then.join(sweep)}",
        "On the platform with W&B ({}):".format("; ".join(found)),
        *(f"    {step}" for step in steps),
        f"    {flow} bake hypertrain --param token_secret_name wandb-token",
    ]
    lines = [
        re.sub(r"\bFILE\b", lambda _: state.file, line).replace("ENTRY", state.netrc)
        for line in lines
    ]
    if powershell:
        lines = [re.sub(r"\$(WANDB_|NETRC)", r"$env:\1", line) for line in lines]
    return lines


if __name__ == "__main__":
    try:
        # Git Bash on Windows sets MSYSTEM and takes what sh takes.
        powershell = os.name == "nt" and "MSYSTEM" not in os.environ
        state = secret_state(os.path.expanduser("~"), dict(os.environ))
        text = "\n".join(advice(state, os.path.basename(os.getcwd()), powershell)) + "\n"
        os.write(2, text.encode("ascii", "replace"))  # no buffer to fail at exit if this is closed
    except Exception:
        pass
