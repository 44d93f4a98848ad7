# SPDX-License-Identifier: Apache-2.0
"""What the net tests share: one laboratory per test, and which program is "ours".

    pytest tests/net                              MintFlow against wireguard-go
    pytest tests/net --ours=wireguard-go          the laboratory itself: wireguard-go on both sides
    pytest tests/net --ours=kernel                the tests of `direct` themselves: nothing between
                                                  apps and internet
    pytest tests/net -n 4                         in parallel (each test has its own namespaces)
"""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import Lab  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--ours", default="mintflow", choices=["mintflow", "wireguard-go", "kernel"],
                     help="the implementation on the tested side")
    parser.addoption("--full", action="store_true",
                     help="sizes and times as in a release test, not as in a quick run")


def pytest_configure(config):
    config.addinivalue_line("markers", "mintflow_only: wireguard-go has nothing like it")
    config.addinivalue_line("markers", "direct: no WireGuard; what any way to the internet must do")
    config.addinivalue_line("markers", "slow: takes longer than half a minute")
    config.addinivalue_line("markers", "first: start early, so that it overlaps the others")


def pytest_collection_modifyitems(config, items):
    # The ones that mostly wait go first: with -n they overlap everything else.
    items.sort(key=lambda i: 0 if i.get_closest_marker("first") else 1)
    ours = config.getoption("--ours")
    if ours == "mintflow":
        return
    for item in items:
        if item.get_closest_marker("mintflow_only"):
            item.add_marker(pytest.mark.skip(reason="only MintFlow has this"))
        elif bool(item.get_closest_marker("direct")) != (ours == "kernel"):
            item.add_marker(pytest.mark.skip(reason=f"not a test for {ours}"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.when == "call" and report.failed and lab is not None and lab.hosts:
        report.sections.append(("what the programs said", lab.logs()))


@pytest.fixture
def ours(request):
    return request.config.getoption("--ours")


@pytest.fixture
def full(request):
    return request.config.getoption("--full")


@pytest.fixture
def lab(request):
    with Lab(request.node.name.split("[")[0][:20]) as the_lab:
        yield the_lab
