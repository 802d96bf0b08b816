"""How a generator can end, as its bytecode tells; no generator is run."""

import pytest

from helpers.contract.bytecode import NEVER, RAISES, RETURNS, ending


def while_true():
    while True:
        yield 1


def passes(data):
    while 1:
        for batch in data:  # noqa: UP028
            yield batch


def starts_anew(data):
    iterator = iter(data)
    while True:
        try:
            yield next(iterator)
        except StopIteration:
            iterator = iter(data)


def opens():
    while True:
        with open("x") as file:  # noqa: PTH123
            yield file


def cleans_up():
    while True:
        try:
            yield 1
        finally:
            print("done")


def skips(data):
    while True:
        if not data:
            continue
        yield from data


def raises_last(data):
    for batch in data:  # noqa: UP028
        yield batch
    raise StopIteration


def raises_without_loop(data):
    yield data
    raise ValueError("no more")


def raises_in_the_loop(data):
    while True:
        if not data:
            raise ValueError("empty")
        yield data


def asserts_in_the_loop(data):
    while True:
        assert data
        yield data


def for_loop(data):
    for batch in data:  # noqa: UP028
        yield batch


def breaks(data):
    while True:
        yield 1
        if data:
            break


def returns_when_caught(iterator):
    while True:
        try:
            yield next(iterator)
        except StopIteration:
            return


def returns_inside_with(data):
    while True:
        with data:
            if not data:
                return
            yield 1


def condition(data):
    while data:
        yield data


def checks_first(data):
    if not data:
        raise ValueError("empty")
    yield from data


ENDINGS = {
    NEVER: [while_true, passes, starts_anew, opens, cleans_up, skips],
    RAISES: [raises_last, raises_without_loop, raises_in_the_loop, asserts_in_the_loop],
    RETURNS: [for_loop, breaks, returns_when_caught, returns_inside_with, condition, checks_first],
}


@pytest.mark.parametrize(
    ("function", "wanted"), [(each, wanted) for wanted, all_ in ENDINGS.items() for each in all_]
)
def test_ending(function, wanted):
    assert ending(function.__code__) == wanted
