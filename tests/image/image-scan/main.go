// SPDX-License-Identifier: Apache-2.0

// Image-scan prints the table of checks of an image, and of its twin what differs; it fails on a
// breach.
//
//	image-scan PRODUCT.tar TWIN.tar [FOLDER...]    the FOLDERs are those of this machine
package main

import (
	"fmt"
	"os"
	"strings"

	"extproc/tests/image/scan"
)

func images(path string) []*scan.Image {
	archive, err := scan.OpenArchive(path)
	var found []*scan.Image
	if err == nil {
		found, err = archive.Images()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
		os.Exit(1)
	}
	return found
}

func row(check scan.Check, seen string, err error) {
	verdict := "ok"
	if err != nil {
		verdict, seen = "BAD", err.Error()
	}
	fmt.Printf("  %-4s %-62s %s\n", verdict, check.Promise, seen)
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "image-scan PRODUCT.tar TWIN.tar [FOLDER...]")
		os.Exit(2)
	}
	for _, folder := range os.Args[3:] {
		// A short one would be found anywhere.
		if strings.Count(folder, "/") > 1 {
			scan.Machine = append(scan.Machine, folder)
		}
	}
	products, twins := images(os.Args[1]), images(os.Args[2])
	bad := 0
	for i, product := range products {
		fmt.Printf("%s, %s\n  %s\n", product.Name, product.Architecture, product.Digest)
		bad += len(scan.Product(product, row))
		if i >= len(twins) || twins[i].Architecture != product.Architecture {
			fmt.Printf("  BAD  no twin for %s\n", product.Architecture)
			bad++
			continue
		}
		twin := twins[i]
		fmt.Printf("%s, %s\n  %s\n", twin.Name, twin.Architecture, twin.Digest)
		bad += len(scan.Twin(twin, row))
		fmt.Println("  differs from the product by:")
		lines, err := scan.Differences(product, twin)
		for _, line := range lines {
			fmt.Printf("       %s\n", line)
		}
		if err != nil {
			fmt.Printf("  BAD  %v\n", err)
			bad++
		}
	}
	if bad > 0 {
		fmt.Printf("%d breaches\n", bad)
		os.Exit(1)
	}
}
