# SPDX-License-Identifier: Apache-2.0
"""Writes container images as one tar file, with no engine: the same input gives the same bytes.

The file is an OCI image layout, and Docker's format too: manifest.json beside index.json points at
the same blobs. So podman, docker, containerd and kind all load it.
"""
import gzip
import hashlib
import io
import json
import tarfile

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def as_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Tree:
    """Files of a layer, all of root's, by their path in the image. Folders come by themselves."""

    def __init__(self, mtime=0):
        self.mtime, self.entries = mtime, {}

    def _add(self, path, **fields):
        info = tarfile.TarInfo(path.strip("/"))
        info.mtime = self.mtime
        data = fields.pop("data", b"")
        for name, value in fields.items():
            setattr(info, name, value)
        self.entries[info.name] = (info, data)

    def folder(self, path, mode=0o755):
        self._add(path, type=tarfile.DIRTYPE, mode=mode)

    def file(self, path, data, mode=0o444):
        self._add(path, size=len(data), mode=mode, data=data)

    def program(self, path, source):
        with open(source, "rb") as file:
            self.file(path, file.read(), 0o555)

    def link(self, path, target):
        self._add(path, type=tarfile.SYMTYPE, mode=0o777, linkname=target)

    def tar(self):
        for name in list(self.entries):
            parts = name.split("/")[:-1]
            for i in range(len(parts)):
                if "/".join(parts[: i + 1]) not in self.entries:
                    self.folder("/".join(parts[: i + 1]))
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for _, (info, data) in sorted(self.entries.items()):
                tar.addfile(info, io.BytesIO(data))
        return out.getvalue()


class Layer:
    def __init__(self, tree, compress=True):
        tar = tree.tar()
        self.diff_id = digest(tar)
        self.media_type = LAYER + ("+gzip" if compress else "")
        self.blob = gzip.compress(tar, 9, mtime=0) if compress else tar


class Image:
    """One image: its names (repository:tag), its layers and the `config` part of its config."""

    def __init__(self, names, layers, config, created, architecture="amd64"):
        self.names, self.layers = names, layers
        self.config = as_json({
            "architecture": architecture,
            "os": "linux",
            "created": created,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created": created, "comment": "image/oci"} for _ in layers],
        })

    def manifest(self):
        def describe(blob, media_type):
            return {"mediaType": media_type, "digest": digest(blob), "size": len(blob)}
        labels = json.loads(self.config)["config"].get("Labels")
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": describe(self.config, CONFIG),
            "layers": [describe(layer.blob, layer.media_type) for layer in self.layers],
        }
        if labels:
            manifest["annotations"] = labels
        return as_json(manifest)


def write(path, images):
    """Writes the images into one archive at `path`; returns the digest of each one's manifest."""
    blobs, index, docker = {}, [], []
    for image in images:
        manifest = image.manifest()
        parts = [manifest, image.config] + [layer.blob for layer in image.layers]
        files = ["blobs/" + digest(part).replace(":", "/") for part in parts]
        blobs.update(zip(files, parts))
        docker.append({"Config": files[1], "RepoTags": image.names, "Layers": files[2:]})
        for name in image.names:
            index.append({
                "mediaType": MANIFEST,
                "digest": digest(manifest),
                "size": len(manifest),
                "annotations": {
                    "io.containerd.image.name": name,
                    "org.opencontainers.image.ref.name": name,
                },
            })
    tree = Tree()
    tree.file("oci-layout", as_json({"imageLayoutVersion": "1.0.0"}))
    tree.file("index.json", as_json(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": index}))
    tree.file("manifest.json", as_json(docker))
    for name, data in blobs.items():
        tree.file(name, data)
    with open(path, "wb") as out:
        out.write(tree.tar())
    return [digest(image.manifest()) for image in images]
