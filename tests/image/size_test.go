// SPDX-License-Identifier: Apache-2.0

package image

import (
	"strings"
	"testing"
)

func TestNothingIsLinkedThatNobodyCalls(t *testing.T) {
	folders := made(t)
	if err := makes("size", folders[0]); err != nil {
		t.Error(err)
	}
	// The linker is told to keep a function that nobody calls.
	err := makes("size", folders[0], "LDFLAGS=-Wl,--undefined=uv_fs_copyfile")
	if err == nil || !strings.Contains(err.Error(), "uv_fs_copyfile  (not wanted)") {
		t.Errorf("a function that nobody calls is not seen: %v", err)
	}
}
