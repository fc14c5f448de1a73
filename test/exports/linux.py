#!/usr/bin/env python3
"""Records what Linux lets whom do on a local filesystem: `sudo python3 test/exports/linux.py > test/exports/linux.json`.

For each operation and identity there are outcomes, one for each of the modes that the file or directory may have: an error's
name, or what came of it. Access.test.ts asks this project's own rules the same questions.
"""
import errno
import json
import os
import shutil
import stat
import tempfile

IDENTITIES = {
    "root": (0, 0, []),
    "owner": (1000, 1000, []),
    "owner in the group": (1000, 1000, [2000]),
    "member": (1001, 1001, [3000, 2000]),
    "member by gid": (1002, 2000, []),
    "member by the last of 16 groups": (1004, 1004, [*range(3000, 3015), 2000]),
    "other": (1003, 1003, []),
}
OWNER, GROUP = 1000, 2000

FILE_MODES = [0o0, 0o400, 0o200, 0o100, 0o040, 0o020, 0o010, 0o004, 0o002, 0o001, 0o777, 0o644, 0o070, 0o007,
              0o4777, 0o2777, 0o6777, 0o2666, 0o6666, 0o2767, 0o6755, 0o1777]
DIRECTORY_MODES = [0o0, 0o700, 0o600, 0o500, 0o300, 0o070, 0o060, 0o050, 0o030, 0o007, 0o006, 0o005, 0o003, 0o777,
                   0o755, 0o775, 0o1777, 0o1775, 0o2777, 0o2775, 0o2755, 0o3777]


def mode(path):
    return "%04o" % stat.S_IMODE(os.lstat(path).st_mode)


def made(path):
    s = os.lstat(path)
    return "%d:%d:%04o" % (s.st_uid, s.st_gid, stat.S_IMODE(s.st_mode))


def read(path):
    fd = os.open(path, os.O_RDONLY)
    os.read(fd, 1)
    os.close(fd)


def write(path):
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, b"x")
    os.close(fd)


FILE_OPERATIONS = {
    "access": lambda f: (os.access(f, os.R_OK) << 2) | (os.access(f, os.W_OK) << 1) | os.access(f, os.X_OK),
    "read": read,
    "write": write,
    "truncate": lambda f: os.truncate(f, 0),
    "chmod 0755": lambda f: os.chmod(f, 0o755),
    "chmod 7777": lambda f: os.chmod(f, 0o7777),
    "chmod 2666": lambda f: os.chmod(f, 0o2666),
    "chown to the same": lambda f: os.chown(f, OWNER, -1),
    "chown to another": lambda f: os.chown(f, 1003, -1),
    "chgrp to the same": lambda f: os.chown(f, -1, GROUP),
    "chgrp to 1000": lambda f: os.chown(f, -1, 1000),
    "chgrp to 3000": lambda f: os.chown(f, -1, 3000),
    "touch": lambda f: os.utime(f),
    "touch with a time": lambda f: os.utime(f, (1, 2)),
}

DIRECTORY_OPERATIONS = {
    "access": lambda d: (os.access(d, os.R_OK) << 2) | (os.access(d, os.W_OK) << 1) | os.access(d, os.X_OK),
    "lookup": lambda d: os.lstat(d + "/theirs") and None,
    "lookup missing": lambda d: os.lstat(d + "/missing") and None,
    "list": lambda d: os.listdir(d) and None,
    "create": lambda d: (os.close(os.open(d + "/new", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o6775)), made(d + "/new"))[1],
    "create existing": lambda d: os.close(os.open(d + "/theirs", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)),
    "mkdir": lambda d: (os.mkdir(d + "/new", 0o775), made(d + "/new"))[1],
    "mkdir existing": lambda d: os.mkdir(d + "/theirs", 0o775),
    "symlink": lambda d: (os.symlink("x", d + "/new"), made(d + "/new"))[1],
    "mkfifo": lambda d: (os.mkfifo(d + "/new", 0o664), made(d + "/new"))[1],
    "mkdev": lambda d: (os.mknod(d + "/new", 0o664 | stat.S_IFCHR, os.makedev(1, 3)), made(d + "/new"))[1],
    "remove theirs": lambda d: os.unlink(d + "/theirs"),
    "remove mine": lambda d: os.unlink(d + "/mine"),
    "remove missing": lambda d: os.unlink(d + "/missing"),
    "rmdir theirs": lambda d: os.rmdir(d + "/directory"),
    "rename theirs": lambda d: os.rename(d + "/theirs", d + "/new"),
    "rename mine": lambda d: os.rename(d + "/mine", d + "/new"),
    "rename missing": lambda d: os.rename(d + "/missing", d + "/new"),
    "rename mine over theirs": lambda d: os.rename(d + "/mine", d + "/theirs"),
    "move theirs out": lambda d: os.rename(d + "/theirs", d + "-open/new"),
    "move mine in": lambda d: os.rename(d + "-open/mine", d + "/new"),
    "move their directory out": lambda d: os.rename(d + "/directory", d + "-open/new"),
    "link mine": lambda d: os.link(d + "-open/mine", d + "/new"),
    "chmod 7777": lambda d: os.chmod(d, 0o7777),
    "chown to another": lambda d: os.chown(d, 1003, -1),
    "chgrp to the same": lambda d: os.chown(d, -1, GROUP),
}

# What leaves the file there, perhaps with another mode.
KEEPS = {"write", "truncate"}


def attempt(identity, operation, path, keeps):
    """The outcome of an operation in a process of its own, since nobody becomes root again."""
    uid, gid, gids = IDENTITIES[identity]
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.umask(0)
        os.setgroups(gids)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        try:
            result = operation(path)
            outcome = "ok" if result is None else result
        except OSError as error:
            outcome = errno.errorcode[error.errno]
        os.write(into, json.dumps(outcome).encode())
        os._exit(0)
    os.close(into)
    with os.fdopen(out) as pipe:
        outcome = json.load(pipe)
    os.waitpid(child, 0)
    return mode(path) if keeps and outcome == "ok" else outcome


def make(path, owner, bits):
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    own(path, owner, bits)


def own(path, owner, bits):
    os.chown(path, owner, GROUP)
    os.chmod(path, bits)


def on_file(base, name, operation, identity, bits):
    path = base + "/file"
    make(path, OWNER, bits)
    try:
        return attempt(identity, operation, path, name in KEEPS or name.startswith("ch"))
    finally:
        os.unlink(path)


def on_directory(base, name, operation, identity, bits):
    path = base + "/directory"
    for directory in (path, path + "-open"):
        os.mkdir(directory)
        make(directory + "/mine", IDENTITIES[identity][0], 0o644)
    make(path + "/theirs", 1009, 0o644)
    os.mkdir(path + "/directory")
    own(path + "/directory", 1009, 0o755)
    own(path + "-open", 0, 0o777)
    own(path, OWNER, bits)
    try:
        return attempt(identity, operation, path, name.startswith("ch"))
    finally:
        shutil.rmtree(path)
        shutil.rmtree(path + "-open")


def main():
    os.umask(0)
    base = tempfile.mkdtemp()
    os.chmod(base, 0o777)
    tables = {}
    for kind, modes, operations, run in (
        ("file", FILE_MODES, FILE_OPERATIONS, on_file),
        ("directory", DIRECTORY_MODES, DIRECTORY_OPERATIONS, on_directory),
    ):
        outcomes = {
            name: {
                identity: " ".join(str(run(base, name, operation, identity, bits)) for bits in modes)
                for identity in IDENTITIES
            }
            for name, operation in operations.items()
        }
        tables[kind] = {"modes": " ".join("%04o" % bits for bits in modes), "outcomes": outcomes}
    shutil.rmtree(base)
    print(json.dumps(tables, indent=2))


main()
