# SPDX-License-Identifier: Apache-2.0
"""What gcc would have ld do: for linking again without gcc, or in another way."""
import os
import shlex
import subprocess


def linker(command):
    """The ld that belongs to a compiler's command."""
    return subprocess.run([command[0], "-print-prog-name=ld"], text=True, check=True,
                          stdout=subprocess.PIPE).stdout.strip()


def arguments(command):
    """ld's arguments for a command of gcc that links, but for -o, with libraries as their files."""
    said = subprocess.run(command + ["-###"], text=True, check=True, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL).stderr
    [line] = [line for line in said.splitlines() if "/collect2 " in line]
    found, folders = [], []
    words = iter(shlex.split(line)[1:])
    for word in words:
        if word in ("-o", "-plugin"):
            next(words)
        elif word.startswith("-L"):
            folders.append(word[2:])
        elif word.startswith("-l"):
            paths = [os.path.join(folder, f"lib{word[2:]}.a") for folder in folders]
            found.append(next(path for path in paths if os.path.exists(path)))
        elif not word.startswith(("-plugin-opt", "-Map", "--sysroot")):
            found.append(word)
    return found
