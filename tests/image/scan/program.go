// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"io"
	"strings"
)

// Unit is a source file that the compiler said it compiled, and how.
type Unit struct {
	Name     string
	Compiler string // and its flags
}

// Component is the folder of the sources that the unit belongs to: NAME-VERSION of a part, or one of
// ours.
func (u Unit) Component() string {
	component, _, _ := strings.Cut(u.Name, "/")
	return component
}

// Program is what is looked at in an ELF file.
type Program struct {
	Machine  elf.Machine
	Type     elf.Type
	Segments []elf.ProgHeader
	Needed   []string
	Flags    elf.DynFlag
	Flags1   elf.DynFlag1
	TextRel  bool
	Sections map[string]uint64 // bytes in the file, by name
	BuildID  []byte
	Units    []Unit
	Plain    []byte // the file, and its debug data as it is before compression
}

// ReadProgram reads an ELF file.
func ReadProgram(data []byte) (*Program, error) {
	file, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	program := &Program{Machine: file.Machine, Type: file.Type, Plain: bytes.Clone(data),
		Sections: map[string]uint64{}}
	for _, segment := range file.Progs {
		program.Segments = append(program.Segments, segment.ProgHeader)
	}
	program.Needed, _ = file.ImportedLibraries()
	flags, _ := file.DynValue(elf.DT_FLAGS)
	flags1, _ := file.DynValue(elf.DT_FLAGS_1)
	textRel, _ := file.DynValue(elf.DT_TEXTREL)
	for _, value := range flags {
		program.Flags |= elf.DynFlag(value)
	}
	for _, value := range flags1 {
		program.Flags1 |= elf.DynFlag1(value)
	}
	program.TextRel = len(textRel) > 0 || program.Flags&elf.DF_TEXTREL != 0
	for _, section := range file.Sections {
		program.Sections[section.Name] = section.FileSize
		if section.Name == ".note.gnu.build-id" {
			program.BuildID, _ = section.Data()
		}
		if section.Flags&elf.SHF_COMPRESSED != 0 {
			plain, err := io.ReadAll(section.Open())
			if err != nil {
				return nil, err
			}
			program.Plain = append(program.Plain, plain...)
		}
	}
	if program.Sections[".debug_info"] == 0 {
		return program, nil
	}
	debug, err := file.DWARF()
	if err != nil {
		return nil, err
	}
	program.Units, err = units(debug)
	return program, err
}

func units(debug *dwarf.Data) (found []Unit, err error) {
	for reader := debug.Reader(); ; reader.SkipChildren() {
		entry, err := reader.Next()
		if err != nil || entry == nil {
			return found, err
		}
		if entry.Tag == dwarf.TagCompileUnit {
			name, _ := entry.Val(dwarf.AttrName).(string)
			compiler, _ := entry.Val(dwarf.AttrProducer).(string)
			found = append(found, Unit{name, compiler})
		}
	}
}
