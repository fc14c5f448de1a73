"""What the Python scripts of checks share."""
import os

MNT = os.environ["MNT"]
PEER = os.environ["PEER"]


def same(what, got, wanted):
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"


def refused(number, function, *args, **named):
    """The call must fail, with this errno."""
    try:
        function(*args, **named)
    except OSError as error:
        same(f"errno of {function.__name__}{args}", os.strerror(error.errno), os.strerror(number))
    else:
        raise AssertionError(f"{function.__name__}{args} went through, but wanted: {os.strerror(number)}")


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def write(content, *path):
    with open(os.path.join(*path), "wb") as file:
        file.write(content)


def start(function, *args):
    """Runs it in a process of its own."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function(*args)
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def finish(*pids):
    """Waits for what was started; all of it must have gone well."""
    for pid in pids:
        same(f"wait status of process {pid}", os.waitpid(pid, 0)[1], 0)


def as_user(uid, function, *args, groups=()):
    """Runs it as this user, whose own group has the same number."""

    def become():
        os.setgroups(groups)
        os.setgid(uid)
        os.setuid(uid)
        function(*args)

    finish(start(become))
