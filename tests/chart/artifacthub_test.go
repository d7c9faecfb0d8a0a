// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// What Artifact Hub documents for charts: https://artifacthub.io/docs/topics/annotations/helm
var (
	artifactHub = []string{"alternativeName", "category", "changes", "containsSecurityUpdates", "crds", "crdsExamples",
		"images", "license", "links", "maintainers", "operator", "operatorCapabilities", "prerelease", "recommendations",
		"screenshots", "signKey"}
	artifactHubCategories = []string{"ai-machine-learning", "database", "integration-delivery", "monitoring-logging",
		"networking", "security", "skip-prediction", "storage", "streaming-messaging"}
	artifactHubChanges = []string{"added", "changed", "deprecated", "removed", "fixed", "security"}
)

type metadata struct {
	Name, Version, AppVersion string
	Annotations               map[string]string
}

func readMetadata(t *testing.T, text string) metadata {
	t.Helper()
	var chart metadata
	if err := yaml.Unmarshal([]byte(text), &chart); err != nil {
		t.Fatal(err)
	}
	return chart
}

// entries returns the list that an annotation has as text; another key than those is an error.
func entries[T any](t *testing.T, chart metadata, annotation string) (list []T) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(chart.Annotations["artifacthub.io/"+annotation]), &list); err != nil {
		t.Fatalf("%s: %v", annotation, err)
	}
	if len(list) == 0 {
		t.Errorf("%s is empty", annotation)
	}
	return list
}

// A package has them as the tree does, whichever Helm made it.
func TestAnnotationsAreWhatArtifactHubReads(t *testing.T) {
	charts := map[string]string{"tree": read(t, chartFolder+"/Chart.yaml")}
	for _, helm := range helms {
		charts[helm] = unpack(t, pack(t, helm))["Chart.yaml"]
	}
	for name, text := range charts {
		t.Run(name, func(t *testing.T) { checkAnnotations(t, readMetadata(t, text)) })
	}
}

func checkAnnotations(t *testing.T, chart metadata) {
	for key := range chart.Annotations {
		name, isTheirs := strings.CutPrefix(key, "artifacthub.io/")
		if isTheirs && !slices.Contains(artifactHub, name) {
			t.Errorf("Artifact Hub knows no %s", key)
		}
	}
	is := func(annotation, expected string) {
		t.Helper()
		if found := chart.Annotations["artifacthub.io/"+annotation]; found != expected {
			t.Errorf("%s is %q, expected %q", annotation, found, expected)
		}
	}
	// A version with a dash is one before the release that is named.
	isBefore := map[bool]string{true: "true", false: "false"}
	is("prerelease", isBefore[strings.Contains(chart.Version, "-")])
	is("license", "Apache-2.0")
	if !strings.Contains(read(t, "../../LICENSE"), "Apache License\n                           Version 2.0") {
		t.Error("LICENSE is another one")
	}
	if category := chart.Annotations["artifacthub.io/category"]; !slices.Contains(artifactHubCategories, category) {
		t.Errorf("Artifact Hub knows no category %q", category)
	}
	for _, change := range entries[struct{ Kind, Description string }](t, chart, "changes") {
		if !slices.Contains(artifactHubChanges, change.Kind) || change.Description == "" {
			t.Errorf("no change: %q", change)
		}
	}
	for _, link := range entries[struct{ Name, URL string }](t, chart, "links") {
		address, err := url.Parse(link.URL)
		if err != nil || address.Scheme != "https" || address.Host == "" || link.Name == "" {
			t.Errorf("no link: %q (%v)", link, err)
		}
	}
	images := entries[struct{ Name, Image string }](t, chart, "images")
	used := regexp.MustCompile(`image: "([^"]+):[^:"]+"`).FindStringSubmatch(mustTemplate(t, "helm4", "{}"))[1]
	if len(images) != 1 || !strings.HasPrefix(images[0].Image, used+":") {
		t.Errorf("images are %q; the chart uses %s", images, used)
	}
}

// In the tree the image has the version that the chart names; `make chart` writes both.
func TestImageOfTheAnnotationHasTheChartsVersion(t *testing.T) {
	chart := readMetadata(t, read(t, chartFolder+"/Chart.yaml"))
	images := entries[struct{ Name, Image string }](t, chart, "images")
	if !strings.HasSuffix(images[0].Image, ":"+chart.AppVersion) {
		t.Errorf("%s is not of version %s", images[0].Image, chart.AppVersion)
	}
}
