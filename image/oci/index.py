#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes one archive of the images of several machines: an OCI layout whose one entry is an index, for
whoever pushes it to a registry. Docker's own store can't load an index: that is what the archive of
each machine is for.

    image/oci/index.py --out build/image/extproc-index.tar build/image/extproc.tar build/arm64/image/extproc.tar

Prints name and digest, and the digest of each image.
"""
import argparse
import json
import os
import sys
import tarfile

sys.dont_write_bytecode = True
from archive import INDEX, Tree, as_json, digest  # noqa: E402

NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


def read(path):
    """What an archive has: the blobs by their files, the entry of its one image, its annotations."""
    with tarfile.open(path) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}

    def blob(described):
        return json.loads(files["blobs/" + described["digest"].replace(":", "/")])
    [entry] = json.loads(files["index.json"])["manifests"]
    manifest = blob(entry)
    config = blob(manifest["config"])
    entry["platform"] = {key: config[key] for key in ("architecture", "os")}
    blobs = {name: data for name, data in files.items() if name.startswith("blobs/")}
    return blobs, entry, manifest.get("annotations", {})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("archives", nargs="+")
    options = parser.parse_args()
    tree, entries, shared = Tree(), [], None
    for path in options.archives:
        blobs, entry, annotations = read(path)
        for name, data in blobs.items():
            tree.file(name, data)
        names = entry.pop("annotations")
        entries.append(entry)
        # Of all of them together it says what is true of each.
        shared = dict(shared.items() & annotations.items()) if shared is not None else annotations
    if len({entry["platform"]["architecture"] for entry in entries}) < len(entries):
        sys.exit("index: two archives are for the same machine")
    index = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries,
                     "annotations": shared})
    tree.file("blobs/" + digest(index).replace(":", "/"), index)
    tree.file("oci-layout", as_json({"imageLayoutVersion": "1.0.0"}))
    tree.file("index.json", as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{
        "mediaType": INDEX, "digest": digest(index), "size": len(index),
        "annotations": {key: names[key] for key in NAMES}}]}))
    with open(options.out + ".new", "wb") as out:
        out.write(tree.tar())
    os.rename(options.out + ".new", options.out)
    print(f"  {options.out}: {names[NAMES[0]]}, {digest(index)}")
    for entry in entries:
        print(f"    {entry['platform']['architecture']} {entry['digest']}")


main()
