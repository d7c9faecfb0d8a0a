// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The program's settings, as the table in README.md has them (which `make lint` holds to the
// program), and the chart's values.

// setting is one that has an environment variable.
type setting struct{ name, fallback, allowed string }

// byValue says of settings without a value of their own what the chart does with them.
var byValue = map[string]string{
	"EXTPROC_SANDBOX": "is set by extProc.extraEnvVars, where a kernel or a runtime is an odd one",
	"DISABLE_PPROF":   "is set by extProc.extraEnvVars, as the documentation says",
}

// departures are settings whose default is another one in the chart.
var departures = map[string]string{
	"PPROF_ADDRESS": ":6060", // reached from the cluster, behind the NetworkPolicy
}

// everySetting are values that make the chart write each variable that it can.
const everySetting = `
extProc:
  extraListeners: ["unix:///run/extproc/a.sock", "unix:///run/extproc/b.sock?mode=0666"]
  extraVolumes: [{name: sockets, emptyDir: {}}]
  extraVolumeMounts: [{name: sockets, mountPath: /run/extproc/}]
  models: {names: [a, b/c]}
  pprof:
    auth: {existingSecret: a}
    switch: {existingConfigMap: a}
    allowedHosts: [a.example, b]
    profiles: [-cmdline]
`

func readSettings(t *testing.T) []setting {
	t.Helper()
	_, table, _ := strings.Cut(read(t, "../../README.md"), "<!-- settings:")
	table, _, _ = strings.Cut(table, "<!-- /settings -->")
	row := regexp.MustCompile("(?m)^\\| \\S+ \\| `([A-Z_]+)` \\| (\\S+) \\| ([^|]+) \\|")
	var all []setting
	for _, match := range row.FindAllStringSubmatch(table, -1) {
		all = append(all, setting{match[1], strings.Trim(match[2], "`"), match[3]})
	}
	if len(all) < 20 {
		t.Fatalf("the table in README.md has %d settings: %v", len(all), all)
	}
	return all
}

// variables are the processor's, by name.
func variables(t *testing.T, values string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, pod := range pods(t, mustTemplate(t, "helm4", values)) {
		if !strings.HasPrefix(name, "Deployment/") {
			continue
		}
		for _, variable := range pod.Spec.Containers[0].Env {
			all[variable.Name] = variable.Value
		}
	}
	return all
}

// Would catch: a setting that is new in the program, or renamed there, and that the chart does not
// know.
func TestEachSettingIsAValueOrSaidNotToBe(t *testing.T) {
	set := variables(t, everySetting)
	for _, setting := range readSettings(t) {
		_, isSet := set[setting.name]
		if _, isExcused := byValue[setting.name]; isSet == isExcused {
			t.Errorf("%s: set by the chart: %v, in the list of those that need not be: %v",
				setting.name, isSet, isExcused)
		}
		delete(set, setting.name)
	}
	for name := range set {
		t.Errorf("the chart sets %s, and README.md has no such setting", name)
	}
}

// Would catch: a variable that extraEnvFrom could set in the chart's place, and that its description
// does not name.
func TestVariablesThatExtraEnvFromCanSetAreNamed(t *testing.T) {
	description := readSchema(t).leaves("")["extProc.extraEnvFrom"].Description
	set := variables(t, "{}")
	for name := range variables(t, everySetting) {
		_, isSet := set[name]
		if isNamed := strings.Contains(description, name); isNamed == isSet {
			t.Errorf("%s: set without values: %v, named by extProc.extraEnvFrom: %v", name, isSet, isNamed)
		}
	}
}

// Would catch: a default that is changed in one of the two.
func TestDefaultsAreTheProgramsOwn(t *testing.T) {
	set := variables(t, "{}")
	for _, setting := range readSettings(t) {
		expected := setting.fallback
		if departure, departs := departures[setting.name]; departs {
			expected = departure
		}
		if value, isSet := set[setting.name]; isSet && value != expected {
			t.Errorf("%s is %q in the chart and %q in the program", setting.name, value, expected)
		}
	}
}

// Who sets one of the chart's variables by extraEnvVars is told which value does it; and that value
// allows what the program allows.
func TestValuesAllowWhatTheSettingsAllow(t *testing.T) {
	values := readSchema(t).leaves("")
	path := regexp.MustCompile(`extProc(\.[A-Za-z]+)+`)
	compared := make(chan string, 100)
	t.Run("each", func(t *testing.T) {
		for _, setting := range readSettings(t) {
			if _, isExcused := byValue[setting.name]; isExcused {
				continue
			}
			t.Run(setting.name, func(t *testing.T) {
				t.Parallel()
				_, err := template(t, "helm4", "{extProc: {extraEnvVars: [{name: "+setting.name+"}]}}")
				if err == nil {
					t.Fatal("extraEnvVars may have it")
				}
				_, fix, _ := strings.Cut(err.Error(), "Fix:")
				named := path.FindString(fix)
				if strings.Contains(fix, "NetworkPolicy and probes rely on port 1064") {
					return
				}
				value := values[named]
				if value == nil {
					// A group of values, of which each stands for a part of the setting.
					for key := range values {
						if strings.HasPrefix(key, named+".") && named != "" {
							return
						}
					}
					t.Fatalf("it says %q, and there is no such value", fix)
				}
				allowed := value.allowed()
				if allowed == "" {
					return
				}
				compared <- setting.name
				if strings.HasPrefix(setting.name, "EXTPROC_DRAIN_") {
					allowed = strings.Replace(allowed, "3600", "60m", 1)
				}
				if allowed != setting.allowed {
					t.Errorf("%s allows %s, the program %s", named, allowed, setting.allowed)
				}
			})
		}
	})
	if len(compared) < 14 {
		t.Errorf("only %d settings were compared", len(compared))
	}
}

// allowed writes what a value allows as the program does; empty: the schema does not say it in
// numbers or words.
func (s *schema) allowed() string {
	switch {
	case s.Type == "boolean":
		return "false, true"
	case s.Type == "integer":
		return fmt.Sprintf("%s to %s", number(s.Minimum), number(s.Maximum))
	case len(s.Enum) > 0 && s.Enum[0] != "pod":
		var words []string
		for _, word := range s.Enum {
			words = append(words, fmt.Sprint(word))
		}
		return strings.Join(words, ", ")
	}
	return ""
}

func number(raw json.Number) string {
	value, err := raw.Int64()
	if err != nil {
		return "?"
	}
	return strconv.FormatInt(value, 10)
}
