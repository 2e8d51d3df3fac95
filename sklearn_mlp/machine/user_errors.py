"""Errors in code of the user's that runs within a fit: whose they are has to be said."""

from typing import Any

# Those of Python's that a slip raises. Any other, a class of the user's own among them, speaks for
# itself and may be what the user catches; so does a lack of memory, torch's own kind of it, too.
_SLIPS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    NameError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    StopIteration,
    TypeError,
    UnboundLocalError,
    ValueError,
    ZeroDivisionError,
)


def says_nothing_of_its_origin(error: Exception) -> bool:
    """Tell whether an error could be from anywhere."""
    return type(error) in _SLIPS


def retold(error: Exception, where: str) -> Exception:
    """Return an error that says where it comes from: of the same kind, or itself with a note."""
    if not says_nothing_of_its_origin(error):
        error.add_note(where)
        return error
    # A StopIteration would end loops that it does not belong to.
    kind = RuntimeError if isinstance(error, StopIteration) else type(error)
    return kind(f"{where}: {str(error) or type(error).__name__}")


def blamed(error: Exception, message: str) -> ValueError:
    """Return the error for a parameter whose function, or module, has raised one.

    A ValueError, since a parameter is at fault, and of the kind of the error as well: that may be
    what the user waits for.
    """
    kind = type(error)
    return ValueError(message) if kind not in _SLIPS else _of_both_kinds(kind)(message)


_both_kinds: dict[type[Exception], type[ValueError]] = {}


def _of_both_kinds(kind: type[Exception]) -> type[ValueError]:
    """Return a class of ValueErrors that is a kind of another error, too."""
    if issubclass(ValueError, kind) or issubclass(kind, ValueError | StopIteration | NameError):
        # A name's error has fields of its own, and a StopIteration would end loops.
        return ValueError
    if kind not in _both_kinds:
        methods: dict[str, Any] = {
            "__str__": Exception.__str__,
            "__reduce__": lambda one: (_made, (kind, one.args)),
        }
        _both_kinds[kind] = type(f"ValueErrorAnd{kind.__name__}", (ValueError, kind), methods)
    return _both_kinds[kind]


def _made(kind: type[Exception], arguments: tuple[object, ...]) -> ValueError:
    """Make such an error again, when it comes out of another process."""
    return _of_both_kinds(kind)(*arguments)
