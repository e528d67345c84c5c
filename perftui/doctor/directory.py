"""Whether workers and clients meet: the directories where workers register."""

from __future__ import annotations

import shlex

from perftui.doctor.surroundings import Check, Directory, Surroundings
from perftui_agent.wire.registration import MAX_SOCKET_PATH_BYTES, fallback_dir

NAME = "runtime directory"

LONGEST_NAME_BYTES = len("/4194304-99999999999-01234567.sock")
"""Of a worker's socket in it."""


def check_directories(place: Surroundings) -> list[Check]:
    """Return what is the matter with each directory, or which one is used."""
    found = [check for each in place.directories for check in _wrong_with(each, place)]
    if place.xdg and place.xdg_problem and "PERFTUI_RUNTIME_DIR" not in place.variables:
        instead = f"{fallback_dir(place.uid)} is used"
        sentence = f"XDG_RUNTIME_DIR is {place.xdg}, which {place.xdg_problem}: {instead}"
        mend = f"for services of this user without a session: sudo loginctl enable-linger {place.uid}"
        found.append(Check(NAME, "note", sentence, mend))
    if place.directories and not any(check.verdict == "wrong" for check in found):
        first = place.directories[0]
        here = "" if first.exists else ", which the first worker will make"
        found.insert(0, Check(NAME, "ok", f"{first.path}{here}"))
    return found


def _wrong_with(each: Directory, place: Surroundings) -> list[Check]:
    path = shlex.quote(each.path)
    if each.problem:
        return [Check(NAME, "wrong", _full_problem(each), _mend(each))]
    found = []
    if each.read_only:
        sentence = f"{each.path} is on a read-only file system: no worker can register there"
        mend = "mount a tmpfs there (Kubernetes: an emptyDir with medium: Memory), or set PERFTUI_RUNTIME_DIR"
        found.append(Check(NAME, "wrong", sentence, mend))
    elif not each.writable:
        mend = f"sudo chown {place.uid} {path}, or set PERFTUI_RUNTIME_DIR to a directory of this user"
        found.append(Check(NAME, "wrong", f"this user can't write to {each.path}", mend))
    elif each.full:
        sentence = f"the file system of {each.path} is full: workers keep no black box there"
        found.append(Check(NAME, "wrong", sentence, f"make room: df -h {path}"))
    if len(each.path.encode(errors="surrogateescape")) + LONGEST_NAME_BYTES > MAX_SOCKET_PATH_BYTES:
        sentence = f"{each.path} is too long for sockets, which lie in {fallback_dir(place.uid)} instead"
        found.append(Check(NAME, "note", sentence, "a shorter one keeps all files together"))
    return found


def _full_problem(each: Directory) -> str:
    told = each.problem if each.path in each.problem else f"{each.path}: {each.problem}"
    return f"registrations are not believed: {told}"


def _mend(each: Directory) -> str:
    path = shlex.quote(each.path)
    if "chmod" in each.problem:
        return f"chmod 700 {path}"
    if "belongs to" in each.problem or "ermission" in each.problem:
        return f"look as its owner or as root: sudo perftui doctor; or remove it: sudo rm -r {path}"
    if each.chosen_by == "PERFTUI_RUNTIME_DIR":
        return "set PERFTUI_RUNTIME_DIR to a directory of your own, here and where the service starts"
    return f"remove it: rm {path}"
