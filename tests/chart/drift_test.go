// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	yaml3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// values.yaml (defaults and comments), values.schema.json (rules, the same descriptions, an example
// each), the templates and the README's table speak of the same keys. These tests keep them from
// drifting apart.

// schema is a node of values.schema.json.
type schema struct {
	Draft                string `json:"$schema"`
	Ref                  string `json:"$ref"`
	Type                 any
	Description          string
	Examples             []any
	Enum                 []any
	Minimum, Maximum     json.Number
	Properties           map[string]*schema
	Items                *schema
	AdditionalProperties any
	Definitions          map[string]*schema
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	var root schema
	if err := json.Unmarshal([]byte(read(t, "../../values.schema.json")), &root); err != nil {
		t.Fatal(err)
	}
	// The newest draft that Helm 3 and editors know.
	if root.Draft != "http://json-schema.org/draft-07/schema#" {
		t.Errorf("the schema is of %s", root.Draft)
	}
	return &root
}

// leaves returns the keys that hold a value of their own, by their path: a.b.c.
func (s *schema) leaves(prefix string) map[string]*schema {
	all := map[string]*schema{}
	for name, property := range s.Properties {
		if property.Properties == nil {
			all[prefix+name] = property
			continue
		}
		maps.Copy(all, property.leaves(prefix+name+"."))
	}
	return all
}

// notRead are keys that parent charts may set, and that no template reads.
var notRead = []string{"enabled"}

// value is a key of values.yaml.
type value struct {
	path, comment string
	fallback      any
}

// readValues returns the leaves of values.yaml in their order.
func readValues(t *testing.T) []value {
	t.Helper()
	var document yaml3.Node
	if err := yaml3.Unmarshal([]byte(read(t, chartFolder+"/values.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	leaves := readSchema(t).leaves("")
	var all []value
	var walk func(node *yaml3.Node, prefix string)
	walk = func(node *yaml3.Node, prefix string) {
		for i := 0; i < len(node.Content); i += 2 {
			key, content := node.Content[i], node.Content[i+1]
			path := prefix + key.Value
			_, isLeaf := leaves[path]
			if content.Kind == yaml3.MappingNode && len(content.Content) > 0 && !isLeaf {
				walk(content, path+".")
				continue
			}
			leaf := value{path: path, comment: joinComment(key.HeadComment)}
			if err := content.Decode(&leaf.fallback); err != nil {
				t.Fatal(err)
			}
			all = append(all, leaf)
		}
	}
	walk(document.Content[0], "")
	return all
}

// joinComment makes one line of the comment right above a key.
func joinComment(comment string) string {
	blocks := strings.Split(comment, "\n\n")
	lines := strings.Split(blocks[len(blocks)-1], "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimPrefix(lines[i], "#"), " ")
	}
	return strings.Join(lines, " ")
}

func TestSchemaHasTheKeysAndDescriptionsOfValues(t *testing.T) {
	leaves := readSchema(t).leaves("")
	for _, name := range notRead {
		delete(leaves, name)
	}
	for _, value := range readValues(t) {
		leaf := leaves[value.path]
		delete(leaves, value.path)
		switch {
		case leaf == nil:
			t.Errorf("values.yaml has %s, values.schema.json does not", value.path)
		case leaf.Description != value.comment:
			t.Errorf("%s: the schema says\n\t%s\nand values.yaml\n\t%s",
				value.path, leaf.Description, value.comment)
		}
	}
	for path := range leaves {
		t.Errorf("values.schema.json has %s, values.yaml does not", path)
	}
}

// A key with a typing error must not pass as one that means nothing.
func TestSchemaIsClosedButForKubernetesObjects(t *testing.T) {
	open := []string{
		"global", "extProc.resources", "extProc.podSecurityContext", "extProc.securityContext",
		"extProc.affinity", "extProc.tolerations[]", "extProc.topologySpreadConstraints[]",
		"envVar.valueFrom", "extProc.extraEnvFrom[]", "extProc.extraVolumes[]", "extProc.extraVolumeMounts[]",
		"extProc.strategy",
	}
	var found []string
	var walk func(node *schema, path string)
	walk = func(node *schema, path string) {
		if node.Type == "object" && node.AdditionalProperties == nil {
			found = append(found, path)
		}
		for name, property := range node.Properties {
			below := strings.TrimPrefix(path+"."+name, ".")
			if property.Description == "" {
				t.Errorf("%s has no description", below)
			}
			isLeaf := property.Properties == nil && !slices.Contains(notRead, below)
			if isLeaf && len(property.Examples) == 0 {
				t.Errorf("%s has no example", below)
			}
			walk(property, below)
		}
		if node.Items != nil {
			walk(node.Items, path+"[]")
		}
	}
	root := readSchema(t)
	walk(root, "")
	for name, definition := range root.Definitions {
		walk(definition, name)
	}
	slices.Sort(open)
	slices.Sort(found)
	if !slices.Equal(open, found) {
		t.Errorf("open: %v, expected: %v", found, open)
	}
}

// Templates name keys in full, so that each can be looked up.
func TestTemplatesReadTheKeysThatThereAre(t *testing.T) {
	unread := readSchema(t).leaves("")
	for _, name := range notRead {
		delete(unread, name)
	}
	known := maps.Clone(unread)
	reference := regexp.MustCompile(`\.Values\.([A-Za-z.]+)`)
	whole := regexp.MustCompile(`\.Values[^.A-Za-z]`)
	files, _ := filepath.Glob(chartFolder + "/templates/*")
	more, _ := filepath.Glob(chartFolder + "/templates/*/*")
	for _, file := range append(files, more...) {
		if !strings.Contains(filepath.Base(file), ".") {
			continue
		}
		text := read(t, file)
		if whole.MatchString(text) && filepath.Base(file) != "whole.yaml" {
			t.Errorf("%s uses .Values as a whole. Fix: name each key in full", file)
		}
		for _, match := range reference.FindAllStringSubmatch(text, -1) {
			path := strings.TrimSuffix(match[1], ".")
			if known[path] == nil {
				t.Errorf("%s reads .Values.%s, which is no key with a value. Fix: name it in full", file, path)
			}
			delete(unread, path)
		}
	}
	for path := range unread {
		t.Errorf("no template reads %s", path)
	}
}

// nested returns {a: {b: leaf}} for the path a.b.
func nested(path string, leaf any) map[string]any {
	key, rest, isDeeper := strings.Cut(path, ".")
	if !isDeeper {
		return map[string]any{key: leaf}
	}
	return map[string]any{key: nested(rest, leaf)}
}

// Each example of the schema is accepted and changes what the chart makes: a key without effect
// would be a promise that nobody keeps.
func TestEachExampleOfTheSchemaHasAnEffect(t *testing.T) {
	// What some keys need beside them.
	unprotected := "--set=networkPolicy.enabled=false"
	words := "--set=extProc.pprof.acceptUnprotected=anyone in the cluster may profile"
	secret := "--set=extProc.pprof.auth.existingSecret=pprof"
	switchMap := "--set=extProc.pprof.switch.existingConfigMap=pprof"
	podMonitor := "--set=extProc.metrics.podMonitor.enabled=true"
	extension := "--set=envoyExtensionPolicy.enabled=true"
	target := "--set=envoyExtensionPolicy.targetRefs[0].name=eg"
	volume := "--set=extProc.extraVolumes[0].name=sockets"
	mount := "--set-json=extProc.extraVolumeMounts=[{\"name\":\"sockets\",\"mountPath\":\"/run/extproc\"}]"
	beside := map[string][]string{
		"networkPolicy.enabled":           {"--set=extProc.pprof.expose=loopback"},
		"networkPolicy.peers.grpc":        {"--set=networkPolicy.mode=strict"},
		"networkPolicy.peers.admin":       {"--set=networkPolicy.mode=strict"},
		"extProc.hostNetwork":             {unprotected, words},
		"extProc.imagePullPolicy":         {"--set=extProc.image.repository=registry.example.com/extproc"},
		"extProc.pprof.acceptUnprotected": {unprotected},
		"extProc.pprof.auth.key":          {secret},
		"extProc.pprof.auth.loopback":     {secret},
		"extProc.pprof.switch.key":        {switchMap},
		"extProc.extraListeners":          {volume, mount},

		"extProc.metrics.podMonitor.labels":        {podMonitor},
		"extProc.metrics.podMonitor.interval":      {podMonitor},
		"extProc.metrics.podMonitor.scrapeTimeout": {podMonitor},
		"envoyExtensionPolicy.enabled":             {target},
		"envoyExtensionPolicy.targetRefs":          {extension},
		"envoyExtensionPolicy.bodyMode":            {extension, target},
		"envoyExtensionPolicy.messageTimeout":      {extension, target},
		"envoyExtensionPolicy.failOpen":            {extension, target, "--set=envoyExtensionPolicy.bodyMode=Buffered"},

		"extProc.extraVolumeMounts": {volume},
		"extProc.models.key":        {"--set=extProc.models.existingConfigMap=models"},
	}
	// What Helm makes without the example, once for all that have the same beside them. It may be
	// refused: then being accepted is the effect.
	var renderings sync.Map
	plain := func(arguments []string) string {
		once, _ := renderings.LoadOrStore(strings.Join(arguments, "\n"), sync.OnceValue(func() string {
			output, _ := template(t, "helm4", "{}", arguments...)
			return output
		}))
		return once.(func() string)()
	}
	for path, leaf := range readSchema(t).leaves("") {
		if slices.Contains(notRead, path) {
			continue
		}
		for i, example := range leaf.Examples {
			t.Run(fmt.Sprintf("%s/%d", path, i), func(t *testing.T) {
				t.Parallel()
				values, err := yaml.Marshal(nested(path, example))
				if err != nil {
					t.Fatal(err)
				}
				without := plain(beside[path])
				with := mustTemplate(t, "helm4", string(values), beside[path]...)
				if with == without {
					t.Errorf("no effect:\n%s", values)
				}
			})
		}
	}
}

// The table of the chart's README is made of the schema and of the defaults in values.yaml.
func TestReadmeHasTheTableOfValues(t *testing.T) {
	const begin = "<!-- The table is written by `make golden`. -->\n"
	const end = "<!-- End of the table. -->\n"
	file := chartFolder + "/README.md"
	before, rest, found := strings.Cut(read(t, file), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no lines\n%sand\n%s", file, begin, end)
	}
	compare(t, file, before+begin+valuesTableOfReadme(t)+end+after)
}

// The keys that have to be there are those that may not be null; maps `{}` and lists `[]` are made empty.
func TestKeysAreThoseOfValues(t *testing.T) {
	root := readSchema(t)
	leaves := root.leaves("")
	var keys strings.Builder
	keys.WriteString("{{/* SPDX-License-Identifier: Apache-2.0 */}}\n\n{{/* Written by `make golden`. */}}\n")
	keys.WriteString("{{- define \"envoy-ai-gateway.keys\" -}}\n")
	for _, value := range readValues(t) {
		switch root.resolve(leaves[value.path]).Type {
		case "string", "integer", "boolean":
			keys.WriteString(value.path + "\n")
		case "object":
			keys.WriteString(value.path + "{}\n")
		case "array":
			keys.WriteString(value.path + "[]\n")
		}
	}
	keys.WriteString("{{- end }}\n")
	compare(t, chartFolder+"/templates/validate/_keys.tpl", keys.String())
}

// Blocks of the README that are values are accepted as they stand there.
func TestReadmesValuesAreAccepted(t *testing.T) {
	count := 0
	for block := range strings.SplitSeq(read(t, chartFolder+"/README.md"), "\n\n") {
		if !strings.HasPrefix(block, "    ") {
			continue
		}
		text := strings.ReplaceAll("\n"+block, "\n    ", "\n")
		var values map[string]any
		isYAML := yaml.Unmarshal([]byte(text), &values) == nil
		if !isYAML || len(values) == 0 {
			continue
		}
		count++
		for _, helm := range helms {
			mustTemplate(t, helm, text)
		}
	}
	if count != 5 {
		t.Errorf("%d blocks of values, expected 5", count)
	}
}

func valuesTableOfReadme(t *testing.T) string {
	root := readSchema(t)
	leaves := root.leaves("")
	var table strings.Builder
	table.WriteString("| Value | Type | Default | What it is | Example |\n| --- | --- | --- | --- | --- |\n")
	row := func(path, fallback string, leaf *schema) {
		what := leaf.Description
		if len(leaf.Enum) > 0 && leaf.Enum[0] != "" {
			what += " One of " + code(leaf.Enum...) + "."
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", path, root.kind(leaf), fallback, what, code(leaf.Examples...))
	}
	explained := map[*schema]bool{}
	for _, value := range readValues(t) {
		leaf := leaves[value.path]
		if leaf == nil {
			continue
		}
		row(value.path, code(value.fallback), leaf)
		// What the elements of a list are is said where they first come up.
		element := root.element(leaf)
		if explained[element] {
			continue
		}
		explained[element] = true
		for _, name := range slices.Sorted(maps.Keys(element.Properties)) {
			row(value.path+"[]."+name, "", element.Properties[name])
		}
	}
	return table.String()
}

// resolve returns what a leaf refers to.
func (root *schema) resolve(leaf *schema) *schema {
	for leaf.Ref != "" {
		leaf = root.Definitions[strings.TrimPrefix(leaf.Ref, "#/definitions/")]
	}
	return leaf
}

// kind returns the type of a value in words, with its range.
func (root *schema) kind(leaf *schema) string {
	leaf = root.resolve(leaf)
	types, isChoice := leaf.Type.([]any)
	if !isChoice {
		types = []any{leaf.Type}
	}
	words := strings.ReplaceAll(strings.Join(strings.Fields(strings.Trim(fmt.Sprint(types), "[]")), " or "), "array", "list")
	if leaf.Maximum != "" {
		words += fmt.Sprintf(", %s to %s", leaf.Minimum, leaf.Maximum)
	}
	return words
}

// element returns what the elements of a list are.
func (root *schema) element(leaf *schema) *schema {
	leaf = root.resolve(leaf)
	if leaf.Items == nil {
		return leaf
	}
	return root.element(leaf.Items)
}

// code writes values as they stand in a YAML file.
func code(values ...any) string {
	var all []string
	for _, value := range values {
		text, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		all = append(all, "`"+strings.ReplaceAll(string(text), "|", `\|`)+"`")
	}
	return strings.Join(all, ", ")
}
