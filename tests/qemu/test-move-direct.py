#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tests of test-move.py once more, with requests on the direct path wherever it serves them."""

import json
import os
import sys

os.environ["VQ_QEMU_O_DIRECT"] = "1"
os.environ["VQ_QEMU_DEVICE"] = json.dumps(
    {"direct-path": True, "logical_block_size": 4096, "physical_block_size": 4096})
program = os.path.join(os.path.dirname(os.path.realpath(__file__)), "test-move.py")
os.execv(sys.executable, [sys.executable, program])
