#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the image of who stands around the processor in the tests: a real Envoy with the libraries
that it needs, a stand-in for a model's server, and what sends requests.

    tests/kind/peers.py OUT PROGRAM...    each PROGRAM is at /NAME
"""
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "image", "oci"))
from archive import Image, Layer, Tree, write  # noqa: E402


def libraries(program):
    found = subprocess.run(["ldd", program], text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, check=False)
    return re.findall(r"/\S+", found.stdout) if found.returncode == 0 else []


def main():
    out, programs = sys.argv[1], sys.argv[2:]
    tree = Tree()
    for program in programs:
        tree.program(os.path.basename(program), program)
        for library in libraries(program):
            tree.program(library, library)
    config = {"User": "65532:65532", "Env": ["PATH=/"]}
    layer = Layer(tree, compress=False)
    write(out, [Image(["localhost/tests/peers:local"], [layer], config, "1970-01-01T00:00:00Z")])


main()
