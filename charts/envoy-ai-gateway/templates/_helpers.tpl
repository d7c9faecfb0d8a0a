{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{/* The first part of all names. 50 characters, so that a label key with `-pprof-client` behind it stays below 63. */}}
{{- define "envoy-ai-gateway.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "envoy-ai-gateway.extProc.name" -}}
{{ include "envoy-ai-gateway.fullname" . }}-extproc
{{- end }}

{{/* Pods of the same namespace with this label may profile. */}}
{{- define "envoy-ai-gateway.pprofClient" -}}
{{ include "envoy-ai-gateway.fullname" . }}-pprof-client: "true"
{{- end }}

{{/* What tells the processor's pods from all others. It must never change: a Deployment's selector is immutable. */}}
{{- define "envoy-ai-gateway.extProc.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: extproc
{{- end }}

{{/* What the chart itself says of an object. */}}
{{- define "envoy-ai-gateway.extProc.ownLabels" -}}
{{- $labels := include "envoy-ai-gateway.extProc.selector" . | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/version" (.Chart.AppVersion | trunc 63) -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63) -}}
{{ toYaml $labels }}
{{- end }}

{{- define "envoy-ai-gateway.extProc.labels" -}}
{{ merge (include "envoy-ai-gateway.extProc.ownLabels" . | fromYaml) .Values.commonLabels | toYaml }}
{{- end }}

{{/* A first part with a dot, a port or the name localhost is a registry, as container runtimes read it. */}}
{{- define "envoy-ai-gateway.extProc.image" -}}
{{- $repository := .Values.extProc.image.repository -}}
{{- with .Values.global.imageRegistry -}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $repository "") -}}
{{- end -}}
{{- $version := default .Chart.AppVersion .Values.extProc.image.tag | printf ":%s" -}}
{{ $repository }}{{ with .Values.extProc.image.digest }}@{{ . }}{{ else }}{{ $version }}{{ end }}
{{- end }}

{{/* The pods' imagePullSecrets, or nothing. */}}
{{- define "envoy-ai-gateway.extProc.imagePullSecrets" -}}
{{- $secrets := concat .Values.imagePullSecrets .Values.extProc.imagePullSecrets -}}
{{- range .Values.global.imagePullSecrets }}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with $secrets }}
imagePullSecrets:
  {{- uniq . | toYaml | nindent 2 }}
{{- end -}}
{{- end }}

{{- define "envoy-ai-gateway.extProc.serviceAccountName" -}}
{{- $made := .Values.extProc.serviceAccount.create | ternary (include "envoy-ai-gateway.extProc.name" .) "default" -}}
{{- default $made .Values.extProc.serviceAccount.name -}}
{{- end }}

{{/* Where pprof can be reached: `nowhere` (DISABLE_PPROF is there, whatever its value), `pod` or `loopback`. */}}
{{- define "envoy-ai-gateway.pprof" -}}
{{- $where := .Values.extProc.pprof.expose -}}
{{- range .Values.extProc.extraEnvVars }}{{ if eq .name "DISABLE_PPROF" }}{{ $where = "nowhere" }}{{ end }}{{ end -}}
{{- $where -}}
{{- end }}

{{/* Whether [a profile] is served, by [extProc.pprof.profiles]. */}}
{{- define "envoy-ai-gateway.isServed" -}}
{{- $profile := index . 0 -}}
{{- $listed := index . 1 -}}
{{- $isNegative := hasPrefix "-" (first $listed | default "-") -}}
{{- if eq $isNegative (not (has (printf "-%s" $profile | trimPrefix ($isNegative | ternary "" "-")) $listed)) }}yes{{ end -}}
{{- end }}

{{/* Annotations by which scrapers find the pods. Alloy's `memory` is the profile allocs, its `cpu` is profile. */}}
{{- define "envoy-ai-gateway.extProc.scrapeAnnotations" -}}
{{- if and .Values.extProc.pprof.scrapeAnnotations (eq (include "envoy-ai-gateway.pprof" .) "pod") }}
{{- $profiles := .Values.extProc.pprof.profiles }}
{{- range $type, $profile := dict "memory" "allocs" "cpu" "profile" "goroutine" "goroutine" "block" "block" "mutex" "mutex" }}
{{- if include "envoy-ai-gateway.isServed" (list $profile $profiles) }}
profiles.grafana.com/{{ $type }}.scrape: "true"
profiles.grafana.com/{{ $type }}.port_name: pprof
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.extProc.metrics.scrapeAnnotations }}
prometheus.io/scrape: "true"
prometheus.io/port: "1064"
prometheus.io/path: /metrics
{{- end }}
{{- end }}

{{/* A list of peers as our values have them, as a NetworkPolicy has them. */}}
{{- define "envoy-ai-gateway.peers" -}}
{{- range . }}
{{- $namespace := default dict .namespaceLabels }}
{{- with .namespace }}{{ $namespace = merge (dict "kubernetes.io/metadata.name" .) $namespace }}{{ end }}
{{- if .cidr }}
- ipBlock:
    cidr: {{ .cidr }}
    {{- with .except }}
    except:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- else if and $namespace .podLabels }}
- namespaceSelector:
    matchLabels:
      {{- toYaml $namespace | nindent 6 }}
  podSelector:
    matchLabels:
      {{- toYaml .podLabels | nindent 6 }}
{{- else if $namespace }}
- namespaceSelector:
    matchLabels:
      {{- toYaml $namespace | nindent 6 }}
{{- else }}
- podSelector:
    matchLabels:
      {{- toYaml .podLabels | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}
