from __future__ import annotations

import re

import pytest
from django.core.exceptions import ImproperlyConfigured

from djust_uploads import exceptions
from djust_uploads.exceptions import UploadError


def tree(cls: type[UploadError], depth: int = 0) -> list[tuple[int, str, str]]:
    lines = [(depth, cls.__name__, cls.code)]
    for subclass in cls.__subclasses__():
        if subclass.__module__ == exceptions.__name__:
            lines += tree(subclass, depth + 1)
    return lines


def drawn() -> list[tuple[int, str, str]]:
    found = re.findall(r"^    (\S?[│├└─ ]*)([A-Z]\w+) +([a-z_]+)", exceptions.__doc__, re.M)
    return [(len(lead) // 4, name, code) for lead, name, code in found]


def test_the_tree_in_the_docstring_is_the_real_one():
    assert drawn() == tree(UploadError)


def test_codes_are_unique():
    codes = [code for _depth, _name, code in tree(UploadError)]
    assert len(set(codes)) == len(codes)


def test_every_error_of_the_module_is_in_the_tree_or_is_a_mistake_of_the_programmer():
    names = {name for _depth, name, _code in tree(UploadError)}
    rest = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and value.__module__ == exceptions.__name__
    } - names
    assert rest == {"InvalidSlot", "InvalidSink"}
    assert issubclass(exceptions.InvalidSlot, ValueError)
    assert issubclass(exceptions.InvalidSink, ImproperlyConfigured)


@pytest.mark.parametrize("name", [name for _depth, name, _code in tree(UploadError)])
def test_every_message_is_a_sentence(name):
    message = getattr(exceptions, name).message
    assert message[0].isupper()
    assert message.endswith(".")


def test_the_log_and_the_user_are_told_different_things():
    error = exceptions.SinkError("AccessDenied for key 7", message="Please call us.")
    assert (str(error), error.message) == ("AccessDenied for key 7", "Please call us.")
    assert exceptions.SinkError.message != error.message


def test_what_is_not_said_is_the_class_s_sentence():
    assert str(exceptions.FileTooLarge()) == exceptions.FileTooLarge.message
    assert str(exceptions.FileTooLarge(message="At most 1 kB.")) == "At most 1 kB."


def test_what_may_work_if_tried_again():
    retryable = {
        name for _depth, name, _code in tree(UploadError) if getattr(exceptions, name).retryable
    }
    assert retryable == {"SinkUnavailable", "SinkTimeout"}
