// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Bill is what is looked at in a bill of materials.
type Bill struct {
	SpdxVersion   string
	CreationInfo  struct{ Created string }
	Packages      []Package
	Relationships []struct{ SpdxElementID, RelationshipType, RelatedSpdxElement string }
}

// Package is a part, or the whole.
type Package struct {
	SPDXID, Name, VersionInfo, PackageFileName, LicenseDeclared string
	Checksums                                                   []struct{ Algorithm, ChecksumValue string }
	ExternalRefs                                                []struct{ ReferenceType, ReferenceLocator string }
}

// Whole is the package that the document describes.
func (b *Bill) Whole() (Package, bool) {
	for _, relation := range b.Relationships {
		if relation.RelationshipType != "DESCRIBES" {
			continue
		}
		for _, found := range b.Packages {
			if found.SPDXID == relation.RelatedSpdxElement {
				return found, true
			}
		}
	}
	return Package{}, false
}

// Parts are the packages that the whole is linked from.
func (b *Bill) Parts() (parts []Package) {
	for _, relation := range b.Relationships {
		for _, found := range b.Packages {
			if relation.RelationshipType == "STATIC_LINK" && found.SPDXID == relation.RelatedSpdxElement {
				parts = append(parts, found)
			}
		}
	}
	return parts
}

// fromDebian: the compiler's own code, which has no debug data to tell of it.
func (p Package) fromDebian() bool {
	return slices.ContainsFunc(p.ExternalRefs, func(ref struct{ ReferenceType, ReferenceLocator string }) bool {
		return strings.HasPrefix(ref.ReferenceLocator, "pkg:deb/")
	})
}

// describes says what is wrong with the bill of a program, or nothing.
func (b *Bill) describes(file File) error {
	if b.SpdxVersion != "SPDX-2.3" {
		return fmt.Errorf("it is %q", b.SpdxVersion)
	}
	whole, _ := b.Whole()
	sum := sha256.Sum256(file.Data)
	if len(whole.Checksums) != 1 || whole.Checksums[0].ChecksumValue != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("its digest is not that of /%s", file.Name)
	}
	for _, part := range b.Parts() {
		switch {
		case part.VersionInfo == "" || part.LicenseDeclared == "":
			return fmt.Errorf("%s has no version or licence", part.Name)
		case len(part.Checksums) != 1 || len(part.Checksums[0].ChecksumValue) != 64:
			return fmt.Errorf("%s has no sha256", part.Name)
		case len(part.ExternalRefs) == 0 || !strings.HasPrefix(part.ExternalRefs[0].ReferenceLocator, "pkg:"):
			return fmt.Errorf("%s has no package URL", part.Name)
		}
	}
	return nil
}

// matches compares the parts with those that the program's debug data tells of: the bill is made
// from the linker's map, so this is a second opinion.
func (b *Bill) matches(program *Program) error {
	billed, told := map[string]bool{}, map[string]bool{}
	for _, part := range b.Parts() {
		if !part.fromDebian() {
			billed[part.Name+"-"+part.VersionInfo] = true
		}
	}
	for _, unit := range program.Units {
		component := unit.Component()
		if told[component] = true; !billed[component] && !slices.Contains(ours, component) {
			return fmt.Errorf("%s is in the program and not in it", unit.Name)
		}
	}
	for component := range billed {
		if !told[component] {
			return fmt.Errorf("%s is in it and not in the program", component)
		}
	}
	return nil
}

// ours are the folders of our own sources.
var ours = []string{"src", "gen", "image"}
