"""Two machines that compute the same say so; any other difference has a name."""

import re
from importlib.metadata import version

from analyzer_service.cluster.installation import (
    PACKAGES,
    PROCESSOR,
    SOURCES,
    differences,
    digest,
    installation,
)


def test_it_names_every_package_with_its_version() -> None:
    found = installation()
    assert {name: found[name] for name in PACKAGES} == {name: version(name) for name in PACKAGES}
    assert re.fullmatch("[0-9a-f]{16}", found[SOURCES])


def test_the_processor_is_said_and_not_counted() -> None:
    ours = dict(installation())
    theirs = {**ours, PROCESSOR: "abacus"}
    assert differences(ours, theirs) == []
    assert digest(ours) == digest(theirs)


def test_every_other_difference_counts() -> None:
    ours = dict(installation())
    for name in ours.keys() - {PROCESSOR}:
        theirs = {**ours, name: "another"}
        assert differences(ours, theirs) == [f"{name} is another there, {ours[name]} here"]
        assert digest(ours) != digest(theirs)
        del theirs[name]
        assert differences(ours, theirs) == [f"{name} is missing there, {ours[name]} here"]
