// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// As OpenShift would have it: a number that no image knows, the root group.
const arbitraryUser = `
extProc:
  replicaCount: 1
  podSecurityContext: { runAsUser: 1000740000, runAsGroup: 0, fsGroup: 1000740000 }
  pprof: { auth: { existingSecret: pprof, loopback: true } }
`

// Any user will do: the token of a Secret can be read, nothing has to be written, and every profile
// answers.
func TestArbitraryUserCanBeProfiled(t *testing.T) {
	timed(t)
	n := newNamespace(t)
	n.folder = filepath.Dir(n.file("token", "engineer:"+oldToken+"\n"))
	r := release{n, "helm"}
	n.must(secretCommand, "")
	r.install("-f " + n.file("values.yaml", arbitraryUser))
	said := r.inside(`grep -E "^(Uid|Gid|Groups):" /proc/1/status; grep " / " /proc/1/mounts`)
	words := strings.Join(strings.Fields(said), " ")
	for _, want := range []string{"Uid: 1000740000 1000740000", "Gid: 0 0", "Groups: (0 )?1000740000", " / .* ro[, ]"} {
		if !regexp.MustCompile(want).MatchString(words) {
			t.Errorf("the process does not have %q: %s", want, said)
		}
	}
	f := r.startForward("kubectl port-forward deployment/" + deployment + " :6060")
	if status := f.profile(""); status != 401 {
		t.Errorf("without a token: %d", status)
	}
	f.url = strings.Replace(f.url, "//", "//any:"+oldToken+"@", 1)
	checkProfiles(t, f)
	_, identity, _ := strings.Cut(words, "Uid:")
	show("user, groups and root of the process: %s", identity)
}
