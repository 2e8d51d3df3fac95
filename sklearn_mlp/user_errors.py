"""Errors in code of the user's that runs within a fit: whose they are has to be said."""

import dis

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


def is_raised_on_purpose(error: Exception) -> bool:
    """Tell whether an error comes from a ``raise`` that is not torch's: someone may catch it."""
    traceback = error.__traceback__
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    frame = traceback.tb_frame
    is_raise = dis.opname[frame.f_code.co_code[traceback.tb_lasti]] == "RAISE_VARARGS"
    return is_raise and not str(frame.f_globals.get("__name__")).startswith("torch.")


def retold(error: Exception, where: str) -> Exception:
    """Return an error that says where it comes from: of the same kind, or itself with a note."""
    if not says_nothing_of_its_origin(error):
        error.add_note(where)
        return error
    # A StopIteration would end loops that it does not belong to.
    kind = RuntimeError if isinstance(error, StopIteration) else type(error)
    return kind(f"{where}: {str(error) or type(error).__name__}")
