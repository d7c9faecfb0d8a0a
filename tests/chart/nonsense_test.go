// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// `make nonsense` sets it.
var messages = flag.Bool("messages", false, "report what the chart says about nonsense")

// nonsense is a row of nonsense.yaml.
type nonsense struct {
	Name   string
	Values map[string]any
	Says   string
	Fixed  []map[string]any
}

func nonsenseTable(t *testing.T) []nonsense {
	t.Helper()
	var table []nonsense
	if err := yaml.UnmarshalStrict([]byte(read(t, "nonsense.yaml")), &table); err != nil {
		t.Fatal(err)
	}
	return table
}

func inYAML(t *testing.T, values any) string {
	t.Helper()
	text, err := yaml.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What Helm prints where a template fails. The message is ours alone, with no blank line in it.
var failure = regexp.MustCompile(`(?s)execution error at \(envoy-ai-gateway/(templates/validate/\S+?):(\d+):\d+\): \n(.*?)\n\n`)

var refusals sync.Map

// refusal returns what a Helm says about values, and in which line of which file that is written.
func refusal(t *testing.T, helm, values string) (says, where string) {
	t.Helper()
	if known, isKnown := refusals.Load(helm + values); isKnown {
		return known.([]string)[0], known.([]string)[1]
	}
	output, err := template(t, helm, values)
	if err == nil {
		t.Fatalf("accepted:\n%s", output)
	}
	found := failure.FindStringSubmatch(err.Error())
	if found == nil {
		t.Fatalf("not refused by templates/validate: %v", err)
	}
	says, where = found[3], found[1]+":"+found[2]
	refusals.Store(helm+values, []string{says, where})
	return says, where
}

// As `helm upgrade --reuse-values` does, which takes the defaults of the chart that is installed: here
// one that knew none of our keys. Whatever else would go wrong, this is said first.
func TestDefaultsOfAnOlderChartAreRefused(t *testing.T) {
	for _, helm := range helms {
		t.Run(helm, func(t *testing.T) {
			folder := t.TempDir() + "/envoy-ai-gateway"
			if output, err := run(t, "", "cp", "-RL", chartFolder, folder); err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			write(t, folder+"/values.yaml", "{}")
			_, err := run(t, "", tool(t, helm), "template", release, folder)
			if err == nil || !strings.Contains(err.Error(), "use --reset-then-reuse-values") {
				t.Errorf("not refused, or with other words: %v", err)
			}
		})
	}
}

func TestNonsenseIsRefusedWithAFixThatIsAccepted(t *testing.T) {
	table := nonsenseTable(t)
	for _, row := range table {
		for _, helm := range helms {
			t.Run(row.Name+"/"+helm, func(t *testing.T) {
				t.Parallel()
				values := inYAML(t, row.Values)
				if says, _ := refusal(t, helm, values); says != row.Says {
					t.Errorf("it says\n\t%s\nexpected\n\t%s", says, row.Says)
				}
			})
		}
		t.Run(row.Name+"/fixed", func(t *testing.T) {
			t.Parallel()
			if len(row.Fixed) == 0 {
				t.Error("nothing is fixed")
			}
			for _, fixed := range row.Fixed {
				mustTemplate(t, "helm4", inYAML(t, changed(row.Values, fixed)))
			}
		})
		if *messages {
			values, err := json.Marshal(row.Values)
			if err != nil {
				t.Fatal(err)
			}
			report(t, "%s: %s\n%s\n", row.Name, values, row.Says)
		}
	}
	report(t, "%d kinds of nonsense are refused with a fix by %s, and accepted with it; `make nonsense` has the messages",
		len(table), strings.Join(helms, " and "))
}

// changed returns values with others on top of them; null takes a key away.
func changed(values, others map[string]any) map[string]any {
	result := maps.Clone(values)
	for key, other := range others {
		below, isMap := other.(map[string]any)
		switch old, _ := result[key].(map[string]any); {
		case other == nil:
			delete(result, key)
		case isMap && old != nil:
			result[key] = changed(old, below)
		default:
			result[key] = other
		}
	}
	return result
}

// A message names values that there are, and what it tells to set is among what is tried.
func TestNonsenseIsNamedByItsValues(t *testing.T) {
	known := map[string]bool{}
	for path := range readSchema(t).leaves("") {
		for ; path != ""; path, _, _ = cutLast(path, ".") {
			known[path] = true
		}
	}
	named := regexp.MustCompile(`\b(?:extProc|networkPolicy|envoyExtensionPolicy|global)(?:\.[a-zA-Z]+)+|\b(?:nameOverride|fullnameOverride|commonLabels|imagePullSecrets)\b`)
	assigned := regexp.MustCompile(` ([a-z][a-zA-Z.]+)=("[^"]+"|[a-zA-Z0-9]+)`)
	within := regexp.MustCompile(`^(extProc\.resources|extProc\.strategy|networkPolicy\.peers\.[a-z]+|networkPolicy\.extraPorts)\b`)
	for _, row := range nonsenseTable(t) {
		t.Run(row.Name, func(t *testing.T) {
			what, fix, hasFix := strings.Cut(row.Says, "\nFix: ")
			if !hasFix || !strings.HasSuffix(fix, ".") || strings.Contains(row.Says, "%!") {
				t.Errorf("it has no fix, or a broken one: %s", row.Says)
			}
			paths := named.FindAllString(what, -1)
			if len(paths) == 0 {
				t.Errorf("it names no value: %s", what)
			}
			for _, path := range append(paths, named.FindAllString(fix, -1)...) {
				if open := within.FindString(path); open != "" {
					path = open
				}
				if !known[path] {
					t.Errorf("there is no value %s", path)
				}
			}
			var tried []string
			for _, fixed := range row.Fixed {
				tried = append(tried, assignments("", fixed)...)
			}
			for _, match := range assigned.FindAllStringSubmatch(fix, -1) {
				assignment := match[1] + "=" + strings.Trim(match[2], `"`)
				if !slices.Contains(tried, assignment) {
					t.Errorf("%s is not tried, only %q", assignment, tried)
				}
			}
		})
	}
}

// assignments returns a.b=c for each leaf of values.
func assignments(prefix string, values map[string]any) []string {
	var all []string
	for key, value := range values {
		if deeper, isMap := value.(map[string]any); isMap {
			all = append(all, assignments(prefix+key+".", deeper)...)
			continue
		}
		all = append(all, fmt.Sprintf("%s%s=%v", prefix, key, value))
	}
	return all
}

// Each `fail` of the templates, and each text that has a form, has its nonsense.
func TestEachRefusalHasItsNonsense(t *testing.T) {
	untried := map[string]bool{}
	files, _ := filepath.Glob(chartFolder + "/templates/validate/*.yaml")
	for _, file := range files {
		for i, line := range strings.Split(read(t, file), "\n") {
			if strings.Contains(line, "{{- fail ") {
				untried[fmt.Sprintf("templates/validate/%s:%d", filepath.Base(file), i+1)] = true
			}
		}
	}
	if len(untried) < 20 {
		t.Errorf("only %d places refuse", len(untried))
	}
	form := regexp.MustCompile(`\(list \(?(?:printf )?"([a-zA-Z.]+)[^"]*" `)
	for _, match := range form.FindAllStringSubmatch(read(t, chartFolder+"/templates/validate/text.yaml"), -1) {
		untried[match[1]] = true
	}
	for _, row := range nonsenseTable(t) {
		_, where := refusal(t, "helm4", inYAML(t, row.Values))
		delete(untried, where)
		path := strings.FieldsFunc(row.Says, func(r rune) bool { return strings.ContainsRune(" [,", r) })[0]
		delete(untried, path)
	}
	for where := range untried {
		t.Errorf("nothing in nonsense.yaml is refused by %s", where)
	}
}

// The program would not start with a profile that it does not have.
func TestProfilesAreThoseOfTheProgram(t *testing.T) {
	text := read(t, chartFolder+"/templates/validate/text.yaml")
	allowed := strings.Split(regexp.MustCompile(`\$profiles := "([a-z|]+)"`).FindStringSubmatch(text)[1], "|")
	var found []string
	source := read(t, "../../src/pprof/http/route.c")
	files, _ := filepath.Glob("../../src/pprof/sample/*.c")
	for _, file := range append(files, "../../src/main.c") {
		source += read(t, file)
	}
	for _, match := range regexp.MustCompile(`(?m)^(?:    \{| +\.name = )"([a-z]+)",`).FindAllStringSubmatch(source, -1) {
		found = append(found, match[1])
	}
	slices.Sort(found)
	if !slices.Equal(slices.Compact(found), allowed) {
		t.Errorf("the program has %q, the chart allows %q", found, allowed)
	}
}

func cutLast(text, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return "", text, false
}

// report writes a line for whoever runs the tests, also when all is well.
func report(t *testing.T, format string, arguments ...any) {
	t.Helper()
	path := os.Getenv("CHART_REPORT")
	if path == "" {
		return
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text := fmt.Sprintf(format, arguments...)
	fmt.Fprintf(file, "  %s\n", strings.ReplaceAll(text, "\n", "\n  "))
}
