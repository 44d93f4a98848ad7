# SPDX-License-Identifier: Apache-2.0
"""The soak (soak.py), for 20 seconds here: that it works, and that nothing is lost without a name.

`./check soak` runs it for minutes, and is strict about memory.
"""
import time

import pytest

from soak import soak

pytestmark = [pytest.mark.mintflow_only, pytest.mark.slow]


def test_churn_under_traffic(lab, full):
    soak(lab, 180 if full else 20, time.time_ns(), slack_kib=256 if full else 8192)
