#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What takes the bytes of images: each file, alone and compressed alone.

    image/linked/report.py ARCHIVE...
"""
import io
import json
import sys
import tarfile
import zlib


def packed(data):
    return len(zlib.compress(data, 9))


def manifests(tar, index):
    for described in index["manifests"]:
        found = json.load(tar.extractfile("blobs/" + described["digest"].replace(":", "/")))
        if "manifests" in found:
            yield from manifests(tar, found)
        else:
            yield found


def blob(tar, described):
    return tar.extractfile("blobs/" + described["digest"].replace(":", "/")).read()


def show(tar, manifest):
    size = sum(layer["size"] for layer in manifest["layers"])
    config = json.loads(blob(tar, manifest["config"]))
    print(f"{tar.name}, {config['architecture']}: {size} bytes compressed")
    rows = {}
    for layer in manifest["layers"]:
        with tarfile.open(fileobj=io.BytesIO(blob(tar, layer))) as files:
            for member in files:
                if member.isfile():
                    folder = member.name.split("/")[0]
                    name = "licenses/" if folder == "licenses" else member.name
                    data = files.extractfile(member).read()
                    plain, alone = rows.get(name, (0, 0))
                    rows[name] = plain + len(data), alone + packed(data)
    print(f"{'bytes':>12}{'compressed':>12}")
    for name, (plain, alone) in sorted(rows.items(), key=lambda row: -row[1][1]):
        print(f"{plain:>12}{alone:>12}  /{name}")


for path in sys.argv[1:]:
    with tarfile.open(path) as archive:
        for found in manifests(archive, json.load(archive.extractfile("index.json"))):
            show(archive, found)
