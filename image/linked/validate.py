#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says what is wrong with bills of materials, by the validator of SPDX's own tools.

    PYTHONPATH=$(CACHE=folder image/linked/spdx-tools.sh) image/linked/validate.py FILE.spdx.json...
"""
import logging
import sys

sys.dont_write_bytecode = True
from spdx_tools.spdx.parser.error import SPDXParsingError  # noqa: E402
from spdx_tools.spdx.parser.json import json_parser  # noqa: E402
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document  # noqa: E402


def faults(path):
    try:
        document = json_parser.parse_from_file(path)
    except SPDXParsingError as error:
        return error.get_messages()
    return [f"{message.context.spdx_id}: {message.validation_message}"
            for message in validate_full_spdx_document(document, "SPDX-2.3")]


def main():
    logging.disable()
    found = [f"{path}: {fault}" for path in sys.argv[1:] for fault in faults(path)]
    print("\n".join(found) if found else "\n".join(f"{path}: valid" for path in sys.argv[1:]))
    sys.exit(bool(found))


main()
