// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"extproc/tests/internal/rig"
)

// models asks for the list as a client does.
func models(t *testing.T, stack *rig.Stack) (ids []string, reply rig.Reply) {
	t.Helper()
	reply = stack.Try(stack.Request(http.MethodGet, "/v1/models", ""))
	if reply.Err != nil {
		t.Fatal(reply.Err)
	}
	var list struct {
		Object string
		Data   []struct {
			ID, Object string
			Created    int64
			OwnedBy    string `json:"owned_by"`
		}
	}
	if reply.Status != 200 || json.Unmarshal(reply.Body, &list) != nil || list.Object != "list" {
		return nil, reply
	}
	for _, model := range list.Data {
		if model.Object != "model" || model.Created == 0 || model.OwnedBy == "" {
			t.Errorf("not OpenAI's model: %+v", model)
		}
		ids = append(ids, model.ID)
	}
	return ids, reply
}

func TestModelsOfASetting(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{Settings: []string{"EXTPROC_MODELS=gpt-4, meta/llama-3"}})
	ids, reply := models(t, stack)
	if !slices.Equal(ids, []string{"gpt-4", "meta/llama-3"}) || reply.Header.Get("content-type") != "application/json" {
		t.Errorf("status %d, %v: %s", reply.Status, reply.Header, reply.Body)
	}
	if got := stack.Extproc.Metric(`extproc_requests_total{outcome="models_listed"}`); got != 1 {
		t.Errorf("%v lists counted", got)
	}
	if facts := stack.Post("/v1/chat/completions", rig.Chat("model-a")).Facts(t); facts.Name != "a" {
		t.Errorf("model-a reached %q", facts.Name)
	}
}

func TestModelsPassWithoutASetting(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	if _, reply := models(t, stack); strings.HasPrefix(stack.Envoy.Access(reply.ID)["details"], "ext") {
		t.Errorf("it did not pass: %s", stack.Envoy.Access(reply.ID)["details"])
	}
	if got := stack.Extproc.Metric(`extproc_requests_total{outcome="passed"}`); got != 1 {
		t.Errorf("%v requests passed, want 1", got)
	}
}

// As a kubelet lays a ConfigMap: a symlink to a folder, which is swapped as a whole.
func TestModelsFileIsReadAgain(t *testing.T) {
	folder := t.TempDir()
	lay := func(version, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(folder, version), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, version, "models"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Symlink(version, filepath.Join(folder, "..data_tmp"))
		if err := os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	lay("..1", "one\n")
	path := filepath.Join(folder, "models")
	if err := os.Symlink("..data/models", path); err != nil {
		t.Fatal(err)
	}
	stack := rig.StartStack(t, rig.StackOptions{Settings: []string{"EXTPROC_MODELS=" + path}})
	wait := func(want ...string) {
		t.Helper()
		rig.Eventually(t, func() string {
			if ids, reply := models(t, stack); !slices.Equal(ids, want) {
				return fmt.Sprintf("the list is %v, not %s", want, reply.Body)
			}
			return ""
		})
	}
	wait("one")
	lay("..2", "# both\none\ntwo\n")
	wait("one", "two")
	lay("..3", "two words\n") // a mistake: said, and the list stays
	stack.Extproc.WaitLine("what is wrong", func(line string) bool {
		fields := rig.Fields(line)
		return fields["level"] == "error" && strings.Contains(fields["reason"], "two words")
	})
	wait("one", "two")
	lay("..4", "three\n")
	wait("three")
}

func TestBadModelsAreRefusedAtStart(t *testing.T) {
	for setting, part := range map[string]string{
		"a,b c":           "b c",
		" , ":             "no model",
		"/no/such/models": "/no/such/models",
		os.TempDir():      "not a file",
	} {
		program := rig.StartExtprocRaw(t, "EXTPROC_MODELS="+setting)
		if code := program.ExitCode(); code != 2 {
			t.Errorf("%q: exit code %d, want 2", setting, code)
		}
		if said := strings.Join(program.Lines(), "\n"); !strings.Contains(said, "--models") || !strings.Contains(said, part) {
			t.Errorf("%q: not said with %q: %s", setting, part, said)
		}
	}
}
