# SPDX-License-Identifier: Apache-2.0
"""The bill of materials of a program: SPDX 2.3 as JSON, the same bytes for the same program."""
import hashlib
import json
import os
import re
import uuid
from urllib.parse import quote

import parts

# What the vulnerability database of NIST calls them, as vendor:product; scanners go by these names
# where there is no package manager. The others have none that we know.
KNOWN_AS = {
    "busybox": "busybox:busybox",
    "libmicrohttpd": "gnu:libmicrohttpd",
    "libuv1": "libuv:libuv",
    "musl": "musl-libc:musl",
    "nghttp2": "nghttp2:nghttp2",
    "protobuf-c": "protobuf-c_project:protobuf-c",
    "zlib": "zlib:zlib",
}


def identifier(name):
    return "SPDXRef-Package-" + re.sub(r"[^A-Za-z0-9.-]+", "-", name)


def locator(part, architecture):
    """The package URL. Sources came as files, so they are `generic`, known by their checksum."""
    version = quote(part.version, safe="")
    if part.from_debian:
        of = "all" if part.name.endswith("-cross") else architecture
        return f"pkg:deb/debian/{quote(part.name, safe='')}@{version}?arch={of}"
    return f"pkg:generic/{quote(part.name, safe='')}@{version}?checksum=sha256:{part.sha256}"


def source_info(part):
    """How it was made, for the reader."""
    if part.from_debian:
        return "Code that gcc links in; the Debian package of the compiler that built all of this"
    folder = os.path.join(parts.IMAGE, "patches")
    patches = [name for name in sorted(os.listdir(folder)) if name.startswith(part.name + "-")]
    return (f"Built from this tarball, named {part.name} in the source index of Debian, by"
            f" image/recipes/{part.name}.sh, "
            + ("with " + ", ".join(f"image/patches/{name}" for name in patches)
               if patches else "unpatched"))


def package(part, architecture):
    described = {
        "SPDXID": identifier(part.name),
        "name": part.name,
        "versionInfo": part.version,
        "supplier": "Organization: Debian",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": part.licence,
        "licenseDeclared": part.licence,
        "copyrightText": "NOASSERTION",
        "sourceInfo": source_info(part),
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": locator(part, architecture),
        }],
    }
    if part.name in KNOWN_AS:
        described["externalRefs"].append({
            "referenceCategory": "SECURITY",
            "referenceType": "cpe23Type",
            "referenceLocator": f"cpe:2.3:a:{KNOWN_AS[part.name]}:{part.version}:*:*:*:*:*:*:*",
        })
    if part.file:
        described["packageFileName"] = part.file
    if part.sha256:
        described["checksums"] = [{"algorithm": "SHA256", "checksumValue": part.sha256}]
    return described


def document(whole, inside, architecture, created):
    """`whole` is the program (its file as the image has it, its own licence), `inside` the parts
    that are linked into it."""
    whole_package = package(whole, architecture)
    whole_package.update(
        primaryPackagePurpose="APPLICATION", supplier="NOASSERTION",
        packageFileName=whole.file,
        licenseConcluded=parts.expression([whole.licence] + [part.licence for part in inside]))
    if whole.name not in parts.sources():
        del whole_package["sourceInfo"]
    found = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{whole.name}-{whole.version}-{architecture}",
        "creationInfo": {
            "created": created,
            "creators": ["Tool: image/linked/sbom.py"],
            "comment": "Parts are those that the linker's map says are in the program.",
        },
        "packages": [whole_package] + [package(part, architecture) for part in inside],
        "relationships": [{
            "spdxElementId": "SPDXRef-DOCUMENT",
            "relationshipType": "DESCRIBES",
            "relatedSpdxElement": identifier(whole.name),
        }] + [{
            "spdxElementId": identifier(whole.name),
            "relationshipType": "STATIC_LINK",
            "relatedSpdxElement": identifier(part.name),
        } for part in inside],
    }
    # A name of its own for each content, and the same for the same.
    digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).digest()
    found["documentNamespace"] = uuid.UUID(bytes=digest[:16], version=5).urn
    return (json.dumps(found, indent=1, sort_keys=True) + "\n").encode()


def of_program(name, version, path, file, licence, inside, architecture, created):
    """The document of the program at `path`, which the image has at /file."""
    with open(path, "rb") as program:
        sha256 = hashlib.sha256(program.read()).hexdigest()
    whole = parts.Part(name, version, "./" + file, sha256, licence, False)
    return document(whole, inside, architecture, created)
