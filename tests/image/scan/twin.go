// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"fmt"
	"slices"
	"strings"
)

// Differences lists what the debug twin has that the product has not; an error says what it should
// not have.
func Differences(product, twin *Image) (lines []string, err error) {
	if len(twin.Layers) != 2 || twin.Layers[0].Digest != product.Layers[0].Digest {
		return nil, fmt.Errorf("it is not the product's layer and one more: %d layers", len(twin.Layers))
	}
	added := map[string]int{}
	for _, file := range twin.Layers[1].Files {
		switch folder, _, _ := strings.Cut(file.Name, "/"); {
		case file.Typeflag == '5':
		case folder == "busybox" && file.Typeflag == '2':
			added["links in /busybox/"]++
		case folder == "busybox", strings.HasPrefix(file.Name, "licenses/busybox/"),
			file.Name == "var/lib/db/sbom/busybox.spdx.json":
			lines = append(lines, "/"+file.Name)
		default:
			return nil, fmt.Errorf("/%s is neither the shell nor about it", file.Name)
		}
	}
	if added["links in /busybox/"] == 0 {
		return nil, fmt.Errorf("no shell")
	}
	lines = append(lines, fmt.Sprintf("%d links in /busybox/", added["links in /busybox/"]))
	a, b := product.Settings, twin.Settings
	if a.User != b.User || !slices.Equal(a.Entrypoint, b.Entrypoint) || !slices.Equal(a.Cmd, b.Cmd) {
		return nil, fmt.Errorf("it starts %q as %s", b.Entrypoint, b.User)
	}
	lines = append(lines, fmt.Sprintf("environment %q", b.Env))
	for name, value := range b.Labels {
		if value != a.Labels[name] {
			lines = append(lines, fmt.Sprintf("label %s: %s", name, value))
		}
	}
	slices.Sort(lines)
	return append(lines, fmt.Sprintf("%.2f MB more", float64(twin.Size()-product.Size())/1e6)), nil
}
