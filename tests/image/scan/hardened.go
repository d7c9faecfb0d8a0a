// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"debug/elf"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// each asks every program of the image.
func each(look func(*Program) error) func(*Image) (string, error) {
	return func(i *Image) (string, error) {
		names := slices.Sorted(maps.Keys(i.Programs))
		for _, name := range names {
			if err := look(i.Programs[name]); err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
		}
		return strings.Join(names, " "), nil
	}
}

func static(p *Program) error {
	for _, segment := range p.Segments {
		if segment.Type == elf.PT_INTERP {
			return fmt.Errorf("it asks for a loader")
		}
	}
	if len(p.Needed) != 0 {
		return fmt.Errorf("it needs %q", p.Needed)
	}
	return nil
}

func machine(i *Image) (string, error) {
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for name, program := range i.Programs {
		if program.Machine != machines[i.Architecture] || i.OS != "linux" {
			return "", fmt.Errorf("%s is for %v, the image for %s/%s", name, program.Machine, i.OS, i.Architecture)
		}
	}
	return i.OS + "/" + i.Architecture, nil
}

func independent(p *Program) error {
	if p.Type != elf.ET_DYN || p.Flags1&elf.DF_1_PIE == 0 {
		return fmt.Errorf("%v, %v", p.Type, p.Flags1)
	}
	if p.TextRel {
		return fmt.Errorf("its code is relocated at start")
	}
	return nil
}

func relro(p *Program) error {
	found := slices.ContainsFunc(p.Segments, func(s elf.ProgHeader) bool { return s.Type == elf.PT_GNU_RELRO })
	if !found || p.Flags1&elf.DF_1_NOW == 0 {
		return fmt.Errorf("RELRO %v, %v", found, p.Flags1)
	}
	return nil
}

func stack(p *Program) error {
	for _, segment := range p.Segments {
		if segment.Type == elf.PT_GNU_STACK && segment.Flags&elf.PF_X == 0 {
			return nil
		}
	}
	return fmt.Errorf("no segment that says so")
}

func wxorx(p *Program) error {
	for _, segment := range p.Segments {
		if segment.Type == elf.PT_LOAD && segment.Flags&elf.PF_X != 0 && segment.Flags&elf.PF_W != 0 {
			return fmt.Errorf("the segment at %#x is %v", segment.Vaddr, segment.Flags)
		}
	}
	return nil
}

// compiled asks each unit that gcc compiled (assembly has no flags that would matter).
func compiled(i *Image, concerned func(Unit) bool, flags ...string) (string, error) {
	count := 0
	for name, program := range i.Programs {
		for _, unit := range program.Units {
			if !strings.HasPrefix(unit.Compiler, "GNU C") || !concerned(unit) {
				continue
			}
			for _, flag := range flags {
				if !strings.Contains(unit.Compiler+" ", " "+flag+" ") {
					return "", fmt.Errorf("%s: %s is compiled without %s", name, unit.Name, flag)
				}
			}
			count++
		}
	}
	if count == 0 {
		return "", fmt.Errorf("no debug data that would tell")
	}
	return fmt.Sprintf("%d files", count), nil
}

// musl sets the protector up itself, before it could work.
func protected(i *Image) (string, error) {
	return compiled(i, func(u Unit) bool { return !strings.HasPrefix(u.Name, "musl-") },
		"-fstack-protector-strong", "-fstack-clash-protection")
}

func zeroed(i *Image) (string, error) {
	return compiled(i, func(u Unit) bool { return u.Component() == "src" || u.Component() == "gen" },
		"-ftrivial-auto-var-init=zero")
}

func profiled(i *Image) (string, error) {
	program := i.Programs["/extproc"]
	if program == nil {
		return "", fmt.Errorf("no /extproc")
	}
	for _, section := range []string{".symtab", ".debug_line", ".debug_info", ".eh_frame", ".eh_frame_hdr"} {
		if program.Sections[section] == 0 {
			return "", fmt.Errorf("/extproc has no %s", section)
		}
	}
	if len(program.BuildID) == 0 {
		return "", fmt.Errorf("/extproc has no build id")
	}
	return fmt.Sprintf("build id %.4x…", program.BuildID[max(0, len(program.BuildID)-20):]), nil
}
